/* SPDX-License-Identifier: Apache-2.0 */
#include "session/outbox.h"

#include <stdlib.h>
#include <string.h>

enum piece_state { PIECE_WAITING, PIECE_IN_FLIGHT, PIECE_ACKED };

struct piece {
	uint64_t sent_ms;
	uint32_t number; /* of the packet that last carried it */
	uint8_t state;   /* enum piece_state */
	bool was_sent;
};

struct outmsg {
	struct list node;
	struct outbox_entry entry;
	uint32_t ref;
	uint16_t total;   /* 0 once void */
	uint8_t pieces;   /* at least 1, also when void */
	bool voided;
	uint8_t *data;    /* behind piece[] */
	struct piece piece[];
};

enum {
	REORDER = 3,         /* RFC 9002, 6.1.1: packets later that make a loss */
	PROBE_MIN_MS = 1000, /* the application takes its time: do not ask more often, ... */
	PROBE_DOUBLE = 3,    /* ... and less often each time, so many times */
};

void outbox_init(struct outbox *o, uint32_t conn)
{
	*o = (struct outbox){.conn = conn, .cwnd = OUTBOX_CWND_FIRST, .threshold = OUTBOX_CWND_MAX,
			     .ends_ms = UINT64_MAX, .expiry_ms = UINT64_MAX};
	list_init(&o->messages);
	list_init(&o->ready);
}

static struct outmsg *first_message(const struct outbox *o)
{
	return LIST_ENTRY(o->messages.next, struct outmsg, node);
}

static struct outmsg *next_message(struct outmsg *m) { return LIST_ENTRY(m->node.next, struct outmsg, node); }

static bool is_end(const struct outbox *o, const struct outmsg *m) { return &m->node == &o->messages; }

void outbox_deinit(struct outbox *o)
{
	while (!list_empty(&o->messages)) {
		struct outmsg *m = first_message(o);
		list_remove(&m->node);
		free(m);
	}
	list_remove(&o->ready);
}

bool outbox_has_room(const struct outbox *o, uint32_t window)
{
	return o->count == 0 || (o->count < OUTBOX_REFS_MAX && o->bytes < window);
}

int outbox_add(struct outbox *o, uint32_t ref, const struct outbox_entry *e, const uint8_t *object,
	       size_t len, uint32_t window)
{
	if (len == 0 || len > MESSAGE_TOTAL_MAX)
		return RS_ELIMIT;
	if (o->count > 0 && (!outbox_has_room(o, window) || o->bytes + len > window ||
			     ref - first_message(o)->ref >= OUTBOX_REFS_MAX))
		return RS_EBUSY;
	unsigned pieces = frame_pieces((unsigned)len);
	struct outmsg *m = malloc(sizeof *m + pieces * sizeof(struct piece) + len);
	if (!m)
		return RS_ENOMEM;
	*m = (struct outmsg){.entry = *e, .ref = ref, .total = (uint16_t)len, .pieces = (uint8_t)pieces};
	memset(m->piece, 0, pieces * sizeof(struct piece));
	m->data = (uint8_t *)(m->piece + pieces);
	memcpy(m->data, object, len);
	list_append(&o->messages, &m->node);
	o->count++;
	o->bytes += (uint32_t)len;
	if (e->expires_ms < o->ends_ms)
		o->ends_ms = e->expires_ms;
	return RS_OK;
}

static struct outmsg *find_id(const struct outbox *o, const struct ulid *id)
{
	for (struct outmsg *m = first_message(o); !is_end(o, m); m = next_message(m))
		if (ulid_equal(&m->entry.id, id))
			return m;
	return NULL;
}

bool outbox_holds(const struct outbox *o, const struct ulid *id) { return find_id(o, id) != NULL; }

static unsigned piece_len(const struct outmsg *m, unsigned i)
{
	unsigned at = i * FRAME_PIECE;
	return m->total - at < FRAME_PIECE ? m->total - at : FRAME_PIECE;
}

/* The bytes a piece counts for in the congestion window. */
static uint32_t piece_cost(const struct outmsg *m, unsigned i)
{
	return (m->voided ? 0 : piece_len(m, i)) + FRAME_HEADER + 7;
}

