/* SPDX-License-Identifier: Apache-2.0 */
/* A broker between Redis and the Data Centers: what Redis answers to its claims and
 * renewals, what a DC says over its link, while clients log in, take messages and go.
 * All of services/mb but its main() and its metrics, with the true engine. */
#include "engine.h"
#include "fake_loop.h"
#include "fake_redis.h"
#include "fake_stream.h"

#include "base/bytes.h"
#include "mb/delivery.h"
#include "mb/lease.h"
#include "mb/login.h"
#include "mb/notice.h"
#include "mb/request.h"
#include "wire/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 64, CLIENTS = 2 };

struct client {
	struct noise noise;
	struct keys keys;
	uint32_t conn; /* 0: none */
	uint32_t next;
};

struct world {
	struct mb mb;
	struct mb_config config;
	struct client client[CLIENTS];
	unsigned shaking;     /* whose handshake is under way */
	bool refuses;         /* Redis is away */
	struct stream *dc;
	struct udp_stats udp;
};

/* ---- what main.c has ---- */

struct mb_time mb_time(void) { return (struct mb_time){fuzz_now_ms, fuzz_wall_ms()}; }

void mb_flush(struct mb *m)
{
	delivery_flush(m);
	server_flush(m->server, fuzz_now_ms, fuzz_wall_ms());
}

void mb_flush_later(struct mb *m) { mb_flush(m); }

static void on_login(void *ctx, uint32_t conn, const struct frame_login *f, const struct addr *from)
{
	struct world *w = ctx;
	login_begin(&w->mb, conn, f, from);
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	struct world *w = ctx;
	(void)conn;
	delivery_acked(&w->mb, user, done);
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	struct world *w = ctx;
	(void)conn;
	login_end(&w->mb, user, why);
}

static void on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f)
{
	struct world *w = ctx;
	(void)conn;
	request_take(&w->mb, user, f);
}

static int on_dc_message(void *ctx, size_t peer, const struct link_message *msg)
{
	struct world *w = ctx;
	(void)peer;
	if (msg->type == LINK_KICK)
		login_kicked(&w->mb, &msg->kick);
	else if (msg->type == LINK_BROADCAST)
		broadcast_take(&w->mb, &msg->broadcast);
	else if (msg->type == LINK_KEPT)
		broadcast_look(&w->mb);
	else if (msg->type == LINK_BATCH || msg->type == LINK_ACKED || msg->type == LINK_PUSH ||
		 msg->type == LINK_NUDGE || msg->type == LINK_WITHDRAW)
		delivery_on_message(&w->mb, msg);
	else
		return RS_EINVAL;
	mb_flush_later(&w->mb);
	return RS_OK;
}

static void on_dc_up(void *ctx, size_t peer)
{
	struct world *w = ctx;
	(void)peer;
	lease_resync(&w->mb);
	delivery_tick(&w->mb);
}

static void on_dc_down(void *ctx, size_t peer)
{
	struct world *w = ctx;
	delivery_dc_down(&w->mb, peer);
	delivery_tick(&w->mb);
}

/* ---- clients ---- */

static void sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	struct client *c = &w->client[w->shaking];
	uint8_t payload[PACKET_MAX];
	struct resp_payload p;
	(void)to;
	fuzz_check(packet_length_ok(data, len), "a malformed packet is sent");
	if (data[0] != PACKET_RESP || c->conn != 0)
		return;
	engine_read_answer(&c->noise, data, len, payload);
	resp_payload_read(payload, &p);
	c->conn = p.conn;
	keys_from_noise(&c->keys, &c->noise, true);
}

static void receive(struct world *w, unsigned n, uint8_t *packet, size_t len)
{
	struct addr from = fuzz_addr(n);
	uint8_t *exact = fuzz_copy(packet, len);
	server_recv(w->mb.server, fuzz_now_ms, fuzz_wall_ms(), &from, exact, len);
	free(exact);
	mb_flush(&w->mb);
}

static void say(struct world *w, unsigned n, const struct frame *f)
{
	struct client *c = &w->client[n];
	uint8_t packet[PACKET_MAX];
	struct writer out = writer_over(packet + PACKET_HEADER, PACKET_FRAMES_MAX);
	if (c->conn == 0)
		return;
	frame_write(&out, f);
	int len = keys_seal(&c->keys, c->conn, c->next++, packet, writer_len(&out));
	fuzz_check(len > 0, "not sealed");
	receive(w, n, packet, (size_t)len);
}

