/* SPDX-License-Identifier: Apache-2.0 */
#include "delivery.h"

#include "base/log.h"
#include "lease.h"
#include "login.h"
#include "notice.h"

#include <stdlib.h>
#include <string.h>

enum {
	PAGE_COUNT = OUTBOX_REFS_MAX, /* a session takes no more at a time */
	PAGE_BYTES = 64 * 1024,
	NONE = -1,                    /* no DC */
};

/* One of the user's queues. */
struct lane {
	struct ulid last;       /* the last message handed to the engine; zero: none yet */
	uint32_t known;         /* stored messages handed over and not yet deleted */
	bool wanted;            /* there is something to fetch */
	bool again;             /* word of more came while a fetch was under way */
};

struct ack {
	struct ulid id;
	uint64_t handed_ms; /* with LINK_ACK_VOID */
	enum priority lane;
};

struct delivery {
	struct list node;       /* in mb.deliveries */
	struct list ack_node;   /* in mb.ack_ready */
	struct user *user;
	struct lane lane[PRIORITIES];
	int fetching, acking;   /* which DC was asked; NONE */
	enum priority fetched;  /* the lane that was asked for */
	struct reception reception;
	uint16_t acks, acks_cap, acks_sent; /* collected; of these, in the report under way */
	struct ack *ack;
};

void delivery_free(struct user *u)
{
	struct delivery *d = u->delivery;
	if (!d)
		return;
	list_remove(&d->node);
	list_remove(&d->ack_node);
	broadcast_forget(&d->reception);
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
	broadcast_open(&d->reception, u);
	u->delivery = d;
	return d;
}

struct reception *delivery_find_reception(const struct user *u)
{
	return u->delivery ? &u->delivery->reception : NULL;
}

struct reception *delivery_get_reception(struct mb *m, struct user *u)
{
	struct delivery *d = get(m, u);
	return d ? &d->reception : NULL;
}

/* The user of an answer or push, if it is still this login. */
static struct user *find_user(struct mb *m, struct link_owner to)
{
	struct user *u = server_user(m->server, to.conn);
	return u && user_owner(m, u) == to.owner ? u : NULL;
}

static bool any_wanted(const struct delivery *d)
{
	for (int i = 0; i < PRIORITIES; i++)
		if (d->lane[i].wanted)
			return true;
	return false;
}

static void set_wanted(struct mb *m, struct delivery *d, enum priority lane, bool wanted)
{
	d->lane[lane].wanted = wanted;
	server_set_more(m->server, d->user->conn, any_wanted(d));
}

/* ---- fetching ---- */

static void fetch_lane(struct mb *m, struct delivery *d, enum priority lane)
{
	struct user *u = d->user;
	int dc = peers_pick(m->dcs, u->conn);
	if (dc < 0)
		return; /* the tick tries again */
	struct link_message msg = {.type = LINK_FETCH};
	msg.fetch = (struct link_fetch){
		.to = {u->conn, user_owner(m, u)}, .lane = lane, .after = d->lane[lane].last,
		.skip = d->lane[lane].known, .max_count = PAGE_COUNT,
		.max_bytes = PAGE_BYTES, .user = {u->name, u->name_len},
	};
	if (peers_send(m->dcs, (size_t)dc, &msg) == RS_OK) {
		d->fetching = dc;
		d->fetched = lane;
		m->counts.fetches++;
	}
}

static void try_fetch(struct mb *m, struct delivery *d)
{
	if (d->fetching != NONE || !server_has_room(m->server, d->user->conn))
		return;
	for (int i = 0; i < PRIORITIES; i++)
		if (d->lane[priority_first_to_last[i]].wanted) {
			fetch_lane(m, d, priority_first_to_last[i]);
			return;
		}
}

static void want(struct mb *m, struct delivery *d, enum priority lane)
{
	d->lane[lane].again = d->fetching != NONE && d->fetched == lane;
	set_wanted(m, d, lane, true);
}

