/* SPDX-License-Identifier: Apache-2.0 */
#include "broadcast.h"

#include "base/clock.h"
#include "base/log.h"
#include "delivery.h"
#include "lease.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	WALK_PLACES = 512,        /* sessions a turn, at most; looked at ... */
	WALK_STEP = 16,           /* ... so many at a time, until ... */
	WALK_BYTES = 256 * 1024,  /* ... so much was handed over */
	LOOK_PAUSE_MS = MB_TICK_MS, /* between two looks at what is kept: it may be megabytes */
	UNKEPT_MAX = 256,         /* on their way to all at a time */
	WRITING_MAX = 512,        /* cursors on their way to Redis */
};
#define WALK_PAUSE_S 0.001

enum kind { KEPT, UNKEPT, VOID };

struct broadcast {
	struct list node;       /* in broadcasts.all */
	uint32_t ordinal;
	enum kind kind;
	bool seen;              /* KEPT: Redis has it still */
	uint64_t number;        /* KEPT */
	struct record record;   /* points into data */
	size_t len;
	uint8_t data[];
};

#define AT(n) LIST_ENTRY(n, struct broadcast, node)

/* Ordinals come round after 2^32; users are never so far apart. */
static bool is_after(uint32_t a, uint32_t b) { return (int32_t)(a - b) > 0; }

/* ---- the table ---- */

static void start_walk(struct mb *m);

static void append(struct mb *m, struct broadcast *b)
{
	struct broadcasts *t = &m->broadcasts;
	b->ordinal = ++t->newest;
	list_append(&t->all, &b->node);
	start_walk(m);
}

static struct broadcast *add(struct mb *m, enum kind kind, uint64_t number, const void *data, size_t len)
{
	struct broadcast *b = malloc(sizeof *b + len);
	if (!b)
		return NULL;
	*b = (struct broadcast){.kind = kind, .seen = true, .number = number, .len = len};
	memcpy(b->data, data, len);
	if (record_parse(b->data, len, &b->record)) {
		m->counts.damaged_records++;
		free(b);
		return NULL;
	}
	m->broadcasts.count++;
	m->broadcasts.unkept_count += kind == UNKEPT;
	append(m, b);
	return b;
}

static void take_out(struct mb *m, struct broadcast *b)
{
	m->broadcasts.count--;
	m->broadcasts.unkept_count -= b->kind == UNKEPT;
	list_remove(&b->node);
	free(b);
}

static struct broadcast *find_kept(const struct broadcasts *t, const struct ulid *id)
{
	for (struct list *n = t->all.prev; n != &t->all; n = n->prev)
		if (AT(n)->kind == KEPT && ulid_equal(&AT(n)->record.id, id))
			return AT(n);
	return NULL;
}

/* When the longest kept one up to that number ends; 0: there is none. */
static uint64_t longest_upto(const struct broadcasts *t, uint64_t number)
{
	uint64_t longest = 0;
	for (struct list *n = t->all.next; n != &t->all; n = n->next) {
		const struct broadcast *b = AT(n);
		if (b->kind == KEPT && b->number <= number && b->record.expires_ms > longest)
			longest = b->record.expires_ms;
	}
	return longest;
}

/* ---- handing over ---- */

/* False: there is no room now. */
static bool hand(struct mb *m, const struct user *u, const struct broadcast *b, uint64_t wall_ms)
{
	bool kept = b->kind == KEPT;
	int err = server_push(m->server, u->conn, &b->record, kept ? OBJECT_STORED : 0,
			      kept ? TAG_BROADCAST : TAG_UNSTORED, wall_ms);
	m->counts.broadcasts_handed += err == RS_OK;
	m->broadcasts.handed_bytes += b->len;
	return err != RS_EBUSY && err != RS_ENOMEM;
}

/* The first whose ordinal is beyond what the user was served. */
static struct list *first_lacking(struct broadcasts *t, const struct user *u)
{
	struct list *n = &t->all;
	while (n->prev != &t->all && is_after(AT(n->prev)->ordinal, u->broadcasts))
		n = n->prev;
	return n;
}

/* Notes whether the user waits for room, and if so, beyond which cursor. */
static void set_lagging(struct mb *m, struct user *u, bool lagging, uint64_t cursor)
{
	struct reception *r = lagging ? delivery_get_reception(m, u) : delivery_find_reception(u);
	if (!r)
		return; /* lagging, without memory to note it: the next walk comes by */
	list_remove(&r->lagging_node);
	if (!lagging)
		return;
	list_append(&m->broadcasts.lagging, &r->lagging_node);
	r->cursor = cursor;
}

