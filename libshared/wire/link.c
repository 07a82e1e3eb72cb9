/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/link.h"

enum { FLAG_BYTES = 1, LENGTH_BYTES = 4 };

_Static_assert(sizeof(struct addr) == 18, "an address goes over the link as it is");

/* --- pieces --- */

static void write_name(struct writer *w, const struct link_name *n)
{
	if (n->len > NAME_MAX_BYTES)
		w->failed = true;
	write_uint(w, n->len, 1);
	write_bytes(w, n->text, n->len);
}

static void write_owner(struct writer *w, const struct link_owner *o)
{
	write_uint(w, o->conn, 4);
	write_uint(w, o->owner, 8);
}

static void write_lane(struct writer *w, enum priority lane) { write_uint(w, lane, 1); }

static void write_blob(struct writer *w, const void *data, size_t len)
{
	if (len > RECORD_MAX)
		w->failed = true;
	write_uint(w, len, LENGTH_BYTES);
	write_bytes(w, data, len);
}

/* A str8 without any check of its text. */
static struct link_name read_text(struct reader *r)
{
	size_t len = (size_t)read_uint(r, 1);
	const uint8_t *text = read_bytes(r, len);
	return (struct link_name){.text = (const char *)text, .len = text ? len : 0};
}

static struct link_name read_name(struct reader *r)
{
	struct link_name n = read_text(r);
	if (!r->failed && name_fault(n.text, n.len))
		r->failed = true;
	return n;
}

static struct link_name read_zone(struct reader *r)
{
	struct link_name n = read_text(r);
	if (!r->failed && n.len > 0 && name_fault(n.text, n.len))
		r->failed = true;
	return n;
}

static struct link_owner read_owner(struct reader *r)
{
	struct link_owner o = {.conn = (uint32_t)read_uint(r, 4)};
	o.owner = read_uint(r, 8);
	return o;
}

/* A number that must not be over `max`: flags, status, counts. */
static uint16_t read_upto(struct reader *r, unsigned bytes, unsigned max)
{
	uint64_t v = read_uint(r, bytes);
	if (v > max)
		r->failed = true;
	return (uint16_t)v;
}

static enum priority read_lane(struct reader *r) { return (enum priority)read_upto(r, 1, PRIORITIES - 1); }

static const uint8_t *read_blob(struct reader *r, size_t *len)
{
	*len = (size_t)read_uint(r, LENGTH_BYTES);
	if (*len > RECORD_MAX)
		r->failed = true;
	const uint8_t *data = read_bytes(r, *len);
	if (!data)
		*len = 0;
	return data;
}

/* Whether `records` holds exactly `count` blobs. */
static bool records_are_whole(struct reader records, unsigned count)
{
	size_t len;
	while (count-- > 0 && !records.failed)
		read_blob(&records, &len);
	return reader_done(&records);
}

/* --- HELLO and WELCOME --- */

static void write_hello(struct writer *w, const struct link_hello *h)
{
	write_uint(w, LINK_VERSION, 1);
	write_uint(w, h->boot, 8);
	write_name(w, &h->id);
}

static void read_hello(struct reader *r, struct link_hello *h)
{
	if (read_uint(r, 1) != LINK_VERSION)
		r->failed = true;
	h->boot = read_uint(r, 8);
	h->id = read_name(r);
}

/* --- FETCH and BATCH --- */

static void write_fetch(struct writer *w, const struct link_fetch *f)
{
	write_owner(w, &f->to);
	write_lane(w, f->lane);
	write_bytes(w, f->after.b, ULID_BYTES);
	write_uint(w, f->skip, 4);
	write_uint(w, f->max_count, 2);
	write_uint(w, f->max_bytes, 4);
	write_name(w, &f->user);
}

static void read_fetch(struct reader *r, struct link_fetch *f)
{
	f->to = read_owner(r);
	f->lane = read_lane(r);
	read_copy(r, f->after.b, ULID_BYTES);
	f->skip = (uint32_t)read_uint(r, 4);
	f->max_count = (uint16_t)read_uint(r, 2);
	f->max_bytes = (uint32_t)read_uint(r, 4);
	f->user = read_name(r);
}

static void write_batch(struct writer *w, const struct link_batch *b)
{
	if (b->count > LINK_BATCH_MAX || !records_are_whole(b->records, b->count))
		w->failed = true;
	write_owner(w, &b->to);
	write_lane(w, b->lane);
	write_uint(w, b->status, 1);
	write_uint(w, b->left, 4);
	write_uint(w, b->count, 2);
	write_bytes(w, b->records.at, reader_left(&b->records));
}

static void read_batch(struct reader *r, struct link_batch *b)
{
	b->to = read_owner(r);
	b->lane = read_lane(r);
	b->status = (enum link_status)read_upto(r, 1, LINK_UNAVAILABLE);
	b->left = (uint32_t)read_uint(r, 4);
	b->count = read_upto(r, 2, LINK_BATCH_MAX);
	size_t len = reader_left(r);
	const uint8_t *blobs = read_bytes(r, len);
	if (!blobs)
		return;
	b->records = reader_over(blobs, len);
	if (!records_are_whole(b->records, b->count))
		r->failed = true;
}

