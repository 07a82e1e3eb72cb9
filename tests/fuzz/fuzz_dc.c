/* SPDX-License-Identifier: Apache-2.0 */
/* A Data Center over some time: what Apps ask, what brokers say, and what Redis answers,
 * in any order. A step is an answer to the oldest question that Redis was asked, one of
 * those that make sense, or something that happens. */
#include "dc_world.h"

#include "dc/fan_board.h"

#include <string.h>

void fuzz_start(void) {}

enum { STEPS = 300, APPS = 3, PIECE_MAX = 4096, FLOOD = 8000 };

struct talk {
	struct dc_world dc;
	struct stream *app[APPS];
	unsigned turn;
	bool refuses; /* Redis */
	bool flooded; /* once in an input */
};

#define ID "01JDCF3K7Q9R8W2ZT5XV6YB4NM"

/* More than a connection holds that is not read. */
static void flood(struct talk *t, struct stream *app)
{
	static const char ping[] = "PING 1\r\nid 0123456789012345678901234567890123456789012345678901234567890123\r\n\r\n";
	for (unsigned i = 0; i < FLOOD && !t->flooded; i++)
		fake_stream_feed(app, ping, sizeof ping - 1);
	t->flooded = true;
}

static void ask(struct stream *app, unsigned which)
{
	static const char *const requests[] = {
		"SEND 1\r\nto alice\r\nid order-17\r\nlength 2\r\n\r\nhi",
		"SEND 1\r\nto alice\r\nreceipt yes\r\nlength 2\r\n\r\nhi",
		"SENDMANY 1\r\nid m1\r\ncount 2\r\nlength 15\r\n\r\nalice\nbob\nhello",
		"SENDMANY 1\r\ncount 1\r\nstore no\r\nlength 9\r\n\r\nalice\nabc",
		"SEND 1\r\nid t1\r\ntopic a/b\r\nttl 60\r\nlength 2\r\n\r\nhi",
		"SEND 1\r\ntopic $a/b/c\r\nstore no\r\n\r\n",
		"RECEIPTS 1\r\n\r\n", "RECEIPTS 1\r\nafter 1700000000000-0\r\n\r\n", "PRESENCE-EVENTS 1\r\n\r\n",
		"SUBSCRIBE 1\r\nuser alice\r\ntopic a/+\r\n\r\n", "UNSUBSCRIBE 1\r\nuser alice\r\ntopic a/+\r\n\r\n",
		"TOPICS 1\r\nuser alice\r\n\r\n", "STORAGE 1\r\nuser alice\r\nstorage on\r\n\r\n",
		"WITHDRAW 1\r\nmessage " ID "\r\n\r\n", "WITHDRAW 1\r\nmessage " ID "\r\nto alice\r\n\r\n",
		"STATUS 1\r\nmessage " ID "\r\n\r\n", "STATUS 1\r\nmessage " ID "\r\nto alice\r\n\r\n",
		"PRESENCE 1\r\ncount 2\r\nlength 9\r\n\r\nalice\nbob", "BROADCAST 1\r\nlifetime 60\r\nlength 1\r\n\r\n!",
		"PING 1\r\n\r\n", "STORAGE 1\r\nuser alice\r\nstorage off\r\n\r\n", "AUTH 1\r\napp chat\r\nkey k\r\n\r\n",
		"SEND 1\r\nto alice\r\npriority low\r\ncollapse c\r\nreceipt yes\r\n\r\n",
	};
	const char *r = requests[which % (sizeof requests / sizeof *requests)];
	fake_stream_feed(app, r, strlen(r));
}

