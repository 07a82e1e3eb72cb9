/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask for over their session: subscriptions, and whether messages are
 * stored for them. Both are kept in Redis for the user, fenced by the login. */
#ifndef MB_REQUEST_H
#define MB_REQUEST_H

#include "mb.h"

/* Answered with server_reply() exactly once, now or when Redis has spoken. */
void request_take(struct mb *m, struct user *u, const struct frame_request *f);

#endif
