/* SPDX-License-Identifier: Apache-2.0 */
#include "login.h"

#include "base/clock.h"
#include "base/log.h"
#include "delivery.h"
#include "lease.h"
#include "notice.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 2000, BUNDLE_MS = 20 };

/* A login under way; it outlives its session if the client goes away meanwhile. */
struct login {
	struct list node;       /* in mb.logins */
	struct list waiting;    /* in mb.bundle, until it is checked */
	struct mb *mb;
	uint64_t kicked;        /* the owner token that was lost before we heard that it was ours; 0: none */
	uint32_t conn;
	bool missed;            /* a DC had something for this user already */
	struct addr from;
	char address[ADDR_TEXT_MAX];
	uint8_t name_len, session_len;
	char name[NAME_MAX_BYTES];
	char session[SESSION_ID_MAX];
};

static void end_login(struct login *l)
{
	l->mb->logins_pending--;
	list_remove(&l->node);
	list_remove(&l->waiting);
	explicit_bzero(l->session, sizeof l->session);
	free(l);
}

static void refuse(struct login *l, enum close_code code, uint32_t retry_ms)
{
	struct mb *m = l->mb;
	log_debug("login refused", LOG_BYTES("user", l->name, l->name_len), LOG_STR("address", l->address),
		 LOG_STR("why", close_code_text(code)));
	if (server_reject(m->server, l->conn, mb_time().mono_ms, code, retry_ms))
		log_debug("login refused, but the client has gone", LOG_INT("conn", l->conn));
	end_login(l);
	mb_flush_later(m);
}

static struct user *add_user(struct login *l, uint64_t owner)
{
	struct mb *m = l->mb;
	size_t size = offsetof(struct user, name) + l->name_len; /* the padding is of use too */
	struct user *u = malloc(size > sizeof *u ? size : sizeof *u);
	if (!u)
		return NULL;
	*u = (struct user){.conn = l->conn, .name_len = (uint8_t)l->name_len};
	memcpy(u->name, l->name, l->name_len);
	list_init(&u->node);
	if (server_accept(m->server, l->conn, mb_time().mono_ms, owner, u)) {
		free(u);
		return NULL;
	}
	m->user_count++;
	lease_start(m, u);
	return u;
}

/* The claim took the user from another session: that one must hear of it. */
static void kick_old(struct mb *m, const struct redisReply *reply)
{
	uint64_t boot, conn, owner;
	size_t len;
	const char *broker = reply_str(reply_at(reply, 4), &len);
	if (!broker || name_fault(broker, len) || !reply_uint(reply_at(reply, 5), UINT64_MAX, &boot) ||
	    !reply_uint(reply_at(reply, 6), UINT32_MAX, &conn) ||
	    !reply_uint(reply_at(reply, 7), UINT64_MAX, &owner))
		return;
	struct link_message k = {.type = LINK_KICK};
	k.kick = (struct link_kick){.boot = boot, .of = {(uint32_t)conn, owner}, .broker = {broker, len}};
	if (k.kick.boot == m->boot) {
		login_kicked(m, &k.kick);
		return;
	}
	m->counts.kicks_sent++;
	peers_send_all(m->dcs, &k);
}

/* To all Data Centers: an App may be watching. */
static void tell_presence(struct mb *m, const struct user *u, bool online)
{
	struct link_message p = {.type = LINK_PRESENCE};
	p.presence = (struct link_presence){online, mb_time().wall_ms, {u->name, u->name_len}};
	peers_send_all(m->dcs, &p);
}

static void on_claimed(void *ctx, int err, const struct redisReply *reply)
{
	struct login *l = ctx;
	struct mb *m = l->mb;
	int64_t owner;
	uint64_t cursor = 0;
	uint32_t waiting[PRIORITIES];
	if (err || !reply_int(reply_at(reply, 0), &owner) || !lease_read_waiting(reply_at(reply, 1), waiting)) {
		m->counts.logins_unavailable++;
		refuse(l, CLOSE_UNAVAILABLE, RETRY_MS);
		return;
	}
	if (!reply_uint(reply_at(reply, 2), UINT64_MAX, &cursor))
		cursor = 0; /* none */
	if (reply_count(reply) == 8)
		kick_old(m, reply);
	if ((uint64_t)owner == l->kicked) {
		refuse(l, CLOSE_SUPERSEDED, 0);
		return;
	}
	struct user *u = add_user(l, (uint64_t)owner);
	if (!u) { /* the client went away in between: nobody is online */
		lease_clear_name(m, l->name, l->name_len, (uint64_t)owner);
		end_login(l);
		return;
	}
	m->counts.logins_ok++;
	log_debug("client logged in", LOG_BYTES("user", l->name, l->name_len),
		  LOG_STR("address", l->address), LOG_INT("conn", l->conn),
		  LOG_INT("waiting", waiting[PRIORITY_NORMAL] + waiting[PRIORITY_HIGH] + waiting[PRIORITY_LOW]));
	if (l->missed)
		memset(waiting, 0xff, sizeof waiting); /* more than Redis had counted: nobody knows where */
	end_login(l);
	tell_presence(m, u, true);
	notice_give(m, u, reply_at(reply, 3));
	broadcast_login(m, u, cursor);
	delivery_check(m, u, waiting);
	mb_flush_later(m);
}

