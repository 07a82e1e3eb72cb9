/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold in the simulated world whatever happens. The tables are open
 * addressed and outlive a world: a stamp says which world an entry is of, so that
 * nothing needs to be cleared.
 *
 * Nonces: a session is a connection id in one life of a broker, on the client's
 * side one RESP that it took. In it the numbers of what is sent must grow (the
 * engines send in order, and no world comes near 2^24). That two sessions never
 * share keys follows from the ephemeral keys, each of which may stand in one
 * datagram only, byte for byte the same when sent again. */
#include "sim/world_state.h"

#include "base/bytes.h"
#include "session/seen.h"

#include <string.h>

enum {
	SLOTS = 1 << 14,
	SERIALS = 1 << 20,
	BEATS = 32,
	E_AT_HELLO = HELLO_HEADER + COOKIE_LEN, /* of the ephemeral key in INIT and ASK */
	E_AT_ANSWER = HELLO_HEADER,             /* in RESP and ANSWER */

	/* What an engine may hold beside the bytes of messages. */
	FIELDS = 96,             /* of a message that are not its body */
	INBOX_COST = 40,         /* of a message in an inbox */
	REQUEST_COST = 104,      /* of a request that waits */
	CLIENT_SLACK = 256,
	OUTBOX_COST = 256,       /* of a message in an outbox, ... */
	PIECE_COST = 32,         /* ... and of each of its pieces */
	SLACK = 2048,
};

struct slot {
	uint64_t key;
	uint32_t stamp;
	bool proven;
	uint64_t a, b;         /* received and sent; or a hash; or an owner */
	uint32_t beats[BEATS]; /* of a session: heartbeats answered last, number + 1 */
};

static struct slot table[SLOTS];
static uint32_t taken[SERIALS];
static uint32_t stamp;
static unsigned filled;

void world_check_begin(void)
{
	stamp++;
	filled = 0;
}

void world_fault(struct world *w, enum world_fault f)
{
	w->result.fault[f]++;
	world_trace(w, "FAULT: %s", world_fault_text(f));
}

/* The entry of this key, made if there is none; NULL: full (the rest goes unchecked). */
static struct slot *slot_of(uint64_t key)
{
	struct slot *s = &table[key % SLOTS];
	while (s->stamp == stamp && s->key != key)
		s = s == &table[SLOTS - 1] ? table : s + 1;
	if (s->stamp == stamp)
		return s;
	if (filled >= SLOTS / 2)
		return NULL;
	filled++;
	*s = (struct slot){.key = key, .stamp = stamp};
	return s;
}

static uint64_t addr_key(uint64_t kind, const struct addr *a)
{
	uint64_t h = bytes_mix(kind, be_get(a->ip, 8));
	h = bytes_mix(h, be_get(a->ip + 8, 8));
	return bytes_mix(h, be_get(a->port, 2));
}

/* ---- numbers and ephemeral keys ---- */

static uint64_t hash_of(const uint8_t *data, size_t len)
{
	uint64_t h = len;
	for (; len >= 8; data += 8, len -= 8)
		h = bytes_mix(h, be_get(data, 8));
	return len ? bytes_mix(h, be_get(data, len)) : h;
}

void world_check_hello(struct world *w, const uint8_t *data, size_t len, size_t e_at)
{
	uint64_t h = hash_of(data, len);
	struct slot *s = slot_of(bytes_mix(3, be_get(data + e_at, 8)));
	if (!s)
		return;
	if (s->a && s->a != h)
		world_fault(w, FAULT_NONCE);
	s->a = h;
}

/* One key exchange for an attempt and one more for its cookie, however many
 * cookies somebody forges. */
static void check_attempt(struct peer *p, const uint8_t *data)
{
	uint64_t e = be_get(data + E_AT_HELLO, 8);
	uint32_t attempt = (uint32_t)be_get(data + 4, 4);
	if (attempt != p->attempt)
		p->exchanges = 0;
	if (attempt != p->attempt || e != p->exchange)
		p->exchanges++;
	if (p->exchanges > 2)
		world_fault(p->world, FAULT_FORGED);
	p->attempt = attempt;
	p->exchange = e;
}

void world_check_client_sends(struct peer *p, const uint8_t *data, size_t len)
{
	if (data[0] == PACKET_INIT || data[0] == PACKET_ASK) {
		check_attempt(p, data);
		world_check_hello(p->world, data, len, E_AT_HELLO);
		return;
	}
	int64_t number = packet_read_header(data).number;
	if (number <= p->last_number)
		world_fault(p->world, FAULT_NONCE);
	p->last_number = number;
}

/* Each heartbeat is answered once. */
static void check_beat(struct world *w, struct slot *s, uint32_t number)
{
	for (unsigned i = 0; i < BEATS; i++)
		if (s->beats[i] == number + 1)
			world_fault(w, FAULT_REPLAYED);
	memmove(s->beats + 1, s->beats, sizeof s->beats - sizeof *s->beats);
	s->beats[0] = number + 1;
}