static void log_in(struct world *w, unsigned n)
{
	struct client *c = &w->client[n];
	struct frame f = {.type = FRAME_LOGIN};
	uint8_t packet[PACKET_MAX];
	*c = (struct client){.conn = 0};
	w->shaking = n;
	size_t len = engine_write_hello(&c->noise, PACKET_INIT, (uint32_t)fuzz_now_ms, NULL,
					(struct piece){(const uint8_t *)"", 0}, packet);
	receive(w, n, packet, len);
	f.login.user = n ? "bob" : "alice";
	f.login.user_len = n ? 3 : 5;
	f.login.session = "session";
	f.login.session_len = 7;
	say(w, n, &f);
}

/* Acknowledges that many references from there on. */
static void acknowledge(struct world *w, unsigned n, uint8_t from, uint8_t count)
{
	uint8_t refs[4 * FRAME_REFS_MAX];
	struct frame f = {.type = FRAME_MESSAGE_ACK};
	count = count % FRAME_REFS_MAX + 1;
	for (unsigned i = 0; i < count; i++)
		be_put(refs + 4 * i, from + i, 4);
	f.message_ack = (struct frame_message_ack){from, count, refs};
	say(w, n, &f);
}

static void request(struct world *w, unsigned n, struct fuzz *in)
{
	struct frame f = {.type = FRAME_REQUEST};
	char text[NAME_MAX_BYTES];
	f.request.number = fuzz_byte(in);
	f.request.kind = fuzz_byte(in);
	struct piece p = fuzz_piece(in, sizeof text);
	f.request.text = memcpy(text, p.data, p.len);
	f.request.text_len = (uint8_t)p.len;
	say(w, n, &f);
}

/* ---- Redis ---- */

static size_t write_record(unsigned id, struct piece body, uint8_t *out, size_t cap);

/* What is kept: those of three that the bits of `how` name, the second one damaged. */
static void say_kept(uint8_t how)
{
	char text[1024], record[256];
	int len = snprintf(text, sizeof text, "*%d\r\n", 2 * ((how & 1) + (how >> 1 & 1) + (how >> 2 & 1)));
	for (unsigned i = 0; i < 3; i++) {
		struct piece body = {(const uint8_t *)"to all", 6};
		size_t n = write_record(200 + i, body, (uint8_t *)record, sizeof record);
		if (!(how >> i & 1))
			continue;
		len += snprintf(text + len, sizeof text - (size_t)len, "$%zu\r\n%.*s\r\n$2\r\n4%u\r\n", n,
				(int)n, record, i);
		if (i == 1)
			text[len - 20] ^= 1;
	}
	fake_redis_say(text);
}

