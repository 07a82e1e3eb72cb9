/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_swarm.h"

#include "bench_meter.h"
#include "operator.h"
#include "say.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 4, NUMBERS_MOVING = 16 }; /* places in a map for each client: new numbers leave old ones behind */
enum { STALL_MS = 30000, PENDING_MS = 100, LOOK_EVERY_MS = 50, TICKS_AT_ONCE = 16, BEAT_EVERY_MS = 20000, LOOK_MS = 2 };
enum { BEATS_WAITING = 1024, BEAT_LOST_MS = 1000, KEYS_AT_ONCE = 256 };

/* ---- who is meant by a number ---- */

static int map_init(struct swarm_map *m, uint32_t count)
{
	uint32_t size = 1024;
	while (size < count)
		size *= 2;
	m->mask = size - 1;
	m->key = calloc(size, sizeof *m->key);
	m->client = calloc(size, sizeof *m->client);
	return m->key && m->client ? RS_OK : RS_ENOMEM;
}

static uint32_t map_place(const struct swarm_map *m, uint64_t key)
{
	uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & m->mask;
	while (m->client[at] && m->key[at] != key)
		at = (at + 1) & m->mask;
	return at;
}

static void map_set(struct swarm_map *m, uint64_t key, uint32_t client)
{
	uint32_t at = map_place(m, key);
	if (!m->client[at] && m->used++ > m->mask - m->mask / 4) {
		m->used--; /* nearly full of numbers long past: this client will not be heard */
		return;
	}
	m->key[at] = key;
	m->client[at] = client + 1;
}

static struct swarm_client *map_get(struct swarm *s, const struct swarm_map *m, uint64_t key)
{
	uint32_t client = m->client[map_place(m, key)];
	return client ? &s->at[client - 1] : NULL;
}

static uint64_t attempt_in(const uint8_t *data) { return be_get(data + 4, 4); }

/* Brokers number their connections each for itself. */
static uint64_t conn_in(const struct addr *broker, const uint8_t *data)
{
	uint64_t from = be_get(broker->ip + 8, 8) * 31 + addr_port(broker);
	return from << 32 | be_get(data + 1, 4);
}

/* ---- the engines' events ---- */

static uint32_t index_of(const struct swarm_client *c) { return (uint32_t)(c - c->swarm->at); }

static void on_send(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct swarm_client *c = ctx;
	struct swarm *s = c->swarm;
	if (data[0] == PACKET_INIT || data[0] == PACKET_ASK)
		map_set(&s->attempts, attempt_in(data), index_of(c));
	else if (client_state(c->engine) == CLIENT_LOGIN)
		map_set(&s->conns, conn_in(to, data), index_of(c));
	if (!s->hold_logins || client_state(c->engine) != CLIENT_LOGIN)
		bench_udp_send(s->udp, index_of(c), to, data, len);
}

static int on_message(void *ctx, const struct client_message *m)
{
	struct swarm_client *c = ctx;
	if (c->swarm->on_shown)
		c->swarm->on_shown(c->swarm->ctx, m);
	return 0;
}

static void on_state(void *ctx, enum client_state state, unsigned why)
{
	struct swarm_client *c = ctx;
	struct swarm *s = c->swarm;
	bool online = state == CLIENT_ONLINE;
	s->online += online - c->online;
	if (online && !c->online && s->on_online)
		s->on_online(s->ctx, index_of(c));
	c->online = online;
	if (state == CLIENT_STOPPED && why != CLOSE_NORMAL) {
		if (s->refused++ == 0)
			say("the broker refuses a client: %s", close_code_text(why));
	}
}

static bool take_key(void *ctx, struct keypair *out)
{
	struct swarm_client *c = ctx;
	return keypool_take(&c->swarm->keys, out);
}

static int make_engine(struct swarm *s, uint32_t i)
{
	static const struct client_handler handler = {on_send, on_message, on_state, NULL};
	char user[BENCH_USER_MAX], session[BENCH_SESSION_MAX];
	bench_user(s->bench, i, user);
	bench_session(s->bench, i, session);
	struct client_config c = s->config;
	c.user = user;
	c.session = session;
	c.ephemeral = take_key;
	random_bytes(c.device, sizeof c.device);
	s->at[i].swarm = s;
	return client_new(&s->at[i].engine, &c, &handler, &s->at[i]);
}