void delivery_check(struct mb *m, struct user *u, const uint32_t waiting[PRIORITIES])
{
	for (int i = 0; i < PRIORITIES; i++) {
		if (waiting[i] <= (u->delivery ? u->delivery->lane[i].known : 0))
			continue;
		struct delivery *d = get(m, u);
		if (!d)
			return; /* out of memory: found again at the next renewal */
		want(m, d, (enum priority)i);
	}
	if (u->delivery)
		try_fetch(m, u->delivery);
}

/* Something waits, and nobody knows where. */
static void fetch_all(struct mb *m, struct user *u)
{
	static const uint32_t more[PRIORITIES] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
	delivery_check(m, u, more);
}

/* A record that cannot be read is passed over, by its id if it has one. */
static int pass_over(struct mb *m, struct delivery *d, struct lane *l, const uint8_t *data, size_t len)
{
	static uint64_t warned_ms;
	uint64_t now_ms = mb_time().mono_ms;
	m->counts.damaged_records++;
	if (now_ms - warned_ms >= 1000) {
		warned_ms = now_ms;
		log_warn("a damaged record is passed over", LOG_BYTES("user", d->user->name, d->user->name_len));
	}
	if (len < ULID_TEXT || ulid_parse((const char *)data, &l->last))
		return RS_EINVAL;
	l->known++;
	return RS_OK;
}

/* Hands a record to the engine. Not 0: it could not be taken now. */
static int hand_over(struct mb *m, struct delivery *d, enum priority lane, const uint8_t *data, size_t len)
{
	struct record r;
	struct lane *l = &d->lane[lane];
	if (record_parse(data, len, &r))
		return pass_over(m, d, l, data, len);
	if (recalled_has(&m->recalled, (struct link_owner){d->user->conn, user_owner(m, d->user)}, &r.id))
		return RS_OK; /* `last` stays: what comes next follows on what is still in the queue */
	int err = server_push(m->server, d->user->conn, &r, OBJECT_STORED, (uint8_t)lane, mb_time().wall_ms);
	if (err && err != RS_EEXIST)
		return err;
	l->last = r.id;
	l->known += err == RS_OK;
	return RS_OK;
}

static void on_batch(struct mb *m, struct user *u, struct link_batch *b)
{
	struct delivery *d = u->delivery;
	if (!d || d->fetching == NONE || d->fetched != b->lane)
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
	bool more = b->left > 0 || d->lane[b->lane].again;
	unsigned taken = 0;
	d->lane[b->lane].again = false;
	for (unsigned i = 0; i < b->count; i++) {
		size_t len;
		const uint8_t *record = link_next_record(&b->records, &len);
		if (hand_over(m, d, b->lane, record, len)) {
			more = true;
			break;
		}
		taken++;
	}
	m->counts.fetched += taken;
	set_wanted(m, d, b->lane, more);
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
	struct lane *l = &d->lane[p->lane];
	bool follows = ulid_is_zero(&p->prev) || ulid_equal(&p->prev, &l->last);
	bool fetches = d->fetching != NONE && d->fetched == p->lane;
	if (fetches || l->wanted || !follows) {
		m->counts.push_gaps++;
		want(m, d, p->lane);
		try_fetch(m, d);
		return;
	}
	if (hand_over(m, d, p->lane, p->record, p->record_len))
		set_wanted(m, d, p->lane, true);
}

/* ---- reporting ---- */

/* Reports the first `count` of those collected, all of one lane; which DC was told,
 * or an error. */
static int send_ack(struct mb *m, struct delivery *d, uint16_t count)
{
	struct user *u = d->user;
	uint8_t ids[LINK_ACK_MAX * LINK_ACK_BYTES];
	struct writer w = writer_over(ids, sizeof ids);
	int dc = peers_pick(m->dcs, u->conn);
	if (dc < 0)
		return dc;
	for (uint16_t i = 0; i < count; i++) {
		write_bytes(&w, d->ack[i].id.b, ULID_BYTES);
		write_uint(&w, d->ack[i].handed_ms, 8);
	}
	struct link_message msg = {.type = LINK_ACK};
	msg.ack = (struct link_ack){.from = {u->conn, user_owner(m, u)}, .lane = d->ack[0].lane,
				    .user = {u->name, u->name_len}, .count = count, .ids = ids};
	int err = peers_send(m->dcs, (size_t)dc, &msg);
	if (err)
		return err;
	m->counts.acks_sent += count;
	return dc;
}