static void broker_says(struct talk *t, uint8_t how)
{
	static const uint8_t ids[2 * LINK_ACK_BYTES] = {1, 2, 3};
	struct link_message m = {.type = LINK_PRESENCE};
	if (!fake_stream_alive(t->dc.broker))
		return;
	unsigned times = how >= 0xf0 && !t->flooded ? FLOOD : 1;
	t->flooded = t->flooded || times > 1;
	if (how % 4 == 0) {
		m.type = LINK_FETCH;
		m.fetch = (struct link_fetch){{9, 77}, (enum priority)(how / 4 % 3), {{1}}, 3, 100,
					      how & 64 ? 8 : 10000, {"alice", 5}};
	} else if (how % 4 == 1) {
		m.type = LINK_ACK;
		m.ack = (struct link_ack){{9, 77}, PRIORITY_HIGH, {"alice", 5}, 2, ids};
	} else if (how % 4 == 2) {
		m.type = LINK_KICK;
		m.kick = (struct link_kick){5, {9, 77}, {"mb1", 3}};
	} else {
		m.presence = (struct link_presence){how & 4, 1732370000000, {"alice", 5}};
	}
	while (times-- > 0 && fake_stream_alive(t->dc.broker))
		dc_world_say(&t->dc, &m);
}

static void happen(struct talk *t, struct fuzz *in, unsigned what)
{
	struct stream **app = &t->app[(what >> 4 & 3) % APPS];
	uint8_t which;
	struct piece p;
	struct addr from = fuzz_addr(3);
	switch (what % 16) {
	case 0:
		which = fuzz_byte(in);
		if (which == 0xff)
			flood(t, *app);
		else
			ask(*app, which);
		break;
	case 1: fake_loop_advance(20u * fuzz_byte(in)); break;
	case 2: broker_says(t, fuzz_byte(in)); break;
	case 3: fake_stream_break(t->dc.broker); break;
	case 4:
		if (!fake_stream_alive(t->dc.broker))
			dc_world_link(&t->dc);
		break;
	case 5:
		p = fuzz_piece(in, PIECE_MAX);
		fake_redis_feed(p.data, p.len);
		fake_redis_run(NULL, NULL);
		break;
	case 6: fake_redis_lose(what & 64 ? RS_ELOST : RS_ETIMEOUT); break;
	case 7: t->refuses = !t->refuses; fake_redis_refuse(t->refuses); break;
	case 8: fake_stream_take(*app, what & 64); break;
	case 9: fake_stream_break(*app); break;
	case 10:
		p = fuzz_piece(in, PIECE_MAX);
		fake_stream_feed(*app, p.data, p.len);
		break;
	case 11: fake_stream_end(*app); break;
	case 12:
		if (!fake_stream_alive(*app))
			*app = fake_stream_accepted(DC_APPS, &from);
		break;
	case 13:
		t->dc.dc.redis_up_ms = what & 64 ? fuzz_wall_ms() : 0;
		fan_board_redis_is_back(t->dc.dc.fans);
		break;
	case 14:
		for (unsigned n = fuzz_byte(in); n > 0 && fake_redis_waiting() > 0; n--)
			dc_world_answer_one(0);
		break;
	case 15:
		if (fake_redis_waiting() > 0)
			fake_redis_say("-ERR no\r\n");
		break;
	}
}

void fuzz_one(struct fuzz *in)
{
	struct talk t = {.turn = 0};
	struct addr from = fuzz_addr(1);
	uint8_t how = fuzz_byte(in);
	dc_world_open(&t.dc);
	for (unsigned i = 0; i < APPS; i++) {
		t.app[i] = fake_stream_accepted(DC_APPS, &from);
		dc_world_auth(t.app[i]);
	}
	dc_world_link(&t.dc);
	for (; t.turn < STEPS && fuzz_left(in) > 0; t.turn++) {
		uint8_t op = fuzz_byte(in);
		if (op & 0x80)
			happen(&t, in, op & 0x7f);
		else if (fake_redis_waiting() > 0)
			dc_world_answer_one(op);
		else
			fake_loop_advance(100u + 10u * op);
	}
	fake_redis_refuse(false);
	if (how & 1)
		fan_board_stop(t.dc.dc.fans);
	for (unsigned i = 0; i < 6; i++) {
		fake_redis_lose(RS_ETIMEOUT);
		for (unsigned n = 0; n < APPS; n++)
			fake_stream_feed(t.app[n], "", 0);
	}
	dc_world_check_answers();
	dc_world_close(&t.dc);
}