/* After all that may have moved its timers. */
static void note_due(struct swarm *s, uint32_t i) { s->due[i] = client_deadline(s->at[i].engine); }

static void tick(struct swarm *s, uint32_t i, uint64_t now_ms, uint64_t wall_ms)
{
	client_tick(s->at[i].engine, now_ms, wall_ms);
	note_due(s, i);
}

/* ---- datagrams ---- */

static void note_touched(struct swarm *s, struct swarm_client *c)
{
	if (c->touched || s->touched_count == sizeof s->touched / sizeof *s->touched)
		return;
	c->touched = true;
	s->touched[s->touched_count++] = index_of(c);
}

static void on_datagram(void *ctx, const struct bench_datagram *d)
{
	struct swarm *s = ctx;
	struct swarm_client *c = NULL;
	uint8_t type = d->len ? d->data[0] : 0;
	s->came_us = d->came_us;
	if (d->len >= HELLO_HEADER && (type == PACKET_RESP || type == PACKET_COOKIE || type == PACKET_ANSWER))
		c = map_get(s, &s->attempts, attempt_in(d->data));
	else if (d->len >= PACKET_HEADER)
		c = map_get(s, &s->conns, conn_in(&d->from, d->data));
	if (!c) {
		s->bad++;
		return;
	}
	bool beat = type == PACKET_HEARTBEAT_ACK || type == PACKET_HEARTBEAT_MORE;
	uint64_t bad = client_stats(c->engine)->bad_packets;
	client_recv(c->engine, clock_mono_ms(), clock_wall_ms(), &d->from, d->data, d->len);
	note_due(s, index_of(c));
	s->bad += client_stats(c->engine)->bad_packets - bad;
	if (beat && c->beating && client_stats(c->engine)->bad_packets == bad) {
		c->beating = false;
		s->beats_answered++;
		s->beats_waiting--;
	}
	if (!beat)
		note_touched(s, c);
}

unsigned swarm_receive(struct swarm *s, int wait_ms)
{
	unsigned n = bench_udp_receive(s->udp, wait_ms, on_datagram, s);
	for (uint32_t i = 0; i < s->touched_count; i++) {
		struct swarm_client *c = &s->at[s->touched[i]];
		c->touched = false;
		client_flush(c->engine, clock_mono_ms());
		note_due(s, index_of(c));
	}
	s->touched_count = 0;
	bench_udp_flush(s->udp);
	return n;
}

static void look_who_is_due(struct swarm *s, uint64_t now_ms)
{
	s->look_ms = now_ms + LOOK_EVERY_MS;
	s->tick_at = s->tick_count = 0;
	for (uint32_t i = 0; i < s->count; i++)
		if (s->due[i] <= now_ms)
			s->ticks[s->tick_count++] = i;
}

bool swarm_ticks_wait(const struct swarm *s) { return s->tick_at < s->tick_count; }

void swarm_tick(struct swarm *s)
{
	uint64_t now = clock_mono_ms(), wall = clock_wall_ms();
	if (!swarm_ticks_wait(s) && now >= s->look_ms)
		look_who_is_due(s, now);
	for (unsigned n = 0; n < TICKS_AT_ONCE && s->tick_at < s->tick_count; n++) {
		uint32_t i = s->ticks[s->tick_at++];
		if (s->due[i] <= now)
			tick(s, i, now, wall);
	}
	bench_udp_flush(s->udp);
}

int swarm_wait_empty(struct swarm *s, struct bench_redis *r)
{
	uint64_t until = clock_mono_ms() + STALL_MS;
	for (;;) {
		uint32_t left;
		int err = bench_redis_queues(r, s->count, &left);
		if (err || left == 0)
			return err;
		if (clock_mono_ms() > until)
			return say("%u queues are not emptied", left), RS_ETIMEOUT;
		swarm_receive(s, LOOK_MS);
		swarm_tick(s);
	}
}

/* ---- heartbeats ---- */

