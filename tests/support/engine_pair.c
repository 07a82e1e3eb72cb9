/* SPDX-License-Identifier: Apache-2.0 */
#include "support/engine_pair.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_state;

static void pair_random(void *out, size_t len)
{
	for (uint8_t *p = out; len-- > 0; p++) {
		random_state ^= random_state << 13;
		random_state ^= random_state >> 7;
		random_state ^= random_state << 17;
		*p = (uint8_t)(random_state >> 32);
	}
}

/* The place of its heartbeats in the interval is the only single byte that a client draws. */
static void whole_intervals(void *out, size_t len)
{
	pair_random(out, len);
	if (len == 1)
		*(uint8_t *)out = UINT8_MAX;
}

static struct addr address(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse(text, &a), RS_OK);
	return a;
}

uint64_t pair_wall(const struct engine_pair *p) { return PAIR_WALL_MS + p->now_ms; }

/* ---- the wire ---- */

static void grow_numbers(struct engine_pair *p);

/* Who numbers, under which key, with what: each once. */
static void watch_number(struct engine_pair *p, uint64_t mark)
{
	if (2 * p->numbers_used >= p->numbers_cap)
		grow_numbers(p);
	size_t i = mark * 0x9e3779b97f4a7c15u >> 20 & (p->numbers_cap - 1);
	while (p->numbers[i] && p->numbers[i] != mark)
		i = (i + 1) & (p->numbers_cap - 1);
	if (p->numbers[i])
		p->repeated++;
	else
		p->numbers_used++;
	p->numbers[i] = mark;
}

static void grow_numbers(struct engine_pair *p)
{
	uint64_t *old = p->numbers;
	unsigned cap = p->numbers_cap;
	p->numbers_cap = cap ? 2 * cap : 1024;
	p->numbers = calloc(p->numbers_cap, sizeof *p->numbers);
	cr_assert_not_null(p->numbers);
	p->numbers_used = 0;
	for (unsigned i = 0; i < cap; i++)
		if (old[i])
			watch_number(p, old[i]);
	free(old);
}

static void watch(struct engine_pair *p, bool to_client, const uint8_t *data)
{
	bool numbered = data[0] == PACKET_DATA || data[0] == PACKET_HEARTBEAT;
	if (!numbered)
		return; /* answers to heartbeats bear the heartbeat's number, under their own type */
	struct packet_header h = packet_read_header(data);
	watch_number(p, 1ull << 63 | (uint64_t)to_client << 62 | (uint64_t)(p->epoch & 15) << 56 |
			(uint64_t)h.conn << 24 | h.number);
}

static void note(struct engine_pair *p, bool to_client, const struct datagram *d)
{
	unsigned type = d->data[0] % PAIR_TYPES;
	p->sent++;
	p->count[to_client][type]++;
	p->last[to_client][type] = *d;
	watch(p, to_client, d->data);
	if (!p->log_all)
		return;
	p->log = realloc(p->log, (p->log_count + 1) * sizeof *p->log);
	cr_assert_not_null(p->log);
	p->log[p->log_count++] = *d;
}

static void transmit(struct engine_pair *p, const struct addr *from, const struct addr *to,
		     const uint8_t *data, size_t len)
{
	struct datagram d = {.due_ms = p->now_ms + p->options.delay_ms, .from = *from, .to = *to, .len = len};
	cr_assert_leq(len, PACKET_MAX);
	memcpy(d.data, data, len);
	note(p, !addr_equal(to, &p->server_addr) && !addr_equal(to, &p->balancer_addr), &d);
	if (p->pass && !p->pass(p, &d))
		return;
	cr_assert_lt(p->wire_count, PAIR_WIRE_MAX);
	p->wire[p->wire_count++] = d;
}