void world_check_server_sends(struct broker *b, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = b->world;
	world_check_answer(w, b->index, b->config.boot, to, len);
	if (data[0] == PACKET_RESP)
		world_check_hello(w, data, len, E_AT_ANSWER);
	if (data[0] > PACKET_HEARTBEAT_MOVED || data[0] == PACKET_RESET)
		return;
	struct packet_header h = packet_read_header(data);
	struct slot *s = slot_of(bytes_mix(bytes_mix(bytes_mix(4, b->index), b->config.boot), h.conn));
	if (!s)
		return;
	if (h.type != PACKET_DATA) {
		check_beat(w, s, h.number);
		return;
	}
	if (h.number < s->a)
		world_fault(w, FAULT_NONCE);
	s->a = h.number + 1;
}

/* ---- addresses ---- */

static struct slot *node_address(unsigned node, uint64_t boot, const struct addr *at)
{
	return slot_of(addr_key(bytes_mix(bytes_mix(16, node), boot), at));
}

void world_check_request(struct world *w, unsigned node, uint64_t boot, const struct addr *from, size_t len)
{
	(void)w;
	struct slot *s = node_address(node, boot, from);
	if (s)
		s->a += len;
}

/* Both: this answer is no longer than its request, and all of them together. */
void world_check_answer(struct world *w, unsigned node, uint64_t boot, const struct addr *to, size_t len)
{
	struct slot *s = node_address(node, boot, to);
	if (!s || s->proven)
		return;
	s->b += len;
	bool answers = w->request_from && addr_equal(w->request_from, to);
	if (s->b > s->a || !answers || len > w->request_len)
		world_fault(w, FAULT_AMPLIFIED);
}

void world_check_proven(struct world *w, unsigned node, uint64_t boot, const struct addr *at)
{
	(void)w;
	struct slot *s = node_address(node, boot, at);
	if (s)
		s->proven = true;
}

void world_check_own(const struct peer *p, const struct addr *at)
{
	struct slot *s = slot_of(addr_key(8, at));
	if (s)
		s->a |= 1ull << (p - p->world->peer);
}

bool world_check_owns(const struct peer *p, const struct addr *at)
{
	struct slot *s = slot_of(addr_key(8, at));
	return !s || s->a >> (p - p->world->peer) & 1;
}

/* ---- what was taken for genuine ---- */

void world_check_taken(struct world *w, const struct flying *f)
{
	if (f->serial == 0) {
		world_fault(w, FAULT_FORGED);
		return;
	}
	if (f->serial >= SERIALS)
		return;
	if (taken[f->serial] == stamp)
		world_fault(w, FAULT_REPLAYED);
	taken[f->serial] = stamp;
}

/* ---- memory ---- */

static size_t window_of(const struct world *w)
{
	return w->plan.window ? w->plan.window : CLIENT_WINDOW;
}

static size_t largest(const struct world *w, size_t a)
{
	size_t message = w->plan.size_max + FIELDS;
	return a > message ? a : message;
}

/* A window, and the one that is next whatever else is held; ids that were shown;
 * requests. */
static size_t client_bound(const struct peer *p)
{
	const struct world *w = p->world;
	return p->base_bytes + sizeof(struct seen) + largest(w, window_of(w)) + largest(w, 0) +
	       INBOX_REFS * INBOX_COST + CLIENT_REQUESTS_MAX * REQUEST_COST + CLIENT_SLACK;
}

/* An outbox for each session of a user, of which one may not have heard yet that
 * it was superseded. */
static size_t server_bound(const struct broker *b)
{
	size_t window = window_of(b->world) > MESSAGE_TOTAL_MAX ? window_of(b->world) : MESSAGE_TOTAL_MAX;
	size_t pieces = window / FRAME_PIECE + OUTBOX_REFS_MAX;
	size_t outbox = window + pieces * PIECE_COST + (size_t)OUTBOX_REFS_MAX * OUTBOX_COST;
	return b->base_bytes + 2 * outbox * b->world->plan.clients + SLACK;
}

static void check_counts(struct world *w, const struct broker *b)
{
	const struct server_stats *s = server_stats(b->server);
	if (s->sessions > b->config.sessions_max || s->half_open > SERVER_HALF_OPEN_MAX ||
	    s->half_open > s->sessions)
		world_fault(w, FAULT_MEMORY);
}

void world_check_bounds(struct world *w)
{
	for (unsigned i = 0; i < w->plan.brokers; i++) {
		struct broker *b = &w->broker[i];
		if (b->server)
			check_counts(w, b);
		if (b->base_bytes && b->meter.peak > server_bound(b)) {
			world_fault(w, FAULT_MEMORY);
			b->meter.peak = b->base_bytes; /* once is enough */
		}
	}
	for (unsigned i = 0; i < w->plan.clients; i++)
		if (w->peer[i].meter.peak > client_bound(&w->peer[i])) {
			world_fault(w, FAULT_MEMORY);
			w->peer[i].meter.peak = 0; /* once is enough */
		}
}

/* No outbox, no inbox: as at the beginning, but for the ids that were shown. */
void world_check_end(struct world *w)
{
	for (unsigned i = 0; i < w->plan.brokers; i++) {
		const struct broker *b = &w->broker[i];
		if (b->server && b->base_bytes && b->meter.live > b->base_bytes + SLACK)
			world_fault(w, FAULT_MEMORY);
	}
	for (unsigned i = 0; i < w->plan.clients; i++) {
		const struct peer *p = &w->peer[i];
		if (p->meter.live > p->base_bytes + sizeof(struct seen) + CLIENT_SLACK)
			world_fault(w, FAULT_MEMORY);
	}
}