void swarm_beat(struct swarm *s)
{
	uint64_t now = clock_mono_ms();
	struct swarm_client *c = NULL;
	for (uint32_t tried = 0; tried < s->count; tried++) {
		c = &s->at[s->next_beat];
		s->next_beat = s->next_beat + 1 < s->count ? s->next_beat + 1 : 0;
		if (!c->beating && c->engine && client_state(c->engine) == CLIENT_ONLINE)
			break;
		c = NULL;
	}
	if (!c)
		return;
	c->beating = true;
	s->beats_waiting++;
	client_hint_unreachable(c->engine, now); /* so that it does not wait for its time */
	tick(s, index_of(c), now, 0);
}

void swarm_beat_again(struct swarm *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->at[i].beating)
			tick(s, i, client_deadline(s->at[i].engine), 0);
	bench_udp_flush(s->udp);
}

/* ---- in and out ---- */

static void tick_pending(struct swarm *s, enum client_state enough)
{
	uint64_t now = clock_mono_ms(), wall = clock_wall_ms();
	uint32_t kept = 0;
	for (uint32_t i = 0; i < s->pending_count; i++) {
		struct client *c = s->at[s->pending[i]].engine;
		if (client_state(c) >= enough || client_state(c) == CLIENT_STOPPED)
			continue;
		s->pending[kept++] = s->pending[i];
		if (client_deadline(c) <= now)
			tick(s, s->pending[i], now, wall);
	}
	s->pending_count = kept;
	bench_udp_flush(s->udp);
}

/* Those that are in already must not fall silent while the others come. */
static void keep_alive(struct swarm *s, uint64_t *last_ms)
{
	uint64_t now = clock_mono_ms();
	uint64_t due = (uint64_t)s->online * (now - *last_ms) / BEAT_EVERY_MS;
	bool stuck = s->beats_waiting >= BEATS_WAITING;
	if (due == 0 || (stuck && now - *last_ms < BEAT_LOST_MS))
		return;
	if (stuck)
		swarm_beat_again(s);
	*last_ms = now;
	while (due-- > 0 && s->beats_waiting < BEATS_WAITING)
		swarm_beat(s);
	bench_udp_flush(s->udp);
}

static int start_some(struct swarm *s, uint32_t *next, uint32_t to, uint32_t window)
{
	while (*next < to && s->pending_count < window) {
		int err = make_engine(s, *next);
		if (err)
			return err;
		s->pending[s->pending_count++] = *next;
		client_start(s->at[*next].engine, clock_mono_ms(), clock_wall_ms());
		note_due(s, (*next)++);
	}
	bench_udp_flush(s->udp);
	return RS_OK;
}

static int bring_to(struct swarm *s, uint32_t from, uint32_t to, uint32_t window, enum client_state enough)
{
	uint64_t progress_ms = clock_mono_ms(), tick_ms = progress_ms, beat_ms = progress_ms;
	uint32_t next = from;
	while (next < to || s->pending_count) {
		uint32_t before = s->pending_count;
		int err = start_some(s, &next, to, window);
		if (err)
			return say("the clients cannot be made: %s", err_str(err)), err;
		unsigned got = swarm_receive(s, 5);
		uint64_t now = clock_mono_ms();
		if (got || now - tick_ms >= PENDING_MS) {
			tick_pending(s, enough);
			tick_ms = now;
		}
		if (s->pending_count != before)
			progress_ms = now;
		if (s->refused)
			return RS_EREMOTE;
		if (now - progress_ms > STALL_MS)
			return say("the logins stall: %u of %u clients are online", s->online, s->count), RS_ETIMEOUT;
		keep_alive(s, &beat_ms);
	}
	return RS_OK;
}

int swarm_login(struct swarm *s, uint32_t from, uint32_t to, uint32_t window)
{
	return bring_to(s, from, to, window, CLIENT_ONLINE);
}

int swarm_make_keys(struct swarm *s, uint32_t count)
{
	int err = keypool_init(&s->keys, count, random_bytes);
	while (!err && keypool_fill(&s->keys, KEYS_AT_ONCE)) {
		swarm_receive(s, 0);
		swarm_tick(s);
	}
	return err ? say("out of memory"), err : RS_OK;
}

int swarm_shake(struct swarm *s, uint32_t from, uint32_t to, uint32_t window)
{
	s->hold_logins = true;
	int err = bring_to(s, from, to, window, CLIENT_LOGIN);
	s->hold_logins = false;
	return err;
}

