/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"

#include "base/log.h"
#include "lease.h"

#include <stdlib.h>
#include <string.h>

enum {
	PAGE_COUNT = OUTBOX_REFS_MAX, /* a session takes no more at a time */
	PAGE_BYTES = 64 * 1024,
	NONE = -1,                    /* no DC */
};

struct delivery {
	struct list node;       /* in mb.deliveries */
	struct list ack_node;   /* in mb.ack_ready */
	struct user *user;
	struct ulid last;       /* the last message handed to the engine; zero: none yet */
	uint32_t known;         /* stored messages handed over and not yet deleted */
	int fetching, acking;   /* which DC was asked; NONE */
	bool wanted;            /* there is something to fetch */
	bool again;             /* word of more came while a fetch was under way */
	uint16_t acks, acks_cap, acks_sent; /* collected; of these, in the report under way */
	struct ulid *ack;
};

void delivery_free(struct user *u)
{
	struct delivery *d = u->delivery;
	if (!d)
		return;
	list_remove(&d->node);
	list_remove(&d->ack_node);
	free(d->ack);
	free(d);
	u->delivery = NULL;
}

static struct delivery *get(struct mb *m, struct user *u)
{
	if (u->delivery)
		return u->delivery;
	struct delivery *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->user = u;
	d->fetching = d->acking = NONE;
	list_append(&m->deliveries, &d->node);
	list_init(&d->ack_node);
	u->delivery = d;
	return d;
}

/* The user of an answer or push, if it is still this login. */
static struct user *find_user(struct mb *m, struct link_owner to)
{
	struct user *u = server_user(m->server, to.conn);
	return u && user_owner(m, u) == to.owner ? u : NULL;
}

static void set_wanted(struct mb *m, struct delivery *d, bool wanted)
{
	d->wanted = wanted;
	server_set_more(m->server, d->user->conn, wanted);
}

/* ---- fetching ---- */

static void try_fetch(struct mb *m, struct delivery *d)
{
	struct user *u = d->user;
	if (!d->wanted || d->fetching != NONE || !server_has_room(m->server, u->conn))
		return;
	int dc = peers_pick(m->dcs, u->conn);
	if (dc < 0)
		return; /* the tick tries again */
	struct link_message msg = {.type = LINK_FETCH};
	msg.fetch = (struct link_fetch){
		.to = {u->conn, user_owner(m, u)}, .after = d->last, .skip = d->known, .max_count = PAGE_COUNT,
		.max_bytes = PAGE_BYTES, .user = {u->name, u->name_len},
	};
	if (peers_send(m->dcs, (size_t)dc, &msg) == RS_OK) {
		d->fetching = dc;
		m->counts.fetches++;
	}
}

void delivery_fetch(struct mb *m, struct user *u)
{
	struct delivery *d = get(m, u);
	if (!d)
		return; /* out of memory: found again at the next renewal */
	d->again = d->fetching != NONE;
	set_wanted(m, d, true);
	try_fetch(m, d);
}

void delivery_check(struct mb *m, struct user *u, uint32_t waiting)
{
	if (!u->delivery || waiting > u->delivery->known)
		delivery_fetch(m, u);
}

/* A record that cannot be read is passed over, by its id if it has one. */
static int pass_over(struct mb *m, struct delivery *d, const uint8_t *data, size_t len)
{
	static uint64_t warned_ms;
	uint64_t now_ms = mb_time().mono_ms;
	m->counts.damaged_records++;
	if (now_ms - warned_ms >= 1000) {
		warned_ms = now_ms;
		log_warn("a damaged record is passed over", LOG_BYTES("user", d->user->name, d->user->name_len));
	}
	if (len < ULID_TEXT || ulid_parse((const char *)data, &d->last))
		return RS_EINVAL;
	d->known++;
	return RS_OK;
}