static void set_state(struct outbox *o, struct outmsg *m, unsigned i, enum piece_state to)
{
	struct piece *p = &m->piece[i];
	if (p->state == PIECE_IN_FLIGHT)
		o->flight -= piece_cost(m, i);
	if (to == PIECE_IN_FLIGHT)
		o->flight += piece_cost(m, i);
	p->state = (uint8_t)to;
}

/* Not to be shown any more: one empty frame takes its place. */
static void make_void(struct outbox *o, struct outmsg *m)
{
	if (m->voided)
		return;
	for (unsigned i = 0; i < m->pieces; i++)
		set_state(o, m, i, PIECE_WAITING);
	m->voided = true;
	m->pieces = 1;
}

int outbox_withdraw(struct outbox *o, const struct ulid *id)
{
	struct outmsg *m = find_id(o, id);
	if (!m)
		return RS_ENOENT;
	make_void(o, m);
	return RS_OK;
}

static bool put_piece(struct outbox *o, struct outmsg *m, unsigned i, struct writer *w,
		      uint32_t number, uint64_t now_ms)
{
	if (writer_left(w) < piece_cost(m, i))
		return false;
	struct frame f = {.type = FRAME_MESSAGE};
	f.message.ref = m->ref;
	if (!m->voided) {
		f.message.total = m->total;
		f.message.index = (uint8_t)i;
		f.message.piece = m->data + i * FRAME_PIECE;
		f.message.piece_len = (uint16_t)piece_len(m, i);
	}
	frame_write(w, &f);
	m->piece[i].number = number;
	m->piece[i].sent_ms = o->sent_ms = now_ms;
	m->piece[i].was_sent = true;
	set_state(o, m, i, PIECE_IN_FLIGHT);
	o->sent++;
	return true;
}

static void expire(struct outbox *o, uint64_t wall_ms)
{
	o->ends_ms = UINT64_MAX;
	for (struct outmsg *m = first_message(o); !is_end(o, m); m = next_message(m)) {
		if (wall_ms >= m->entry.expires_ms)
			make_void(o, m);
		else if (m->entry.expires_ms < o->ends_ms)
			o->ends_ms = m->entry.expires_ms;
	}
}

bool outbox_fill(struct outbox *o, struct writer *w, uint32_t number, uint64_t now_ms,
		 uint64_t wall_ms)
{
	bool any = false;
	if (o->stalled)
		return false;
	if (wall_ms >= o->ends_ms)
		expire(o, wall_ms);
	o->expiry_ms = o->ends_ms == UINT64_MAX ? UINT64_MAX : now_ms + (o->ends_ms - wall_ms);
	for (struct outmsg *m = first_message(o); !is_end(o, m); m = next_message(m)) {
		for (unsigned i = 0; i < m->pieces; i++) {
			if (m->piece[i].state != PIECE_WAITING)
				continue;
			if (o->flight > 0 && o->flight + piece_cost(m, i) > o->cwnd)
				return any;
			if (!put_piece(o, m, i, w, number, now_ms))
				return any;
			any = true;
		}
	}
	return any;
}

static struct outmsg *find_ref(const struct outbox *o, uint32_t ref)
{
	for (struct outmsg *m = first_message(o); !is_end(o, m); m = next_message(m))
		if (m->ref == ref)
			return m;
	return NULL;
}

static void grow(struct outbox *o, uint32_t acked)
{
	o->cwnd += o->cwnd < o->threshold ? acked : 512u * acked / o->cwnd;
	if (o->cwnd > OUTBOX_CWND_MAX)
		o->cwnd = OUTBOX_CWND_MAX;
}

static void ack_piece(struct outbox *o, struct outmsg *m, unsigned i, uint32_t seen, uint64_t now_ms)
{
	struct piece *p = &m->piece[i];
	if (p->state == PIECE_ACKED || !p->was_sent) /* nobody has what was not sent */
		return;
	if (p->state == PIECE_IN_FLIGHT && p->number == seen)
		rtt_sample(&o->rtt, (uint32_t)(now_ms - p->sent_ms));
	grow(o, piece_cost(m, i));
	set_state(o, m, i, PIECE_ACKED);
}

