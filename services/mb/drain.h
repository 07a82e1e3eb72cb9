/* SPDX-License-Identifier: Apache-2.0 */
/* The orderly end of a broker: it takes no new clients, sends those that it has to
 * the other brokers, a few with each tick so that they arrive over a chosen time,
 * reports what they acknowledged and takes them out of presence; then it leaves the
 * registry and ends. Begun by an operator (a word in Redis, `restante drain`) or by
 * SIGTERM; a later word sets a new time. */
#ifndef MB_DRAIN_H
#define MB_DRAIN_H

#include "mb.h"

/* Once the registry is there: listens for the word of an operator. */
void drain_listen(struct mb *m);
/* SIGTERM: within drain_s, or sooner if that was planned. */
void drain_stop(struct mb *m);
void drain_tick(struct mb *m);

#endif