static void answer_well(struct world *w, uint8_t how)
{
	static const char *const changed[] = {":1\r\n", ":-1\r\n", ":-2\r\n", "+odd\r\n"};
	char claim[160];
	(void)w;
	if (fake_redis_waiting() == 0)
		return;
	const char *command = fake_redis_command();
	snprintf(claim, sizeof claim, how & 1 ? "*4\r\n:%u\r\n*3\r\n:%u\r\n:0\r\n:2\r\n$0\r\n\r\n*2\r\n$4\r\nchat\r\n$1\r\n3\r\n" :
		 how & 8 ? "*8\r\n:%u\r\n*3\r\n:%u\r\n:1\r\n:0\r\n$2\r\n40\r\n*0\r\n$3\r\nmb2\r\n$1\r\n7\r\n$1\r\n4\r\n$1\r\n9\r\n"
			 : "*8\r\n:%u\r\n*3\r\n:%u\r\n:0\r\n:0\r\n$1\r\n7\r\n*0\r\n$3\r\nmb1\r\n$1\r\n5\r\n$1\r\n4\r\n$1\r\n9\r\n", 100u + how, how >> 4);
	if (strcmp(command, "HGETALL") == 0 && how & 4)
		fake_redis_say("*4\r\n$4\r\nuser\r\n$5\r\nalice\r\n$7\r\nexpires\r\n$4\r\n1234\r\n");
	else if (strcmp(command, "HGETALL") == 0)
		fake_redis_say(how & 2 ? "*4\r\n$4\r\nuser\r\n$5\r\nalice\r\n$7\r\nexpires\r\n$13\r\n1900000000000\r\n"
				       : "*4\r\n$4\r\nuser\r\n$3\r\nbob\r\n$7\r\nexpires\r\n$13\r\n1900000000000\r\n");
	else if (strcmp(command, "presence_claim") == 0)
		fake_redis_say(claim);
	else if (strcmp(command, "GET") == 0)
		fake_redis_say(how & 1 ? "$2\r\n50\r\n" : how & 2 ? "$2\r\n60\r\n" : "$-1\r\n");
	else if (strcmp(command, "ZRANGE") == 0)
		say_kept(how);
	else if (strncmp(command, "topic_", 6) == 0 || strcmp(command, "settings_store") == 0)
		fake_redis_say(changed[how & 3]);
	else if (strcmp(command, "SISMEMBER") == 0 || strcmp(command, "SCARD") == 0)
		fake_redis_say(how & 1 ? ":1\r\n" : ":0\r\n");
	else if (strcmp(command, "presence_renew") == 0 && how & 1)
		fake_redis_say(how & 2 ? "*3\r\n:3\r\n:0\r\n:1\r\n" : "*3\r\n:0\r\n:2\r\n:0\r\n");
	else
		fake_redis_say(how & 1 ? ":3\r\n" : ":-1\r\n");
}

/* ---- the Data Center ---- */

static void feed(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t length[4];
	be_put(length, len, sizeof length);
	fake_stream_feed(w->dc, length, sizeof length);
	fake_stream_feed(w->dc, data, len);
}

static void link_up(struct world *w)
{
	uint8_t bytes[64];
	struct link_message m = {.type = LINK_WELCOME, .hello = {3, {"dc1", 3}}};
	for (unsigned i = 0; i < 3; i++) {
		fake_loop_advance(1000);
		fake_redis_registry();
	}
	w->dc = fake_stream_connected();
	int len = link_encode(&m, bytes, sizeof bytes);
	fuzz_check(len > 0, "no WELCOME");
	feed(w, bytes, (size_t)len);
}

static size_t write_record(unsigned id, struct piece body, uint8_t *out, size_t cap)
{
	struct record r = {.sent_ms = FUZZ_WALL_MS, .expires_ms = FUZZ_WALL_MS + 100000, .app = "app", .app_len = 3,
			   .body = body.data, .body_len = body.len};
	r.id.b[0] = 1;
	r.id.b[15] = (uint8_t)id;
	int len = record_format(&r, out, cap);
	fuzz_check(len > 0, "no record");
	return (size_t)len;
}

static struct link_owner owner_of(struct world *w, unsigned n)
{
	return (struct link_owner){w->client[n].conn, server_owner(w->mb.server, w->client[n].conn)};
}

static void push(struct world *w, unsigned n, struct fuzz *in)
{
	static uint8_t record[RECORD_MAX], bytes[RECORD_MAX + 64];
	struct link_message m = {.type = LINK_PUSH};
	unsigned how = fuzz_byte(in), id = fuzz_byte(in);
	m.push.to = owner_of(w, n);
	m.push.lane = (enum priority)(id % 3);
	m.push.stored = how & 1;
	if (how & 2)
		m.push.prev = (struct ulid){{[0] = 1, [15] = (uint8_t)(id - 1)}};
	m.push.record = record;
	m.push.record_len = write_record(id, fuzz_piece(in, 2000), record, sizeof record);
	if (how & 4)
		record[30] ^= 0x80; /* damaged */
	if (how & 8)
		m.push.record_len = 10; /* cut */
	int len = link_encode(&m, bytes, sizeof bytes);
	fuzz_check(len > 0, "no PUSH");
	feed(w, bytes, (size_t)len);
}