/* Hands a record to the engine. Not 0: it could not be taken now. */
static int hand_over(struct mb *m, struct delivery *d, const uint8_t *data, size_t len)
{
	struct record r;
	if (record_parse(data, len, &r))
		return pass_over(m, d, data, len);
	int err = server_push(m->server, d->user->conn, &r, OBJECT_STORED, TAG_NORMAL, mb_time().wall_ms);
	if (err && err != RS_EEXIST)
		return err;
	d->last = r.id;
	d->known += err == RS_OK;
	return RS_OK;
}

static void on_batch(struct mb *m, struct user *u, struct link_batch *b)
{
	struct delivery *d = u->delivery;
	if (!d || d->fetching == NONE)
		return;
	d->fetching = NONE;
	if (b->status == LINK_FENCED) {
		lease_doubt(m, u); /* the tick tries again, if we are still here */
		return;
	}
	if (b->status != LINK_DONE) {
		m->counts.fetch_unavailable++;
		return; /* still wanted: the tick tries again */
	}
	bool more = b->left > 0 || d->again;
	unsigned taken = 0;
	d->again = false;
	for (unsigned i = 0; i < b->count; i++) {
		size_t len;
		const uint8_t *record = link_next_record(&b->records, &len);
		if (hand_over(m, d, record, len)) {
			more = true;
			break;
		}
		taken++;
	}
	m->counts.fetched += taken;
	set_wanted(m, d, more);
	if (taken > 0 || b->count == 0) /* else the same would come again: the tick does it */
		try_fetch(m, d);
}

static void push_not_stored(struct mb *m, struct user *u, const struct link_push *p)
{
	struct record r;
	if (record_parse(p->record, p->record_len, &r)) {
		m->counts.damaged_records++;
		return;
	}
	if (server_push(m->server, u->conn, &r, 0, TAG_UNSTORED, mb_time().wall_ms))
		m->counts.not_stored_dropped++;
}

static void on_push(struct mb *m, struct user *u, const struct link_push *p)
{
	m->counts.pushes++;
	if (!p->stored) {
		push_not_stored(m, u, p);
		return;
	}
	struct delivery *d = get(m, u);
	if (!d)
		return;
	bool follows = ulid_is_zero(&p->prev) || ulid_equal(&p->prev, &d->last);
	if (d->fetching != NONE || d->wanted || !follows) {
		m->counts.push_gaps++;
		delivery_fetch(m, u);
		return;
	}
	if (hand_over(m, d, p->record, p->record_len))
		set_wanted(m, d, true);
}

/* ---- reporting ---- */

/* Reports the first `count` of those collected; which DC was told, or an error. */
static int send_ack(struct mb *m, struct delivery *d, uint16_t count)
{
	struct user *u = d->user;
	uint8_t ids[LINK_ACK_MAX * ULID_BYTES];
	int dc = peers_pick(m->dcs, u->conn);
	if (dc < 0)
		return dc;
	memcpy(ids, d->ack, count * sizeof *d->ack);
	struct link_message msg = {.type = LINK_ACK};
	msg.ack = (struct link_ack){.from = {u->conn, user_owner(m, u)}, .user = {u->name, u->name_len},
				    .count = count, .ids = ids};
	int err = peers_send(m->dcs, (size_t)dc, &msg);
	if (err)
		return err;
	m->counts.acks_sent += count;
	return dc;
}

static uint16_t ack_page(const struct delivery *d) { return d->acks < LINK_ACK_MAX ? d->acks : LINK_ACK_MAX; }

static void try_ack(struct mb *m, struct delivery *d)
{
	if (d->acks == 0 || d->acking != NONE)
		return;
	d->acks_sent = ack_page(d);
	int dc = send_ack(m, d, d->acks_sent);
	if (dc >= 0)
		d->acking = dc;
}

static void drop_acks(struct delivery *d, uint16_t count)
{
	d->acks -= count;
	memmove(d->ack, d->ack + count, d->acks * sizeof *d->ack);
}

/* The session ends: what was taken is still reported, whatever became of an
 * earlier report. Redis takes it until the next login of this user. */
