/* SPDX-License-Identifier: Apache-2.0 */
/* Words of the service to a client: how many messages were displaced from a full
 * queue while it was away, for each App. Given once at login; when the client has
 * taken one, Redis forgets that number. If it is lost, the next login gives it again. */
#ifndef MB_NOTICE_H
#define MB_NOTICE_H

#include "mb.h"

/* missed: {app, count...}, as presence_claim gave it. Before any message is handed
 * over, so that there is room. */
void notice_give(struct mb *m, struct user *u, const struct redisReply *missed);
void notice_taken(struct mb *m, struct user *u, const struct ulid *id);
/* The user leaves. */
void notice_forget(struct mb *m, struct user *u);

#endif
