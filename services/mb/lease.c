/* SPDX-License-Identifier: Apache-2.0 */
#include "lease.h"

#include "base/clock.h"
#include "base/log.h"
#include "delivery.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RETRY_S = 5,
	TOMBSTONE_MS = 24 * 3600 * 1000, /* how long "last seen" is known */
};

static uint32_t now_s(void) { return (uint32_t)(clock_mono_ms() / 1000); }

static void queue_up(struct mb *m, struct user *u)
{
	list_remove(&u->node);
	list_append(&m->users, &u->node);
	u->renew_s = now_s() + (uint32_t)(m->config->lease_s / 2);
}

void lease_start(struct mb *m, struct user *u) { queue_up(m, u); }

void lease_stop(struct mb *m, struct user *u)
{
	(void)m;
	list_remove(&u->node);
}

bool lease_read_waiting(const struct redisReply *reply, uint32_t waiting[PRIORITIES])
{
	for (size_t i = 0; i < PRIORITIES; i++) {
		int64_t count;
		if (!reply_int(reply_at(reply, i), &count) || count < 0 || count > UINT32_MAX)
			return false;
		waiting[i] = (uint32_t)count;
	}
	return true;
}

/* What a renewal needs when it comes back: the user may be gone by then. */
struct renewal {
	struct mb *mb;
	struct link_owner of;
};

static void on_renewed(void *ctx, int err, const struct redisReply *reply)
{
	struct renewal *r = ctx;
	struct mb *m = r->mb;
	uint32_t waiting[PRIORITIES];
	int64_t fenced;
	struct user *u = server_user(m->server, r->of.conn);
	if (u && user_owner(m, u) != r->of.owner)
		u = NULL;
	free(r);
	if (!u)
		return;
	bool lost = !err && reply_int(reply, &fenced);
	if (err || (!lost && !lease_read_waiting(reply, waiting))) {
		m->counts.renew_failed++;
		u->renew_s = now_s() + RETRY_S;
		list_remove(&u->node);
		list_prepend(&m->users, &u->node); /* those behind wait RETRY_S at the most */
		return;
	}
	if (lost) {
		m->counts.fenced++;
		server_close_session(m->server, u->conn, mb_time().mono_ms, CLOSE_SUPERSEDED);
		mb_flush_later(m);
		return;
	}
	m->counts.renewed++;
	delivery_check(m, u, waiting);
}

static int renew(struct mb *m, struct user *u)
{
	char presence[KEY_MAX], queues[PRIORITIES][KEY_MAX], address[ADDR_TEXT_MAX], boot[24], owner[24];
	char conn[RDS_NUM_MAX], since[RDS_NUM_MAX], lease[RDS_NUM_MAX];
	struct addr at = server_address(m->server, u->conn);
	struct renewal *r = malloc(sizeof *r);
	if (!r)
		return RS_ENOMEM;
	*r = (struct renewal){m, {u->conn, user_owner(m, u)}};
	size_t presence_len = key_presence(presence, u->name, u->name_len);
	snprintf(boot, sizeof boot, "%" PRIu64, m->boot);
	snprintf(owner, sizeof owner, "%" PRIu64, user_owner(m, u));
	struct rds_arg argv[] = {
		RDS_MEM(presence, presence_len), RDS_MEM(queues[0], key_queue(queues[0], u->name, u->name_len, PRIORITY_NORMAL)),
		RDS_MEM(queues[1], key_queue(queues[1], u->name, u->name_len, PRIORITY_HIGH)),
		RDS_MEM(queues[2], key_queue(queues[2], u->name, u->name_len, PRIORITY_LOW)), RDS_STR(owner),
		RDS_STR(m->config->common.id), RDS_STR(boot), rds_num(u->conn, conn),
		RDS_STR(addr_format(&at, address)), rds_num((int64_t)(user_owner(m, u) / 1000), since),
		rds_num(m->config->lease_s * 1000, lease),
	};
	int err = rds_script(m->rds, SCRIPT_PRESENCE_RENEW, 4, 11, argv, on_renewed, r);
	if (err)
		free(r);
	return err;
}

uint32_t lease_share(uint32_t users, int64_t lease_s)
{
	int64_t ticks = lease_s * (1000 / MB_TICK_MS) / 2;
	int64_t share = 2 * (int64_t)users / ticks + 1;
	return share > LEASE_SHARE_MIN ? (uint32_t)share : LEASE_SHARE_MIN;
}

uint32_t lease_late_s(const struct mb *m)
{
	if (list_empty(&m->users))
		return 0;
	uint32_t due = LIST_ENTRY(m->users.next, const struct user, node)->renew_s, now = now_s();
	return now > due ? now - due : 0;
}

void lease_tick(struct mb *m)
{
	uint32_t share = lease_share(m->user_count, m->config->lease_s);
	for (uint32_t i = 0; i < share && !list_empty(&m->users); i++) {
		struct user *u = LIST_ENTRY(m->users.next, struct user, node);
		if (m->resync == 0 && u->renew_s > now_s())
			return;
		if (renew(m, u)) {
			m->counts.renew_failed++;
			return; /* Redis is away or busy: the next tick tries again */
		}
		queue_up(m, u);
		if (m->resync > 0)
			m->resync--;
	}
	if (list_empty(&m->users))
		m->resync = 0;
}

void lease_doubt(struct mb *m, struct user *u)
{
	if (renew(m, u))
		m->counts.renew_failed++; /* asked again with the next doubt */
}

void lease_resync(struct mb *m) { m->resync = m->user_count; }

static void on_cleared(void *ctx, int err, const struct redisReply *reply)
{
	struct mb *m = ctx;
	(void)reply;
	if (err)
		m->counts.clear_failed++;
	else
		m->counts.cleared++;
}

void lease_clear_name(struct mb *m, const char *name, size_t len, uint64_t owner)
{
	char presence[KEY_MAX], token[24], tombstone[RDS_NUM_MAX];
	size_t presence_len = key_presence(presence, name, len);
	snprintf(token, sizeof token, "%" PRIu64, owner);
	struct rds_arg argv[] = {RDS_MEM(presence, presence_len), RDS_STR(token),
				 rds_num(TOMBSTONE_MS, tombstone)};
	if (rds_script(m->rds, SCRIPT_PRESENCE_CLEAR, 1, 3, argv, on_cleared, m))
		m->counts.clear_failed++; /* the lease ends by itself */
}