static void batch(struct world *w, unsigned n, struct fuzz *in)
{
	static uint8_t record[RECORD_MAX], blobs[40 * 300], bytes[sizeof blobs + 64];
	struct writer out = writer_over(blobs, sizeof blobs);
	struct link_message m = {.type = LINK_BATCH};
	unsigned how = fuzz_byte(in), id = fuzz_byte(in);
	m.batch.to = owner_of(w, n);
	m.batch.status = (enum link_status)(how % 8 < 3 ? how % 8 : 0);
	m.batch.lane = (enum priority)(how % 3);
	m.batch.left = how >> 6;
	m.batch.count = (uint16_t)(fuzz_byte(in) % 40);
	for (unsigned i = 0; i < m.batch.count; i++) {
		struct piece body = {(const uint8_t *)"body", 4};
		size_t len = write_record(id + i, body, record, sizeof record);
		if (how & 8 && i == 1)
			record[30] ^= 0x80; /* damaged */
		link_add_record(&out, record, how & 16 && i == 2 ? 10 : len); /* cut */
	}
	m.batch.records = reader_over(blobs, writer_len(&out));
	int len = link_encode(&m, bytes, sizeof bytes);
	fuzz_check(len > 0, "no BATCH");
	feed(w, bytes, (size_t)len);
}

static void other_message(struct world *w, unsigned n, uint8_t how)
{
	uint8_t bytes[512], record[400];
	struct link_message m = {.type = LINK_NUDGE, .nudge = owner_of(w, n)};
	if (how & 1) {
		m.type = LINK_ACKED;
		m.acked = (struct link_acked){owner_of(w, n), (enum priority)(how / 8 % 3), (enum link_status)(how / 2 % 3), how,
					      how >> 5};
	} else if (how & 2) {
		m.type = LINK_KICK;
		m.kick = (struct link_kick){w->mb.boot, owner_of(w, n), {"mb1", 3}};
		m.kick.of.owner = how & 4 ? 100u + how : m.kick.of.owner;
	}
	if ((how & 7) == 4) {
		m.type = LINK_KEPT;
	} else if ((how & 7) == 0 && how) {
		m.type = LINK_BROADCAST;
		m.broadcast.record = record;
		m.broadcast.record_len = write_record(how, (struct piece){(const uint8_t *)"now", 3}, record, sizeof record);
		if (how & 0x80)
			record[30] ^= 0x80; /* damaged */
	}
	int len = link_encode(&m, bytes, sizeof bytes);
	fuzz_check(len > 0, "no message");
	feed(w, bytes, (size_t)len);
}

static void withdraw(struct world *w, unsigned n, uint8_t id)
{
	uint8_t bytes[64];
	struct link_message m = {.type = LINK_WITHDRAW, .withdraw = {owner_of(w, n), {{[0] = 1, [15] = id}}}};
	int len = link_encode(&m, bytes, sizeof bytes);
	fuzz_check(len > 0, "no WITHDRAW");
	feed(w, bytes, (size_t)len);
}

/* ---- ---- */

static void tick(struct world *w, uint64_t ms)
{
	fuzz_now_ms += ms;
	server_tick(w->mb.server, fuzz_now_ms, fuzz_wall_ms());
	shed_tick(&w->mb.shed, w->mb.server, &w->udp, fuzz_now_ms, 9000);
	lease_tick(&w->mb);
	delivery_tick(&w->mb);
	broadcast_tick(&w->mb, true);
	fake_loop_advance(2); /* the walk */
	mb_flush(&w->mb);
}

static void step(struct world *w, struct fuzz *in)
{
	uint8_t op = fuzz_byte(in);
	unsigned n = op >> 7;
	struct frame close = {.type = FRAME_CLOSE};
	switch ((op & 15) % 14) {
	case 0: log_in(w, n); break;
	case 1: answer_well(w, fuzz_byte(in)); break;
	case 2: {
		uint8_t how = fuzz_byte(in);
		for (unsigned i = 0; i < (op & 0x40 ? 16 : 1); i++) /* also what these answers ask in turn */
			answer_well(w, how);
		break;
	}
	case 3: {
		struct piece p = fuzz_piece(in, 4096);
		fake_redis_feed(p.data, p.len);
		fake_redis_run(NULL, NULL);
		break;
	}
	case 4: {
		struct piece p = fuzz_piece(in, 4096);
		feed(w, p.data, p.len);
		break;
	}
	case 5: push(w, n, in); break;
	case 6: batch(w, n, in); break;
	case 7: other_message(w, n, fuzz_byte(in)); break;
	case 8: {
		uint8_t from = fuzz_byte(in);
		acknowledge(w, n, from, fuzz_byte(in));
		break;
	}
	case 9: tick(w, fuzz_number(in, 1) * 50); break;
	case 10: fake_redis_lose(op & 0x40 ? RS_ELOST : RS_ETIMEOUT); break;
	case 11:
		fake_stream_break(w->dc);
		if (op & 0x40)
			fake_redis_lose(RS_ELOST), link_up(w);
		break;
	case 12:
		if (!(op & 0x40)) {
			say(w, n, &close);
			break;
		}
		w->refuses = !w->refuses;
		fake_redis_refuse(w->refuses);
		if (!w->refuses)
			broadcast_read_anew(&w->mb);
		break;
	case 13:
		if (op & 0x40)
			request(w, n, in);
		else if (op & 0x20)
			withdraw(w, n, fuzz_byte(in));
		else
			server_close_session(w->mb.server, w->client[n].conn, fuzz_now_ms, CLOSE_SHUTDOWN);
		break;
	}
	mb_flush(&w->mb);
}