void delivery_end(struct mb *m, struct user *u)
{
	struct delivery *d = u->delivery;
	while (d && d->acks > 0) {
		uint16_t count = ack_page(d);
		if (send_ack(m, d, count) < 0)
			break; /* no DC: it comes again at the next login, and is not shown twice */
		drop_acks(d, count);
	}
	delivery_free(u);
}

void delivery_acked(struct mb *m, struct user *u, const struct outbox_done *done)
{
	struct delivery *d = get(m, u);
	if (!d)
		return; /* not reported: it comes again after the next login, and is not shown twice */
	bool stored = done->tag < TAG_UNSTORED;
	if (stored && d->acks == d->acks_cap) {
		uint16_t cap = d->acks_cap ? (uint16_t)(2 * d->acks_cap) : 4;
		struct ulid *ack = cap > d->acks_cap ? realloc(d->ack, cap * sizeof *ack) : NULL;
		if (!ack)
			return;
		d->ack = ack;
		d->acks_cap = cap;
	}
	if (stored)
		d->ack[d->acks++] = done->id;
	if (list_empty(&d->ack_node))
		list_append(&m->ack_ready, &d->ack_node);
}

void delivery_flush(struct mb *m)
{
	while (!list_empty(&m->ack_ready)) {
		struct delivery *d = LIST_ENTRY(m->ack_ready.next, struct delivery, ack_node);
		list_remove(&d->ack_node);
		try_ack(m, d);
		try_fetch(m, d);
	}
}

static void on_acked(struct mb *m, struct user *u, const struct link_acked *a)
{
	struct delivery *d = u->delivery;
	if (!d || d->acking == NONE)
		return;
	d->acking = NONE;
	if (a->status == LINK_FENCED) {
		lease_doubt(m, u); /* the tick tries again, if we are still here */
		return;
	}
	if (a->status != LINK_DONE) {
		m->counts.ack_unavailable++;
		return; /* the tick tries again */
	}
	drop_acks(d, d->acks_sent);
	d->known -= d->acks_sent < d->known ? d->acks_sent : d->known;
	d->acks_sent = 0;
	if (a->left > d->known)
		set_wanted(m, d, true);
	try_ack(m, d);
	try_fetch(m, d);
}

/* ---- */

void delivery_on_message(struct mb *m, const struct link_message *msg)
{
	struct link_owner to = {0};
	switch (msg->type) {
	case LINK_BATCH: to = msg->batch.to; break;
	case LINK_ACKED: to = msg->acked.to; break;
	case LINK_PUSH: to = msg->push.to; break;
	case LINK_NUDGE: to = msg->nudge; break;
	default: return;
	}
	struct user *u = find_user(m, to);
	if (!u) {
		m->counts.push_stale++;
		return;
	}
	struct link_batch batch;
	switch (msg->type) {
	case LINK_BATCH:
		batch = msg->batch; /* its reader moves */
		on_batch(m, u, &batch);
		break;
	case LINK_ACKED: on_acked(m, u, &msg->acked); break;
	case LINK_PUSH: on_push(m, u, &msg->push); break;
	case LINK_NUDGE: delivery_fetch(m, u); break;
	default: break;
	}
}

void delivery_dc_down(struct mb *m, size_t dc)
{
	for (struct list *n = m->deliveries.next; n != &m->deliveries; n = n->next) {
		struct delivery *d = LIST_ENTRY(n, struct delivery, node);
		if (d->fetching == (int)dc)
			d->fetching = NONE;
		if (d->acking == (int)dc)
			d->acking = NONE;
	}
}

/* Nothing is under way and nothing is wanted: the user costs nothing again. */
static void free_if_idle(struct delivery *d)
{
	if (d->fetching == NONE && d->acking == NONE && !d->wanted && d->acks == 0 && d->known == 0)
		delivery_free(d->user);
}

void delivery_tick(struct mb *m)
{
	for (struct list *n = m->deliveries.next, *next; n != &m->deliveries; n = next) {
		struct delivery *d = LIST_ENTRY(n, struct delivery, node);
		next = n->next;
		try_ack(m, d);
		try_fetch(m, d);
		free_if_idle(d);
	}
}