/* Hands over what the user lacks and its cursor is not beyond, in order. One that
 * waits for room holds up those behind it; a withdrawal does not wait. */
static void serve(struct mb *m, struct user *u, uint64_t cursor)
{
	struct broadcasts *t = &m->broadcasts;
	uint64_t wall_ms = mb_time().wall_ms;
	bool stuck = false;
	for (struct list *n = first_lacking(t, u); n != &t->all; n = n->next) {
		const struct broadcast *b = AT(n);
		bool has = b->kind == KEPT && (b->number <= cursor || b->record.expires_ms <= wall_ms);
		if (b->kind == VOID)
			m->counts.withdrawn += server_withdraw(m->server, u->conn, &b->record.id) == RS_OK;
		else if (!has && !stuck)
			stuck = !hand(m, u, b, wall_ms);
		if (!stuck)
			u->broadcasts = b->ordinal;
	}
	if (!stuck)
		u->broadcasts = t->newest;
	set_lagging(m, u, stuck, cursor);
}

void broadcast_go_on(struct mb *m, struct reception *r)
{
	if (!list_empty(&r->lagging_node) && server_has_room(m->server, r->user->conn))
		serve(m, r->user, r->cursor);
}

/* Everything from the first kept one on that is beyond the cursor. A cursor beyond
 * what was read of Redis tells that something is kept which this broker does not know
 * yet, and the user has: the walk must not give it again. */
void broadcast_login(struct mb *m, struct user *u, uint64_t cursor)
{
	struct broadcasts *t = &m->broadcasts;
	struct list *n = t->all.next;
	if (cursor > t->version) {
		struct reception *r = delivery_get_reception(m, u);
		if (r)
			r->cursor = cursor;
		broadcast_look(m);
	}
	while (n != &t->all && (AT(n)->kind != KEPT || AT(n)->number <= cursor))
		n = n->next;
	u->broadcasts = n == &t->all ? t->newest : AT(n)->ordinal - 1;
	if (u->broadcasts != t->newest)
		serve(m, u, cursor);
}

/* ---- the walk ---- */

static void visit(void *ctx, uint32_t conn, void *user)
{
	struct mb *m = ctx;
	struct user *u = user;
	const struct reception *r = delivery_find_reception(u);
	(void)conn;
	if (u->broadcasts != m->broadcasts.newest)
		serve(m, u, r ? r->cursor : 0);
}

/* What was for the walk alone has been handed to all who had room. */
static void leave_walk(struct mb *m, struct broadcast *b)
{
	struct list *lagging = &m->broadcasts.lagging;
	for (struct list *n = lagging->next; b->kind == UNKEPT && n != lagging; n = n->next) {
		const struct reception *r = LIST_ENTRY(n, struct reception, lagging_node);
		m->counts.broadcasts_dropped += is_after(b->ordinal, r->user->broadcasts);
	}
	take_out(m, b);
}

static void end_pass(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	for (struct list *n = t->all.next; n != &t->all;) {
		struct broadcast *b = AT(n);
		n = n->next;
		if (b->kind != KEPT && !is_after(b->ordinal, t->walk_to))
			leave_walk(m, b);
	}
	if (t->walk_to == t->newest)
		ev_timer_stop(m->loop, &t->walk);
	t->place = 0;
}

static void on_walk(struct ev_loop *loop, ev_timer *w, int events)
{
	struct mb *m = w->data;
	struct broadcasts *t = &m->broadcasts;
	bool more = true;
	(void)loop, (void)events;
	if (t->place == 0)
		t->walk_to = t->newest;
	t->handed_bytes = 0;
	for (int i = 0; more && i < WALK_PLACES && t->handed_bytes < WALK_BYTES; i += WALK_STEP)
		more = server_each_of(m->server, &t->place, WALK_STEP, visit, m);
	if (!more)
		end_pass(m);
	mb_flush(m);
}

static void start_walk(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	if (ev_is_active(&t->walk))
		return; /* another pass follows on this one */
	t->place = 0;
	ev_timer_set(&t->walk, 0.0, WALK_PAUSE_S);
	ev_timer_start(m->loop, &t->walk);
}

void broadcast_take(struct mb *m, const struct link_broadcast *b)
{
	m->counts.broadcasts_unkept++;
	if (m->broadcasts.unkept_count >= UNKEPT_MAX || !add(m, UNKEPT, 0, b->record, b->record_len))
		m->counts.broadcasts_dropped += m->user_count;
}

/* ---- what is kept in Redis ---- */