int swarm_release(struct swarm *s, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct client *c = s->at[i].engine;
		s->pending[s->pending_count++] = i;
		if (client_state(c) == CLIENT_LOGIN)
			tick(s, i, client_deadline(c), clock_wall_ms());
		if (i % 64 == 63)
			swarm_receive(s, 1);
	}
	return bring_to(s, to, to, 0, CLIENT_ONLINE);
}

/* Not all at once: the broker clears each one's presence in Redis. */
void swarm_logout(struct swarm *s)
{
	for (uint32_t i = 0; i < s->count; i++) {
		if (!s->at[i].engine)
			continue;
		client_stop(s->at[i].engine);
		note_due(s, i);
		if (i % 64 == 63)
			swarm_receive(s, 5);
	}
	swarm_receive(s, 5);
}

/* ---- whom to speak to ---- */

static int choose_broker(struct swarm *s, const struct member *members, size_t count)
{
	const char *wanted = s->bench->options->broker;
	const struct member *best = NULL;
	for (size_t i = 0; i < count; i++) {
		const struct member *m = &members[i];
		if (!m->alive || m->draining || (wanted && strcmp(wanted, m->id) != 0))
			continue;
		if (!best || m->sessions < best->sessions)
			best = m;
	}
	if (!best) {
		say(wanted ? "no broker \"%s\" is in the registry; see restante brokers" :
		    "no broker is in the registry; see restante doctor", wanted);
		return RS_ENOENT;
	}
	s->config.broker.address = best->address;
	memcpy(s->config.broker.key, best->key, sizeof best->key);
	return RS_OK;
}

static int take_balancers(struct swarm *s, const struct member *members, size_t count)
{
	struct client_config *c = &s->config;
	for (size_t i = 0; i < count && c->balancer_count < CLIENT_BALANCERS_MAX; i++) {
		if (!members[i].alive)
			continue;
		struct client_balancer *b = &c->balancer[c->balancer_count++];
		*b = (struct client_balancer){.address = members[i].address, .key_count = 1};
		memcpy(b->key[0], members[i].key, sizeof members[i].key);
	}
	if (c->balancer_count)
		return RS_OK;
	say("no balancer is in the registry; see restante doctor");
	return RS_ENOENT;
}

static int find_servers(struct swarm *s, bool by_balancers)
{
	static struct member members[REGISTRY_MEMBERS_MAX];
	size_t count;
	int err = operator_list(s->bench->settings, by_balancers ? "lb" : "broker", members, &count);
	if (err)
		return err;
	return by_balancers ? take_balancers(s, members, count) : choose_broker(s, members, count);
}

int swarm_open(struct swarm *s, const struct bench *b, uint32_t count, bool by_balancers)
{
	*s = (struct swarm){.bench = b, .count = count, .config.random = random_bytes};
	int err = find_servers(s, by_balancers);
	if (!err && !by_balancers)
		err = meter_find(b->options->metrics, &s->config.broker.address, &s->metrics);
	if (err)
		return err;
	s->at = calloc(count, sizeof *s->at);
	s->due = malloc(count * sizeof *s->due);
	s->ticks = calloc(count, sizeof *s->ticks);
	s->pending = calloc(count, sizeof *s->pending);
	for (uint32_t i = 0; s->due && i < count; i++)
		s->due[i] = UINT64_MAX;
	uint32_t numbers = by_balancers ? NUMBERS_MOVING : NUMBERS;
	err = s->at && s->due && s->ticks && s->pending ? map_init(&s->attempts, numbers * count) : RS_ENOMEM;
	if (!err)
		err = map_init(&s->conns, numbers * count);
	if (!err)
		err = bench_udp_open(&s->udp, by_balancers ? &s->config.balancer[0].address : &s->config.broker.address);
	if (err)
		say("the clients cannot be made: %s", err == RS_ESYS ? strerror(errno) : err_str(err));
	return err;
}

void swarm_close(struct swarm *s)
{
	for (uint32_t i = 0; s->at && i < s->count; i++)
		client_free(s->at[i].engine);
	bench_udp_close(s->udp);
	free(s->at);
	free(s->due);
	free(s->ticks);
	free(s->pending);
	free(s->attempts.key);
	free(s->attempts.client);
	free(s->conns.key);
	free(s->conns.client);
	keypool_deinit(&s->keys);
	*s = (struct swarm){.count = 0};
}