static void open_broker(struct world *w, unsigned how)
{
	static const struct server_handler engine = {sends, on_login, on_acked, on_gone, on_request};
	static const struct peers_handler dcs = {on_dc_up, on_dc_message, on_dc_down};
	struct mb *m = &w->mb;
	struct server_config c = {.key = engine_key, .boot = 5, .heartbeat_s = 3, .sessions_max = 8, .cookie_above = 1024};
	struct rds_config redis = {.max_in_flight = 100};
	c.gate.random = fuzz_random;
	w->config = (struct mb_config){.heartbeat_s = 3, .lease_s = 4, .capacity = 8, .logins_max = 4};
	memcpy(w->config.common.id, "mb1", 4);
	m->loop = fake_loop;
	m->config = &w->config;
	m->boot = 5;
	list_init(&m->users);
	list_init(&m->deliveries);
	list_init(&m->logins);
	list_init(&m->ack_ready);
	list_init(&m->notices);
	broadcast_init(m);
	int err = server_new(&m->server, &c, &engine, w, fuzz_now_ms);
	if (!err)
		err = guard_init(&m->guard, how & 1 ? 2 : 0, how & 1 ? 2 : 0);
	if (!err)
		err = rds_new(&m->rds, m->loop, &redis, NULL, NULL);
	if (!err)
		err = auth_redis_new(&m->auth, m->rds);
	if (!err)
		err = peers_new(&m->dcs, m->loop, m->rds, "dc", NULL, "mb1", m->boot, &dcs, w);
	fuzz_check(err == RS_OK, "no broker");
	link_up(w);
}

static void close_broker(struct mb *m)
{
	rds_free(m->rds);
	broadcast_stop(m);
	peers_free(m->dcs);
	while (!list_empty(&m->users)) {
		struct user *u = LIST_ENTRY(m->users.next, struct user, node);
		delivery_free(u);
		notice_forget(m, u);
		lease_stop(m, u);
		free(u);
	}
	broadcast_deinit(m);
	m->auth->free(m->auth);
	guard_deinit(&m->guard);
	server_free(m->server);
}

static void check(const struct world *w)
{
	const struct mb *m = &w->mb;
	unsigned users = 0, logins = 0;
	for (struct list *n = m->users.next; n != &m->users; n = n->next)
		users++;
	for (struct list *n = m->logins.next; n != &m->logins; n = n->next)
		logins++;
	fuzz_check(users == m->user_count && users == server_stats(m->server)->online, "%u users, counted %u", users,
		   m->user_count);
	fuzz_check(logins == m->logins_pending, "%u logins, counted %u", logins, m->logins_pending);
}

void fuzz_start(void) { engine_start(); }

void fuzz_one(struct fuzz *in)
{
	struct world *w = calloc(1, sizeof *w);
	fuzz_check(w != NULL, "out of memory");
	fake_redis_reset();
	fake_stream_reset();
	fake_loop_reset();
	open_broker(w, fuzz_byte(in));
	for (unsigned i = 0; i < STEPS && fuzz_left(in) > 0; i++) {
		step(w, in);
		check(w);
	}
	close_broker(&w->mb);
	fuzz_check(fake_redis_open() == 0 && fake_loop_timers() == 0, "something is left");
	fake_stream_reset();
	free(w);
}