void pair_hand(struct engine_pair *p, const struct datagram *d)
{
	uint8_t *exact = malloc(d->len); /* so that a read behind its end is noticed */
	cr_assert(exact || d->len == 0);
	if (d->len)
		memcpy(exact, d->data, d->len);
	if (addr_equal(&d->to, &p->server_addr) && p->server) {
		server_recv(p->server, p->now_ms, pair_wall(p), &d->from, exact, d->len);
		server_flush(p->server, p->now_ms, pair_wall(p));
	} else if (addr_equal(&d->to, &p->balancer_addr)) {
		balancer_recv(&p->balancer, p->now_ms, &d->from, exact, d->len);
	}
	for (unsigned i = 0; i < PAIR_CLIENTS; i++) {
		if (!p->client[i].client || !addr_equal(&d->to, &p->client[i].addr))
			continue;
		client_recv(p->client[i].client, p->now_ms, pair_wall(p), &d->from, exact, d->len);
		client_flush(p->client[i].client, p->now_ms);
	}
	free(exact);
}

void pair_settle(struct engine_pair *p)
{
	server_flush(p->server, p->now_ms, pair_wall(p));
	while (!p->hold && p->wire_count && p->wire[0].due_ms <= p->now_ms) {
		struct datagram d = p->wire[0];
		memmove(p->wire, p->wire + 1, --p->wire_count * sizeof *p->wire);
		pair_hand(p, &d);
	}
}

/* ---- the broker's application ---- */

static void server_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct engine_pair *p = ctx;
	transmit(p, &p->server_addr, to, data, len);
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *login, const struct addr *from)
{
	struct engine_pair *p = ctx;
	(void)from;
	cr_assert_arr_eq(login->user, "alice", 5);
	p->events++;
	p->logins++;
	p->login_conn = conn;
	if (p->login_does == PAIR_HOLD)
		return;
	if (p->login_does == PAIR_REJECT) {
		cr_assert_eq(server_reject(p->server, conn, p->now_ms, p->reject_code, p->reject_retry_ms), RS_OK);
		return;
	}
	if (p->conn)
		server_close_session(p->server, p->conn, p->now_ms, CLOSE_SUPERSEDED);
	cr_assert_eq(server_accept(p->server, conn, p->now_ms, p->logins, p), RS_OK);
	p->conn = conn;
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	struct engine_pair *p = ctx;
	cr_assert_eq(user, p);
	cr_assert_eq(conn, p->conn);
	p->events++;
	if (p->acked < PAIR_NOTES)
		p->acked_id[p->acked] = (uint32_t)be_get(done->id.b + 12, 4);
	p->acked++;
	p->voided += done->voided;
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	struct engine_pair *p = ctx;
	cr_assert_eq(user, p);
	p->events++;
	p->gone++;
	p->gone_why = why;
	if (p->conn == conn)
		p->conn = 0;
}

static void on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f)
{
	struct engine_pair *p = ctx;
	cr_assert_eq(user, p);
	cr_assert_lt(p->asks, PAIR_REPLIES);
	struct pair_asked *a = &p->asked_for[p->asks++];
	*a = (struct pair_asked){.conn = conn, .number = f->number, .kind = f->kind};
	memcpy(a->text, f->text, f->text_len);
	p->events++;
	if (!p->reply_waits)
		server_reply(p->server, conn, f->number, p->reply_with);
}

static const struct server_handler server_events = {server_sends, on_login, on_acked, on_gone, on_request};

void pair_restart_server(struct engine_pair *p)
{
	server_free(p->server);
	p->conn = 0;
	p->epoch++;
	p->server_config.boot++;
	cr_assert_eq(server_new(&p->server, &p->server_config, &server_events, p, p->now_ms), RS_OK);
}

/* ---- the balancer ---- */

static void balancer_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct engine_pair *p = ctx;
	transmit(p, &p->balancer_addr, to, data, len);
}

static void choose(void *ctx, const struct addr *from, const struct ask_payload *ask,
		   struct answer_payload *out)
{
	struct engine_pair *p = ctx;
	(void)from;
	p->events++;
	p->asked = *ask;
	*out = p->answer;
}