/* --- ACK and ACKED --- */

static void write_ack(struct writer *w, const struct link_ack *a)
{
	if (a->count > LINK_ACK_MAX)
		w->failed = true;
	write_owner(w, &a->from);
	write_lane(w, a->lane);
	write_name(w, &a->user);
	write_uint(w, a->count, 2);
	write_bytes(w, a->ids, (size_t)a->count * LINK_ACK_BYTES);
}

static void read_ack(struct reader *r, struct link_ack *a)
{
	a->from = read_owner(r);
	a->lane = read_lane(r);
	a->user = read_name(r);
	a->count = read_upto(r, 2, LINK_ACK_MAX);
	a->ids = read_bytes(r, (size_t)a->count * LINK_ACK_BYTES);
}

static void write_acked(struct writer *w, const struct link_acked *a)
{
	write_owner(w, &a->to);
	write_lane(w, a->lane);
	write_uint(w, a->status, 1);
	write_uint(w, a->removed, 2);
	write_uint(w, a->left, 4);
}

static void read_acked(struct reader *r, struct link_acked *a)
{
	a->to = read_owner(r);
	a->lane = read_lane(r);
	a->status = (enum link_status)read_upto(r, 1, LINK_UNAVAILABLE);
	a->removed = (uint16_t)read_uint(r, 2);
	a->left = (uint32_t)read_uint(r, 4);
}

/* --- PUSH, WITHDRAW, KICK, LOAD, PRESENCE --- */

static void write_push(struct writer *w, const struct link_push *p)
{
	write_owner(w, &p->to);
	write_lane(w, p->lane);
	write_uint(w, p->stored, FLAG_BYTES);
	write_bytes(w, p->prev.b, ULID_BYTES);
	write_blob(w, p->record, p->record_len);
}

static void read_push(struct reader *r, struct link_push *p)
{
	p->to = read_owner(r);
	p->lane = read_lane(r);
	p->stored = read_upto(r, FLAG_BYTES, 1) == 1;
	read_copy(r, p->prev.b, ULID_BYTES);
	p->record = read_blob(r, &p->record_len);
}

static void write_withdraw(struct writer *w, const struct link_withdraw *d)
{
	write_owner(w, &d->to);
	write_bytes(w, d->id.b, ULID_BYTES);
}

static void read_withdraw(struct reader *r, struct link_withdraw *d)
{
	d->to = read_owner(r);
	read_copy(r, d->id.b, ULID_BYTES);
}

static void write_kick(struct writer *w, const struct link_kick *k)
{
	write_uint(w, k->boot, 8);
	write_owner(w, &k->of);
	write_name(w, &k->broker);
}

static void read_kick(struct reader *r, struct link_kick *k)
{
	k->boot = read_uint(r, 8);
	k->of = read_owner(r);
	k->broker = read_name(r);
}

static struct link_isp read_isp(struct reader *r)
{
	struct link_isp i = {.isp = read_name(r)};
	read_copy(r, &i.address, sizeof i.address);
	return i;
}

static struct link_path read_path(struct reader *r)
{
	struct link_path p = {.isp = read_name(r)};
	p.rtt_ms = (uint16_t)read_uint(r, 2);
	p.loss = read_upto(r, 2, LINK_LOSS_MAX);
	return p;
}

static void write_list(struct writer *w, uint8_t count, uint8_t most, const struct reader *list)
{
	if (count > most)
		w->failed = true;
	write_uint(w, count, 1);
	if (reader_left(list))
		write_bytes(w, list->at, reader_left(list));
}

static void pass_isp(struct reader *r) { (void)read_isp(r); }
static void pass_path(struct reader *r) { (void)read_path(r); }

/* Sees that all are there and good, and keeps where they lie. Their number. */
static uint8_t read_list(struct reader *r, uint8_t most, void (*pass)(struct reader *r), struct reader *list)
{
	uint8_t count = (uint8_t)read_upto(r, 1, most);
	const uint8_t *from = r->at;
	for (unsigned i = 0; i < count && !r->failed; i++)
		pass(r);
	*list = reader_over(from, r->failed ? 0 : (size_t)(r->at - from));
	return count;
}

static void write_load(struct writer *w, const struct link_load *l)
{
	write_uint(w, l->sessions, 4);
	write_uint(w, l->capacity, 4);
	write_uint(w, l->packets, 4);
	write_uint(w, l->lag_ms, 2);
	write_uint(w, l->draining, FLAG_BYTES);
	write_bytes(w, &l->address, sizeof l->address);
	write_bytes(w, l->key, 32);
	write_name(w, &l->zone);
	write_list(w, l->isp_count, LINK_ISPS_MAX, &l->isps);
	write_list(w, l->path_count, LINK_PATHS_MAX, &l->paths);
}