/* How many at the front are of one lane and fit into a report. */
static uint16_t ack_page(const struct delivery *d)
{
	uint16_t n = 0;
	while (n < d->acks && n < LINK_ACK_MAX && d->ack[n].lane == d->ack[0].lane)
		n++;
	return n;
}

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
	broadcast_end(m, u);
	while (d && d->acks > 0) {
		uint16_t count = ack_page(d);
		if (send_ack(m, d, count) < 0)
			break; /* no DC: it comes again at the next login, and is not shown twice */
		drop_acks(d, count);
	}
	delivery_free(u);
}

static int add_ack(struct delivery *d, const struct outbox_done *done)
{
	if (d->acks == d->acks_cap) {
		uint16_t cap = d->acks_cap ? (uint16_t)(2 * d->acks_cap) : 4;
		struct ack *ack = cap > d->acks_cap ? realloc(d->ack, cap * sizeof *ack) : NULL;
		if (!ack)
			return RS_ENOMEM;
		d->ack = ack;
		d->acks_cap = cap;
	}
	d->ack[d->acks++] = (struct ack){done->id, done->handed_ms | (done->voided ? LINK_ACK_VOID : 0),
					 (enum priority)done->tag};
	return RS_OK;
}

void delivery_acked(struct mb *m, struct user *u, const struct outbox_done *done)
{
	struct delivery *d = get(m, u);
	if (!d || (done->tag < PRIORITIES && add_ack(d, done)))
		return; /* not reported: it comes again after the next login, and is not shown twice */
	if (done->tag == TAG_NOTICE)
		notice_taken(m, u, &done->id);
	else if (done->tag == TAG_BROADCAST)
		broadcast_acked(m, &d->reception, &done->id);
	if (list_empty(&d->ack_node))
		list_append(&m->ack_ready, &d->ack_node);
}

void delivery_flush(struct mb *m)
{
	while (!list_empty(&m->ack_ready)) {
		struct delivery *d = LIST_ENTRY(m->ack_ready.next, struct delivery, ack_node);
		list_remove(&d->ack_node);
		try_ack(m, d);
		broadcast_go_on(m, &d->reception);
		try_fetch(m, d);
	}
	broadcast_flush(m);
}

static void on_acked(struct mb *m, struct user *u, const struct link_acked *a)
{
	struct delivery *d = u->delivery;
	if (!d || d->acking == NONE || d->acks_sent == 0 || d->ack[0].lane != a->lane)
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
	struct lane *l = &d->lane[a->lane];
	drop_acks(d, d->acks_sent);
	l->known -= d->acks_sent < l->known ? d->acks_sent : l->known;
	d->acks_sent = 0;
	if (a->left > l->known)
		set_wanted(m, d, a->lane, true);
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
	case LINK_WITHDRAW: to = msg->withdraw.to; break;
	default: return;
	}
	struct user *u = find_user(m, to);
	if (!u) {
		m->counts.push_stale++;
		login_missed(m, to.conn);
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
	case LINK_NUDGE: fetch_all(m, u); break;
	case LINK_WITHDRAW:
		recalled_add(&m->recalled, &msg->withdraw);
		m->counts.withdrawn += server_withdraw(m->server, u->conn, &msg->withdraw.id) == RS_OK;
		break;
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
static void free_if_idle(struct mb *m, struct delivery *d)
{
	uint32_t known = 0;
	for (int i = 0; i < PRIORITIES; i++)
		known += d->lane[i].known;
	if (d->fetching == NONE && d->acking == NONE && !any_wanted(d) && d->acks == 0 && known == 0 &&
	    broadcast_is_idle(m, &d->reception))
		delivery_free(d->user);
}

void delivery_tick(struct mb *m)
{
	for (struct list *n = m->deliveries.next, *next; n != &m->deliveries; n = next) {
		struct delivery *d = LIST_ENTRY(n, struct delivery, node);
		next = n->next;
		try_ack(m, d);
		broadcast_go_on(m, &d->reception);
		try_fetch(m, d);
		free_if_idle(m, d);
	}
}