/* RS_ENOMEM; a record that cannot be read is passed over. */
static int keep(struct mb *m, uint64_t number, const char *data, size_t len)
{
	struct record r;
	if (record_parse(data, len, &r)) {
		m->counts.damaged_records++;
		return RS_OK;
	}
	struct broadcast *b = find_kept(&m->broadcasts, &r.id);
	if (!b && r.expires_ms <= mb_time().wall_ms)
		return RS_OK;
	if (!b) {
		b = add(m, KEPT, number, data, len);
		m->counts.broadcasts_kept += b != NULL;
	}
	if (b)
		b->seen = true;
	return b ? RS_OK : RS_ENOMEM;
}

/* Takes out what Redis has no more: it has expired, or was withdrawn, and then a
 * client that is being sent it hears of it. */
static void drop_unseen(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	uint64_t wall_ms = mb_time().wall_ms;
	uint32_t before = t->newest;
	for (struct list *n = t->all.next; n != &t->all && !is_after(AT(n)->ordinal, before);) {
		struct broadcast *b = AT(n);
		n = n->next;
		if (b->kind != KEPT || b->seen)
			continue;
		if (b->record.expires_ms <= wall_ms) {
			take_out(m, b);
			continue;
		}
		list_remove(&b->node);
		b->kind = VOID;
		m->counts.broadcasts_withdrawn++;
		append(m, b);
	}
}

/* ZRANGE kept WITHSCORES */
static void on_kept(void *ctx, int err, const struct redisReply *reply)
{
	struct mb *m = ctx;
	struct broadcasts *t = &m->broadcasts;
	t->looking = false;
	if (err)
		return; /* the next look finds the same */
	t->unread = false;
	for (struct list *n = t->all.next; n != &t->all; n = n->next)
		AT(n)->seen = false;
	for (size_t i = 0; i + 1 < reply_count(reply); i += 2) {
		size_t len = 0;
		uint64_t number;
		const char *record = reply_str(reply_at(reply, i), &len);
		if (record && reply_uint(reply_at(reply, i + 1), UINT64_MAX, &number))
			t->unread |= keep(m, number, record, len) != RS_OK;
	}
	drop_unseen(m);
	t->version = t->looked_version;
}

static void on_version(void *ctx, int err, const struct redisReply *reply)
{
	struct mb *m = ctx;
	struct broadcasts *t = &m->broadcasts;
	char key[KEY_MAX];
	t->looking = false;
	if (err || (!reply_is_nil(reply) && !reply_uint(reply, UINT64_MAX, &t->looked_version)))
		return;
	if (reply_is_nil(reply))
		t->looked_version = 0;
	if (t->looked_version == t->version && !t->unread)
		return;
	struct rds_arg argv[] = {RDS_STR("ZRANGE"), RDS_MEM(key, key_broadcasts(key)), RDS_STR("0"),
				 RDS_STR("-1"), RDS_STR("WITHSCORES")};
	t->looking = rds_command(m->rds, 5, argv, on_kept, m) == RS_OK;
}

void broadcast_look(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	char key[KEY_MAX];
	uint64_t now_ms = mb_time().mono_ms;
	struct rds_arg argv[] = {RDS_STR("GET"), RDS_MEM(key, key_broadcasts_version(key))};
	t->again = t->looking || now_ms - t->looked_ms < LOOK_PAUSE_MS;
	if (t->again || rds_command(m->rds, 2, argv, on_version, m))
		return;
	t->looking = true;
	t->looked_ms = now_ms;
}

void broadcast_read_anew(struct mb *m)
{
	m->broadcasts.unread = true;
	broadcast_look(m);
}

static void drop_expired(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	uint64_t wall_ms = mb_time().wall_ms;
	for (struct list *n = t->all.next; n != &t->all;) {
		struct broadcast *b = AT(n);
		n = n->next;
		if (b->kind == KEPT && b->record.expires_ms <= wall_ms)
			take_out(m, b);
	}
}

void broadcast_tick(struct mb *m, bool look)
{
	struct broadcasts *t = &m->broadcasts;
	if (look)
		drop_expired(m);
	while (!list_empty(&t->failed)) {
		struct list *n = t->failed.next;
		list_remove(n);
		list_append(&t->acked, n);
	}
	if (look || t->again)
		broadcast_look(m);
}

/* ---- cursors ---- */

/* What a request to Redis needs when it comes back: the user may be gone by then. */
struct writing {
	struct mb *mb;
	struct link_owner of;
	uint64_t number;
};