static const struct balancer_handler balancer_events = {balancer_sends, choose};

/* ---- the clients ---- */

static void client_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct pair_client *c = ctx;
	transmit(c->pair, &c->addr, to, data, len);
}

static bool body_ok(const struct record *r, uint32_t n)
{
	for (size_t i = 0; i < r->body_len; i++)
		if (r->body[i] != (uint8_t)(n * 31 + i * 7 + (i >> 8)))
			return false;
	return true;
}

static int on_message(void *ctx, const struct client_message *m)
{
	struct pair_client *c = ctx;
	uint32_t n = (uint32_t)be_get(m->record.id.b + 12, 4);
	c->pair->events++;
	c->offers++;
	if (c->refuse) {
		c->refuse -= c->refuse != UINT32_MAX;
		return -1;
	}
	cr_assert_lt(c->shown, PAIR_NOTES);
	c->id[c->shown] = n;
	c->body_len[c->shown++] = m->record.body_len;
	c->damaged += !body_ok(&m->record, n);
	return 0;
}

static void on_state(void *ctx, enum client_state state, unsigned why)
{
	struct pair_client *c = ctx;
	c->pair->events++;
	c->changes++;
	c->state = state;
	c->why = why;
}

static void on_reply(void *ctx, uint32_t number, unsigned code)
{
	struct pair_client *c = ctx;
	cr_assert_lt(c->replies, PAIR_REPLIES);
	c->pair->events++;
	c->reply_number[c->replies] = number;
	c->reply_code[c->replies++] = code;
}

static const struct client_handler client_events = {client_sends, on_message, on_state, on_reply};

static struct client_config client_config(const struct engine_pair *p)
{
	struct client_config c = {.user = "alice", .session = "unit-session", .window = p->options.window,
				  .random = p->options.drawn_beats ? pair_random : whole_intervals};
	c.broker.address = p->server_addr;
	memcpy(c.broker.key, p->server_key.pub, sizeof c.broker.key);
	if (p->options.balancer) {
		c.balancer_count = 1;
		c.balancer[0].address = p->balancer_addr;
		c.balancer[0].key_count = 1;
		memcpy(c.balancer[0].key[0], p->balancer_key.pub, 32);
	}
	return c;
}

struct client *pair_start(struct engine_pair *p, unsigned i)
{
	struct pair_client *c = &p->client[i];
	if (!c->client) {
		struct client_config config = client_config(p);
		c->pair = p;
		c->addr = address(i ? "10.0.0.2:4000" : "10.0.0.1:4000");
		cr_assert_eq(client_new(&c->client, &config, &client_events, c), RS_OK);
	}
	client_start(c->client, p->now_ms, pair_wall(p));
	return c->client;
}

/* ---- time ---- */

static void tick(struct engine_pair *p)
{
	if (server_deadline(p->server) <= p->now_ms)
		server_tick(p->server, p->now_ms, pair_wall(p));
	for (unsigned i = 0; i < PAIR_CLIENTS; i++)
		if (p->client[i].client && client_deadline(p->client[i].client) <= p->now_ms)
			client_tick(p->client[i].client, p->now_ms, pair_wall(p));
}

static uint64_t next_event(const struct engine_pair *p, uint64_t end)
{
	uint64_t at = server_deadline(p->server) < end ? server_deadline(p->server) : end;
	if (!p->hold && p->wire_count && p->wire[0].due_ms < at)
		at = p->wire[0].due_ms;
	for (unsigned i = 0; i < PAIR_CLIENTS; i++)
		if (p->client[i].client && client_deadline(p->client[i].client) < at)
			at = client_deadline(p->client[i].client);
	return at > p->now_ms ? at : p->now_ms + 1;
}

/* All that is due now. */
static void turn(struct engine_pair *p)
{
	pair_settle(p);
	tick(p);
	pair_settle(p);
}

