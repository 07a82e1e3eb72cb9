/* SPDX-License-Identifier: Apache-2.0 */
/* The verb BROADCAST: one message to all who are online, through every broker
 * that is linked here. With a lifetime it is kept once in Redis, and each broker
 * gives it to those who log in before it ends. */
#ifndef DC_BROADCAST_H
#define DC_BROADCAST_H

#include "store.h"

#include <stdbool.h>

/* How long one that is not kept may be on its way. */
#define BROADCAST_UNKEPT_S 60

struct conn;

extern const char *const broadcast_state_words[]; /* by enum broadcast_state */

/* Whether the connection's App may send to all. */
bool may_broadcast(const struct conn *c);
/* send->store: keep it for ttl_s seconds. */
void broadcast_send(struct answer *a, const struct send *send);
/* Tells all brokers that what is kept has changed; how many were told. */
size_t broadcast_tell_kept(struct dc *dc);

#endif
