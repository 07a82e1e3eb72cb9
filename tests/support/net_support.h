/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the tests that need an event loop and sockets on loopback. */
#ifndef SUPPORT_NET_SUPPORT_H
#define SUPPORT_NET_SUPPORT_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;

/* Runs the loop until done(ctx) or the deadline; says whether it was done. */
bool net_run_until(struct ev_loop *loop, bool (*done)(void *ctx), void *ctx, unsigned timeout_ms);
/* Runs the loop for this long: to see that something does not happen. */
void net_run_for(struct ev_loop *loop, unsigned ms);
struct addr net_loopback(uint16_t port); /* 127.0.0.1 */

/* Plain blocking sockets, to play a peer that misbehaves. They fail the test
 * themselves. */
int net_raw_connect(const struct addr *to);
/* Listens on a free port of 127.0.0.1; nobody accepts unless the test does. */
int net_raw_listen(struct addr *bound);
/* A port of 127.0.0.1 on which nobody listens. */
struct addr net_unused_port(void);

/* A byte of an endless, recognisable pattern. */
static inline uint8_t net_pattern(size_t at) { return (uint8_t)(at ^ at >> 8 ^ at >> 16); }

#endif