void pair_run(struct engine_pair *p, uint64_t ms)
{
	uint64_t end = p->now_ms + ms;
	turn(p);
	while (p->now_ms < end) {
		p->now_ms = next_event(p, end);
		turn(p);
	}
}

bool pair_until(struct engine_pair *p, enum client_state state, uint64_t limit_ms)
{
	uint64_t end = p->now_ms + limit_ms;
	turn(p);
	while (p->client[0].state != state && p->now_ms < end) {
		p->now_ms = next_event(p, end);
		turn(p);
	}
	return p->client[0].state == state;
}

/* ---- life ---- */

static struct keypair make_key(void)
{
	uint8_t priv[32];
	struct keypair k;
	pair_random(priv, sizeof priv);
	cr_assert_eq(x25519_from_private(priv, &k), RS_OK);
	return k;
}

static void start_balancer(struct engine_pair *p)
{
	struct balancer_config b = {.key = p->balancer_key, .gate = p->server_config.gate};
	b.gate.free_per_s = p->options.balancer_cookie_above;
	cr_assert_eq(balancer_init(&p->balancer, &b, &balancer_events, p, p->now_ms), RS_OK);
	p->answer.count = 1;
	p->answer.broker[0].address = p->server_addr;
	memcpy(p->answer.broker[0].key, p->server_key.pub, 32);
}

struct engine_pair *pair_new(const struct pair_options *o)
{
	struct engine_pair *p = calloc(1, sizeof *p);
	cr_assert_not_null(p);
	random_state = 0x5eed5eed5eedu;
	if (o)
		p->options = *o;
	p->wire = calloc(PAIR_WIRE_MAX, sizeof *p->wire);
	cr_assert_not_null(p->wire);
	p->now_ms = 1000;
	p->server_addr = address("192.0.2.1:7200");
	p->balancer_addr = address("192.0.2.2:7300");
	p->server_key = make_key();
	p->balancer_key = make_key();
	p->server_config = (struct server_config){
		.key = p->server_key, .gate = p->options.gate,
		.heartbeat_s = p->options.heartbeat_s ? p->options.heartbeat_s : PAIR_HEARTBEAT_S,
		.sessions_max = p->options.sessions_max ? p->options.sessions_max : 64,
		.cookie_above = p->options.cookie_always ? 0 : p->options.cookie_above ? p->options.cookie_above : 1024};
	p->server_config.gate.random = pair_random;
	pair_restart_server(p);
	start_balancer(p);
	return p;
}

struct engine_pair *pair_online(const struct pair_options *o)
{
	struct engine_pair *p = pair_new(o);
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_ONLINE, 5000));
	pair_settle(p);
	return p;
}

void pair_free(struct engine_pair *p)
{
	cr_expect_eq(p->repeated, 0, "%u packet numbers were used twice", p->repeated);
	for (unsigned i = 0; i < PAIR_CLIENTS; i++)
		client_free(p->client[i].client);
	server_free(p->server);
	balancer_deinit(&p->balancer);
	free(p->numbers);
	free(p->wire);
	free(p->log);
	free(p);
}

/* ---- what tests make ---- */

struct ulid pair_id(uint32_t n)
{
	struct ulid id = {{1, 2, 3}};
	be_put(id.b + 12, n, 4);
	return id;
}

int pair_push(struct engine_pair *p, uint32_t n, size_t body_len, uint64_t expires_ms)
{
	static uint8_t body[RECORD_BODY_MAX];
	for (size_t i = 0; i < body_len; i++)
		body[i] = (uint8_t)(n * 31 + i * 7 + (i >> 8));
	struct record r = {.id = pair_id(n), .sent_ms = pair_wall(p), .expires_ms = expires_ms, .app = "unit",
			   .app_len = 4, .body = body, .body_len = body_len};
	return server_push(p->server, p->conn, &r, OBJECT_STORED, (uint8_t)n, pair_wall(p));
}

