/* SPDX-License-Identifier: Apache-2.0 */
/* Presence is a lease: the broker renews each user's in the background, at half
 * its time, a share with each tick. All leases are equally long, so the list of users
 * in the order of their last renewal is also the order of the next. A renewal
 * brings back how long the queues are: a message whose push was lost with a DC is
 * found by it; after a DC came back all users are renewed ahead of time. */
#ifndef MB_LEASE_H
#define MB_LEASE_H

#include "mb.h"

void lease_start(struct mb *m, struct user *u);
void lease_stop(struct mb *m, struct user *u);
/* Each MB_TICK_MS: renews those that are due, lease_share() of them at most. */
void lease_tick(struct mb *m);
/* LEASE_SHARE_MIN, or so many that all have their turn twice in half a lease. */
uint32_t lease_share(uint32_t users, int64_t lease_s);
#define LEASE_SHARE_MIN 500 /* 5,000 a second */
/* How long the renewal that is most overdue is, s: 0 or 1 where all is well. */
uint32_t lease_late_s(const struct mb *m);
/* Redis refused this user's owner token: is the user another's now, or did Redis
 * lose its presence? A renewal at once puts it back, or ends the session. */
void lease_doubt(struct mb *m, struct user *u);
/* Renews everyone soon, at a bounded rate. */
void lease_resync(struct mb *m);
/* The lengths of the three queues, as scripts tell them; false: they are not there. */
bool lease_read_waiting(const struct redisReply *reply, uint32_t waiting[PRIORITIES]);
/* Takes presence out of Redis, if this owner still holds it. */
void lease_clear_name(struct mb *m, const char *name, size_t len, uint64_t owner);

#endif