static void on_advanced(void *ctx, int err, const struct redisReply *reply)
{
	struct writing w = *(struct writing *)ctx;
	struct mb *m = w.mb;
	struct broadcasts *t = &m->broadcasts;
	struct user *u = server_user(m->server, w.of.conn);
	struct reception *r = u && user_owner(m, u) == w.of.owner ? delivery_find_reception(u) : NULL;
	int64_t done = -1;
	free(ctx);
	t->writing--;
	bool good = !err && reply_int(reply, &done) && done >= 0;
	m->counts.cursors_advanced += good;
	m->counts.cursors_failed += !good;
	if (!r)
		return;
	r->writing = false;
	if (good && r->number == w.number)
		r->number = 0;
	if (r->number)
		list_append(good ? &t->acked : &t->failed, &r->acked_node);
	if (!err && !good)
		lease_doubt(m, u); /* fenced: if we are still here, the tick tries again */
	if (good)
		broadcast_flush(m);
}

static int advance(struct mb *m, const struct user *u, uint64_t number, uint64_t expires_ms, bool last)
{
	char cursor[KEY_MAX], presence[KEY_MAX], owner[24], text[24], expires[RDS_NUM_MAX];
	struct writing *w = last ? NULL : malloc(sizeof *w);
	if (!last && !w)
		return RS_ENOMEM;
	if (w)
		*w = (struct writing){m, {u->conn, user_owner(m, u)}, number};
	size_t cursor_len = key_cursor(cursor, u->name, u->name_len);
	size_t presence_len = key_presence(presence, u->name, u->name_len);
	snprintf(owner, sizeof owner, "%" PRIu64, user_owner(m, u));
	snprintf(text, sizeof text, "%" PRIu64, number);
	struct rds_arg argv[] = {RDS_MEM(cursor, cursor_len), RDS_MEM(presence, presence_len), RDS_STR(owner),
				 RDS_STR(text), rds_num((int64_t)expires_ms, expires)};
	int err = rds_script(m->rds, SCRIPT_CURSOR_ADVANCE, 2, 5, argv, last ? NULL : on_advanced, w);
	if (err)
		free(w);
	return err;
}

void broadcast_flush(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	while (!list_empty(&t->acked) && t->writing < WRITING_MAX) {
		struct reception *r = LIST_ENTRY(t->acked.next, struct reception, acked_node);
		uint64_t expires_ms = longest_upto(t, r->number);
		if (expires_ms && advance(m, r->user, r->number, expires_ms, false))
			return; /* Redis is away or busy: the next flush tries again */
		list_remove(&r->acked_node);
		r->writing = expires_ms != 0;
		if (r->writing)
			t->writing++;
		else
			r->number = 0; /* all of them are over: nothing would come again */
	}
}

/* A client takes messages in the order in which they were handed over: all up to
 * this one are taken. */
void broadcast_acked(struct mb *m, struct reception *r, const struct ulid *id)
{
	const struct broadcast *b = find_kept(&m->broadcasts, id);
	if (!b)
		return; /* it is over */
	if (b->number > r->number)
		r->number = b->number;
	if (!r->writing && list_empty(&r->acked_node))
		list_append(&m->broadcasts.acked, &r->acked_node);
}

/* ---- receptions ---- */

void broadcast_open(struct reception *r, struct user *u)
{
	*r = (struct reception){.user = u};
	list_init(&r->lagging_node);
	list_init(&r->acked_node);
}

bool broadcast_is_idle(const struct mb *m, const struct reception *r)
{
	return !r->writing && !r->number && list_empty(&r->lagging_node) && r->cursor <= m->broadcasts.version;
}

void broadcast_end(struct mb *m, struct user *u)
{
	const struct reception *r = delivery_find_reception(u);
	uint64_t expires_ms = r && r->number ? longest_upto(&m->broadcasts, r->number) : 0;
	if (expires_ms && advance(m, u, r->number, expires_ms, true))
		m->counts.cursors_failed++; /* it comes again at the next login, and is not shown twice */
}

void broadcast_forget(struct reception *r)
{
	list_remove(&r->lagging_node);
	list_remove(&r->acked_node);
}

/* ---- start and stop ---- */

void broadcast_init(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	list_init(&t->all);
	list_init(&t->lagging);
	list_init(&t->acked);
	list_init(&t->failed);
	ev_init(&t->walk, on_walk);
	t->walk.data = m;
}

void broadcast_stop(struct mb *m) { ev_timer_stop(m->loop, &m->broadcasts.walk); }

void broadcast_deinit(struct mb *m)
{
	struct broadcasts *t = &m->broadcasts;
	while (!list_empty(&t->all))
		take_out(m, AT(t->all.next));
}