struct session *pair_session(const struct engine_pair *p, unsigned client)
{
	return table_find(&p->server->table, p->client[client].client->conn);
}

struct datagram pair_seal_bytes(struct engine_pair *p, bool to_client, const uint8_t *frames, size_t len)
{
	struct client *c = p->client[0].client;
	struct session *x = pair_session(p, 0);
	struct datagram d = {.from = p->client[0].addr, .to = p->server_addr};
	if (to_client)
		d = (struct datagram){.from = p->server_addr, .to = p->client[0].addr};
	memcpy(d.data + PACKET_HEADER, frames, len);
	int total = to_client ? keys_seal(&x->keys, x->conn, x->next_number++, d.data, len)
			      : keys_seal(&c->keys, c->conn, c->next_number++, d.data, len);
	cr_assert_gt(total, 0);
	d.len = (size_t)total;
	return d;
}

struct datagram pair_seal(struct engine_pair *p, bool to_client, const struct frame *f, unsigned count)
{
	uint8_t frames[PACKET_FRAMES_MAX];
	struct writer w = writer_over(frames, sizeof frames);
	for (unsigned i = 0; i < count; i++)
		frame_write(&w, &f[i]);
	cr_assert_not(w.failed);
	return pair_seal_bytes(p, to_client, frames, writer_len(&w));
}

/* ---- images ---- */

static void add(struct pair_image *m, const void *data, size_t len)
{
	if (m->len + len > m->cap) {
		m->cap = 2 * (m->len + len);
		m->data = realloc(m->data, m->cap);
		cr_assert_not_null(m->data);
	}
	memcpy(m->data + m->len, data, len);
	m->len += len;
}

static void forget_limits(struct gate *g)
{
	memset(&g->stats, 0, sizeof g->stats);
	g->second_ms = g->slice_ms = g->in_second = g->in_slice = 0;
	g->paid = false;
}

static void add_server(struct pair_image *m, const struct server *s)
{
	struct server copy;
	memcpy(&copy, s, sizeof copy);
	memset(&copy.stats, 0, sizeof copy.stats);
	copy.reset_window_ms = copy.resets = 0;
	forget_limits(&copy.gate);
	add(m, &copy, sizeof copy);
	add(m, s->half.at, s->half.buckets * 4 * sizeof *s->half.at);
	for (uint32_t i = 0; i < s->table.size; i++) {
		struct session x;
		memcpy(&x, table_at(&s->table, i), sizeof x);
		x.bad = 0;
		add(m, &x, sizeof x);
		if (x.outbox)
			add(m, x.outbox, sizeof *x.outbox);
	}
}

static void add_client(struct pair_image *m, const struct client *c)
{
	struct client copy;
	memcpy(&copy, c, sizeof copy);
	memset(&copy.stats, 0, sizeof copy.stats);
	add(m, &copy, sizeof copy);
	if (c->seen)
		add(m, &c->seen->count, sizeof c->seen->count);
}

void pair_image_take(struct pair_image *m, const struct engine_pair *p)
{
	struct balancer b;
	m->len = 0;
	add_server(m, p->server);
	for (unsigned i = 0; i < PAIR_CLIENTS; i++)
		if (p->client[i].client)
			add_client(m, p->client[i].client);
	memcpy(&b, &p->balancer, sizeof b);
	memset(&b.stats, 0, sizeof b.stats);
	forget_limits(&b.gate);
	add(m, &b, sizeof b);
}

bool pair_image_same(const struct pair_image *m, const struct engine_pair *p)
{
	static struct pair_image now; /* kept: this is called thousands of times */
	pair_image_take(&now, p);
	return now.len == m->len && memcmp(now.data, m->data, m->len) == 0;
}

void pair_image_deinit(struct pair_image *m)
{
	free(m->data);
	*m = (struct pair_image){0};
}
