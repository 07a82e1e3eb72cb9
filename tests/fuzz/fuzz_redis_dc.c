/* SPDX-License-Identifier: Apache-2.0 */
/* What Redis answers to a Data Center: to its Apps' requests and its brokers', to its
 * looks at the registry and at the settings for durability. The first four bytes say
 * what was asked; the rest is the stream that Redis sends. */
#include "dc_world.h"

#include <string.h>

void fuzz_start(void) {}

struct talk {
	struct dc_world dc;
	struct stream *app;
	unsigned turns;
	unsigned asked;  /* requests of the App */
	bool may_end;    /* one of them may be the last, and the end be told as well: a wrong key, a stream */
};

static void fetch_or_ack(struct talk *t, bool fetch)
{
	static const uint8_t ids[2 * LINK_ACK_BYTES] = {1, 2, 3};
	struct link_message m = {.type = fetch ? LINK_FETCH : LINK_ACK};
	if (fetch)
		m.fetch = (struct link_fetch){{9, 77}, PRIORITY_NORMAL, {{1}}, 3, 100, 10000, {"alice", 5}};
	else
		m.ack = (struct link_ack){{9, 77}, PRIORITY_HIGH, {"alice", 5}, 2, ids};
	dc_world_say(&t->dc, &m);
}

static void request(struct talk *t, unsigned which)
{
	static const char *const requests[] = {
		"SEND 1\r\nto alice\r\nid order-17\r\nlength 2\r\n\r\nhi",
		"SEND 1\r\nto alice\r\nttl 5\r\nlength 0\r\n\r\n",
		"SEND 1\r\nto bob\r\nstore no\r\nlength 1\r\n\r\n!",
		"PRESENCE 1\r\nuser alice\r\n\r\n",
		"PRESENCE 1\r\nid 7\r\nuser alice\r\n\r\n",
		"AUTH 1\r\napp chat\r\nkey wrong\r\n\r\n",
	};
	static const char *const more_requests[] = {
		"BROADCAST 1\r\nid news-3\r\nlifetime 60\r\nlength 3\r\n\r\nall",
		"WITHDRAW 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\n\r\n",
		"WITHDRAW 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nto alice\r\n\r\n",
		"STATUS 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nto alice\r\n\r\n",
		"STORAGE 1\r\nuser alice\r\nstorage off\r\n\r\n",
		"SENDMANY 1\r\nid m1\r\ncount 3\r\nlength 17\r\n\r\nalice\nbob\na\nhello",
		"SEND 1\r\nid t1\r\ntopic a/b\r\nlength 2\r\n\r\nhi",
		"SUBSCRIBE 1\r\nuser alice\r\ntopic a/+\r\n\r\n",
		"TOPICS 1\r\nuser alice\r\n\r\n",
		"STATUS 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\n\r\n",
		"SEND 1\r\nto alice\r\npriority high\r\ncollapse score\r\nlength 1\r\n\r\n!",
		"SEND 1\r\nto alice\r\nreceipt yes\r\nlength 1\r\n\r\n!",
		"PRESENCE 1\r\ncount 2\r\nlength 9\r\n\r\nalice\nbob",
		"RECEIPTS 1\r\n\r\n",
		"RECEIPTS 1\r\nafter 0\r\n\r\n",
	};
	enum { REQUESTS = sizeof requests / sizeof *requests, MORE = REQUESTS + 4 };
	which %= MORE + sizeof more_requests / sizeof *more_requests;
	if (which >= MORE) {
		t->asked++;
		t->may_end = t->may_end || strncmp(more_requests[which - MORE], "RECEIPTS", 8) == 0;
		fake_stream_feed(t->app, more_requests[which - MORE], strlen(more_requests[which - MORE]));
		return;
	}
	t->asked += which < REQUESTS;
	t->may_end = t->may_end || which == REQUESTS - 1;
	if (which < REQUESTS)
		fake_stream_feed(t->app, requests[which], strlen(requests[which]));
	else if (which < REQUESTS + 2)
		fetch_or_ack(t, which == REQUESTS);
	else if (which == REQUESTS + 2)
		fake_loop_advance(1200);
	else
		fake_loop_advance(5000);
}

static void more(void *ctx)
{
	struct talk *t = ctx;
	if (t->turns++ < 8)
		fake_loop_advance(1000);
	fake_stream_feed(t->app, "", 0);
}

static void join(struct dc_world *w)
{
	struct member self = {.id = "dc1", .boot = 3, .address = fuzz_addr(0), .link = fuzz_addr(0)};
	int err = registry_join(&w->dc.registry, fake_loop, pool_first(w->dc.redis), "dc", &self);
	fuzz_check(err == RS_OK, "not joined");
}

void fuzz_one(struct fuzz *in)
{
	struct talk t = {.turns = 0};
	struct addr from = fuzz_addr(1);
	uint8_t how = fuzz_byte(in);
	dc_world_open(&t.dc);
	t.app = fake_stream_accepted(DC_APPS, &from);
	dc_world_auth(t.app);
	dc_world_link(&t.dc);
	if (how & 1)
		join(&t.dc);
	fake_redis_refuse(how & 16);
	for (unsigned i = 0; i < 3; i++)
		request(&t, fuzz_byte(in));
	fake_redis_refuse(false);
	if (how & 2)
		fake_stream_break(t.dc.broker); /* while Redis thinks about it */
	if (how & 4)
		fake_stream_break(t.app);
	struct piece p = fuzz_rest(in);
	fake_redis_feed(p.data, p.len);
	fake_redis_run(more, &t);
	for (unsigned i = 0; i < 2; i++) { /* what waited for long answers is read then */
		fake_redis_lose(how & 8 ? RS_ELOST : RS_ETIMEOUT);
		fake_stream_feed(t.app, "", 0);
	}
	unsigned answers = dc_world_check_answers();
	fuzz_check(answers == t.asked || t.dc.dc.counts.apps_removed || t.may_end || (how & 4 && answers < t.asked), "%u answers to %u requests", answers,
		   t.asked);
	dc_world_close(&t.dc);
}