static void read_load(struct reader *r, struct link_load *l)
{
	l->sessions = (uint32_t)read_uint(r, 4);
	l->capacity = (uint32_t)read_uint(r, 4);
	l->packets = (uint32_t)read_uint(r, 4);
	l->lag_ms = (uint16_t)read_uint(r, 2);
	l->draining = read_upto(r, FLAG_BYTES, 1) == 1;
	read_copy(r, &l->address, sizeof l->address);
	l->key = read_bytes(r, 32);
	l->zone = read_zone(r);
	l->isp_count = read_list(r, LINK_ISPS_MAX, pass_isp, &l->isps);
	l->path_count = read_list(r, LINK_PATHS_MAX, pass_path, &l->paths);
}

static void write_presence(struct writer *w, const struct link_presence *p)
{
	write_uint(w, p->online, FLAG_BYTES);
	write_uint(w, p->at_ms, 8);
	write_name(w, &p->user);
}

static void read_presence(struct reader *r, struct link_presence *p)
{
	p->online = read_upto(r, FLAG_BYTES, 1) == 1;
	p->at_ms = read_uint(r, 8);
	p->user = read_name(r);
}

/* --- the table --- */

int link_encode(const struct link_message *m, uint8_t *out, size_t cap)
{
	struct writer w = writer_over(out, cap);
	write_uint(&w, m->type, 1);
	switch (m->type) {
	case LINK_HELLO:
	case LINK_WELCOME: write_hello(&w, &m->hello); break;
	case LINK_PING:
	case LINK_PONG:
	case LINK_KEPT: break;
	case LINK_FETCH: write_fetch(&w, &m->fetch); break;
	case LINK_BATCH: write_batch(&w, &m->batch); break;
	case LINK_ACK: write_ack(&w, &m->ack); break;
	case LINK_ACKED: write_acked(&w, &m->acked); break;
	case LINK_PUSH: write_push(&w, &m->push); break;
	case LINK_NUDGE: write_owner(&w, &m->nudge); break;
	case LINK_KICK: write_kick(&w, &m->kick); break;
	case LINK_WITHDRAW: write_withdraw(&w, &m->withdraw); break;
	case LINK_BROADCAST: write_blob(&w, m->broadcast.record, m->broadcast.record_len); break;
	case LINK_LOAD: write_load(&w, &m->load); break;
	case LINK_PRESENCE: write_presence(&w, &m->presence); break;
	}
	return w.failed ? RS_ELIMIT : (int)writer_len(&w);
}

static bool read_fields(struct reader *r, struct link_message *m)
{
	switch (m->type) {
	case LINK_HELLO:
	case LINK_WELCOME: read_hello(r, &m->hello); return true;
	case LINK_PING:
	case LINK_PONG:
	case LINK_KEPT: return true;
	case LINK_FETCH: read_fetch(r, &m->fetch); return true;
	case LINK_BATCH: read_batch(r, &m->batch); return true;
	case LINK_ACK: read_ack(r, &m->ack); return true;
	case LINK_ACKED: read_acked(r, &m->acked); return true;
	case LINK_PUSH: read_push(r, &m->push); return true;
	case LINK_NUDGE: m->nudge = read_owner(r); return true;
	case LINK_KICK: read_kick(r, &m->kick); return true;
	case LINK_WITHDRAW: read_withdraw(r, &m->withdraw); return true;
	case LINK_BROADCAST: m->broadcast.record = read_blob(r, &m->broadcast.record_len); return true;
	case LINK_LOAD: read_load(r, &m->load); return true;
	case LINK_PRESENCE: read_presence(r, &m->presence); return true;
	}
	return false;
}

int link_decode(const uint8_t *data, size_t len, struct link_message *out)
{
	struct reader r = reader_over(data, len);
	struct link_message m = {.type = (enum link_type)read_uint(&r, 1)};
	if (r.failed || !read_fields(&r, &m) || !reader_done(&r))
		return RS_EINVAL;
	*out = m;
	return RS_OK;
}

/* --- lists: of a LOAD, of a BATCH --- */

void link_add_isp(struct writer *w, const struct link_isp *i)
{
	write_name(w, &i->isp);
	write_bytes(w, &i->address, sizeof i->address);
}

void link_add_path(struct writer *w, const struct link_path *p)
{
	write_name(w, &p->isp);
	write_uint(w, p->rtt_ms, 2);
	write_uint(w, p->loss, 2);
}

struct link_isp link_next_isp(struct reader *isps) { return read_isp(isps); }
struct link_path link_next_path(struct reader *paths) { return read_path(paths); }

void link_add_record(struct writer *w, const void *record, size_t len)
{
	write_blob(w, record, len);
}

const uint8_t *link_next_record(struct reader *records, size_t *len)
{
	return read_blob(records, len);
}