static void claim(struct login *l)
{
	struct mb *m = l->mb;
	char keys[6][KEY_MAX], conn[RDS_NUM_MAX], lease[RDS_NUM_MAX], boot[24];
	snprintf(boot, sizeof boot, "%" PRIu64, m->boot);
	struct rds_arg argv[] = {
		RDS_MEM(keys[0], key_presence(keys[0], l->name, l->name_len)),
		RDS_MEM(keys[1], key_queue(keys[1], l->name, l->name_len, PRIORITY_NORMAL)),
		RDS_MEM(keys[2], key_queue(keys[2], l->name, l->name_len, PRIORITY_HIGH)),
		RDS_MEM(keys[3], key_queue(keys[3], l->name, l->name_len, PRIORITY_LOW)),
		RDS_MEM(keys[4], key_cursor(keys[4], l->name, l->name_len)),
		RDS_MEM(keys[5], key_missed(keys[5], l->name, l->name_len)),
		RDS_STR(m->config->common.id), RDS_STR(boot), rds_num(l->conn, conn), RDS_STR(l->address),
		rds_num(m->config->lease_s * 1000, lease),
	};
	if (rds_script(m->rds, SCRIPT_PRESENCE_CLAIM, 6, 11, argv, on_claimed, l)) {
		m->counts.logins_unavailable++;
		refuse(l, CLOSE_UNAVAILABLE, RETRY_MS);
	}
}

static void on_verified(void *ctx, enum auth_result result)
{
	struct login *l = ctx;
	struct mb_counts *counts = &l->mb->counts;
	switch (result) {
	case AUTH_GOOD:
		claim(l);
		break;
	case AUTH_WRONG:
		counts->logins_wrong++;
		guard_wrong(&l->mb->guard, &l->from, l->name, l->name_len, mb_time().mono_ms);
		refuse(l, CLOSE_BAD_SESSION, 0);
		break;
	case AUTH_EXPIRED:
		counts->logins_expired++;
		guard_wrong(&l->mb->guard, &l->from, l->name, l->name_len, mb_time().mono_ms);
		refuse(l, CLOSE_EXPIRED, 0);
		break;
	case AUTH_UNAVAILABLE:
		counts->logins_unavailable++;
		refuse(l, CLOSE_UNAVAILABLE, RETRY_MS);
		break;
	}
}

/* Refused before anyone is asked. */
static void turn_away(struct mb *m, uint32_t conn, uint64_t *count, enum close_code code, uint32_t retry_ms)
{
	++*count;
	if (server_reject(m->server, conn, mb_time().mono_ms, code, retry_ms))
		log_debug("login refused, but the client has gone", LOG_INT("conn", conn));
}

/* True: this address, or this name, has had too many wrong logins. */
static bool is_guessing(struct mb *m, uint32_t conn, const struct frame_login *f, const struct addr *from)
{
	uint64_t *count[] = {[GUARD_ADDRESS] = &m->counts.logins_refused_address,
			     [GUARD_USER] = &m->counts.logins_refused_user};
	enum guard_verdict v = guard_check(&m->guard, from, f->user, f->user_len, mb_time().mono_ms);
	if (v != GUARD_PASS)
		turn_away(m, conn, count[v], CLOSE_UNAVAILABLE, GUARD_RETRY_MS);
	return v != GUARD_PASS;
}

/* When who is turned away for too much to do may come again. */
static uint32_t later(struct mb *m, uint64_t now_ms)
{
	return pace_defer(&m->admission, (uint32_t)m->config->logins_per_s, now_ms, RETRY_MS);
}

static void check(struct login *l)
{
	struct mb *m = l->mb;
	if (m->auth->verify(m->auth, l->name, l->name_len, l->session, l->session_len, on_verified, l))
		on_verified(l, AUTH_UNAVAILABLE);
}

