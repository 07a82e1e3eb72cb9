/* SPDX-License-Identifier: Apache-2.0 */
/* A login, step by step: the session id is verified, the user's presence is
 * claimed in Redis (which makes this login the owner), the client is told, the
 * broker that held the user before is told, and what waits is fetched. */
#ifndef MB_LOGIN_H
#define MB_LOGIN_H

#include "mb.h"

void login_start(struct mb *m);
/* Forgets those that have not been checked yet. */
void login_stop(struct mb *m);
/* The engine's on_login. */
void login_begin(struct mb *m, uint32_t conn, const struct frame_login *f, const struct addr *from);
/* The engine's on_gone: the user is offline here. */
void login_end(struct mb *m, struct user *u, enum close_code why);
/* Another broker (or this one) has claimed this login's user. */
void login_kicked(struct mb *m, const struct link_kick *k);
/* A DC speaks of a user of this connection who is not here: Redis may have told it of
 * the login before it told us. */
void login_missed(struct mb *m, uint32_t conn);

#endif