void outbox_on_fragment_ack(struct outbox *o, const struct frame_fragment_ack *f, uint64_t now_ms)
{
	struct outmsg *m = find_ref(o, f->ref);
	if (!m || (m->voided && f->bitmap)) /* about what it was before */
		return;
	for (unsigned i = 0; i < m->pieces; i++)
		if (m->voided || f->bitmap >> i & 1)
			ack_piece(o, m, i, f->seen, now_ms);
}

static bool was_sent(const struct outmsg *m)
{
	for (unsigned i = 0; i < m->pieces; i++)
		if (!m->piece[i].was_sent)
			return false;
	return true;
}

int outbox_on_message_ack(struct outbox *o, uint32_t ref, uint32_t seen, uint64_t now_ms,
			  struct outbox_done *done)
{
	struct outmsg *m = find_ref(o, ref);
	if (!m || !was_sent(m))
		return RS_ENOENT;
	for (unsigned i = 0; i < m->pieces; i++)
		ack_piece(o, m, i, seen, now_ms);
	*done = (struct outbox_done){m->entry.id, m->entry.handed_ms, m->entry.tag, m->voided};
	o->probes = 0;
	o->count--;
	o->bytes -= m->total;
	list_remove(&m->node);
	free(m);
	return RS_OK;
}

void outbox_on_seen(struct outbox *o, uint32_t seen, uint32_t next)
{
	bool lost = false;
	uint32_t greatest = 0;
	for (struct outmsg *m = first_message(o); !is_end(o, m); m = next_message(m))
		for (unsigned i = 0; i < m->pieces; i++) {
			struct piece *p = &m->piece[i];
			if (p->state != PIECE_IN_FLIGHT || p->number + REORDER > seen)
				continue;
			set_state(o, m, i, PIECE_WAITING);
			o->again++;
			lost = true;
			if (p->number > greatest)
				greatest = p->number;
		}
	if (!lost || greatest < o->recover)
		return;
	o->threshold = o->cwnd / 2 > OUTBOX_CWND_MIN ? o->cwnd / 2 : OUTBOX_CWND_MIN;
	o->cwnd = o->threshold;
	o->recover = next;
}

/* All pieces arrived, but not the word that the message was taken: one piece of
 * the oldest is sent again, to be told. */
static void probe(struct outbox *o)
{
	struct outmsg *m = first_message(o);
	set_state(o, m, m->pieces - 1u, PIECE_WAITING);
	if (o->probes < PROBE_DOUBLE)
		o->probes++;
}

void outbox_on_timeout(struct outbox *o)
{
	if (o->flight == 0 && o->count > 0) {
		probe(o);
		return;
	}
	for (struct outmsg *m = first_message(o); !is_end(o, m); m = next_message(m))
		for (unsigned i = 0; i < m->pieces; i++)
			if (m->piece[i].state == PIECE_IN_FLIGHT) {
				set_state(o, m, i, PIECE_WAITING);
				o->again += o->rtt.backoff == 0; /* later ones tell of silence, not of loss */
			}
	o->cwnd = OUTBOX_CWND_MIN;
	if (++o->rtt.backoff >= OUTBOX_GIVE_UP)
		o->stalled = true;
}

void outbox_on_life(struct outbox *o)
{
	if (!o->stalled)
		return;
	o->stalled = false;
	o->rtt.backoff = 0;
}

void outbox_pace(struct outbox *o, uint64_t now_ms)
{
	uint64_t round_us = 1000ull * rtt_smoothed_ms(&o->rtt), most_us = 1000ull * OUTBOX_PAUSE_MAX_MS;
	uint64_t share_us = round_us * OUTBOX_BURST * PACKET_MAX * 4 / 5 / o->cwnd;
	if (most_us > round_us)
		most_us = round_us;
	uint64_t us = (share_us < most_us ? share_us : most_us) + o->pace_rest_us;
	o->pace_ms = now_ms + (us >= 1000 ? us / 1000 : 1);
	o->pace_rest_us = us >= 1000 ? (uint16_t)(us % 1000) : 0;
}

uint64_t outbox_deadline(const struct outbox *o)
{
	uint32_t rto = rtt_timeout_ms(&o->rtt);
	if (o->stalled || o->count == 0)
		return UINT64_MAX;
	if (o->flight == 0 && rto < (uint32_t)PROBE_MIN_MS << o->probes)
		rto = (uint32_t)PROBE_MIN_MS << o->probes;
	return o->sent_ms + rto;
}
