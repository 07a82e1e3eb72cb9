/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker leaves undone when it cannot do everything: first new
 * handshakes, then logins, never what sessions send and are sent. It is in need
 * when its loop runs late, or when datagrams come faster than it reads them. */
#ifndef MB_SHED_H
#define MB_SHED_H

#include "session/server.h"
#include "net/udp.h"

#define SHED_HANDSHAKES_MS 250u /* so late a loop drops handshakes, */
#define SHED_LOGINS_MS 1000u    /* so late logins too, */
#define SHED_HOLD_MS 1000u      /* for this long */

struct shed {
	uint64_t tick_ms;                     /* of the last shed_tick(); 0: none yet */
	uint64_t handshakes_until, logins_until;
	struct udp_stats before;
	uint32_t late_ms;                     /* the last tick */
	uint64_t times;                       /* that it came into need */
};

/* Every period_ms; opens and shuts the engine for handshakes. */
void shed_tick(struct shed *s, struct server *server, const struct udp_stats *u, uint64_t now_ms,
	       uint32_t period_ms);
bool shed_logins(const struct shed *s, uint64_t now_ms);

#endif