/* A login that comes alone is checked at once; those that come within BUNDLE_MS of it,
 * together: Redis does them in one turn, with one write to disk, and has more of its
 * time for messages. */
static void on_bundle(struct ev_loop *loop, ev_timer *w, int events)
{
	struct mb *m = w->data;
	(void)events;
	if (list_empty(&m->bundle))
		ev_timer_stop(loop, w);
	while (!list_empty(&m->bundle)) {
		struct login *l = LIST_ENTRY(m->bundle.next, struct login, waiting);
		list_remove(&l->waiting);
		check(l);
	}
}

static void bundle(struct mb *m, struct login *l)
{
	if (ev_is_active(&m->bundle_timer)) {
		list_append(&m->bundle, &l->waiting);
		return;
	}
	list_init(&l->waiting);
	ev_timer_again(m->loop, &m->bundle_timer);
	check(l);
}

void login_start(struct mb *m)
{
	list_init(&m->logins);
	list_init(&m->bundle);
	ev_timer_init(&m->bundle_timer, on_bundle, 0., BUNDLE_MS / 1000.);
	m->bundle_timer.data = m;
}

void login_stop(struct mb *m)
{
	ev_timer_stop(m->loop, &m->bundle_timer);
	while (!list_empty(&m->bundle))
		end_login(LIST_ENTRY(m->bundle.next, struct login, waiting));
}

void login_begin(struct mb *m, uint32_t conn, const struct frame_login *f, const struct addr *from)
{
	uint64_t now_ms = mb_time().mono_ms;
	bool full = m->logins_pending >= (uint32_t)m->config->logins_max ||
		    m->user_count + m->logins_pending >= (uint32_t)m->config->capacity || m->drain.on;
	if (shed_logins(&m->shed, now_ms)) {
		turn_away(m, conn, &m->counts.logins_shed, CLOSE_OVERLOADED, later(m, now_ms));
		return;
	}
	if (is_guessing(m, conn, f, from))
		return;
	if (!full && !pace_admits(&m->admission, (uint32_t)m->config->logins_per_s, now_ms)) {
		turn_away(m, conn, &m->counts.logins_deferred, CLOSE_OVERLOADED, later(m, now_ms));
		return;
	}
	struct login *l = full ? NULL : malloc(sizeof *l);
	if (!l) {
		turn_away(m, conn, &m->counts.logins_overloaded, CLOSE_OVERLOADED, later(m, now_ms));
		return;
	}
	*l = (struct login){.mb = m, .conn = conn, .from = *from, .name_len = f->user_len, .session_len = f->session_len};
	memcpy(l->name, f->user, f->user_len);
	memcpy(l->session, f->session, f->session_len);
	addr_format(from, l->address);
	m->logins_pending++;
	list_append(&m->logins, &l->node);
	bundle(m, l);
}

void login_end(struct mb *m, struct user *u, enum close_code why)
{
	log_debug("client left", LOG_BYTES("user", u->name, u->name_len), LOG_INT("conn", u->conn),
		  LOG_STR("why", close_code_text(why)));
	if (why != CLOSE_SUPERSEDED) {
		lease_clear_name(m, u->name, u->name_len, user_owner(m, u));
		tell_presence(m, u, false);
	}
	notice_forget(m, u);
	delivery_end(m, u);
	lease_stop(m, u);
	m->user_count--;
	free(u);
}

static struct login *find_pending(struct mb *m, uint32_t conn)
{
	for (struct list *n = m->logins.next; n != &m->logins; n = n->next) {
		struct login *l = LIST_ENTRY(n, struct login, node);
		if (l->conn == conn)
			return l;
	}
	return NULL;
}

void login_missed(struct mb *m, uint32_t conn)
{
	struct login *l = find_pending(m, conn);
	if (l)
		l->missed = true;
}

void login_kicked(struct mb *m, const struct link_kick *k)
{
	if (k->boot != m->boot)
		return;
	struct user *u = server_user(m->server, k->of.conn);
	if (!u) {
		/* The word can be faster than Redis's answer to the claim it is about. */
		struct login *l = find_pending(m, k->of.conn);
		if (l)
			l->kicked = k->of.owner;
		return;
	}
	if (user_owner(m, u) != k->of.owner)
		return;
	m->counts.kicks_obeyed++;
	server_close_session(m->server, k->of.conn, mb_time().mono_ms, CLOSE_SUPERSEDED);
	mb_flush_later(m);
}
