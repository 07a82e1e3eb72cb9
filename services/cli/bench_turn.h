/* SPDX-License-Identifier: Apache-2.0 */
/* An App and its clients in one loop. */
#ifndef CLI_BENCH_TURN_H
#define CLI_BENCH_TURN_H

#include "bench_sender.h"
#include "bench_swarm.h"

/* Sends up to `more` further messages, waits that long at most for the Data Center or
 * for a client, and lets both take what came. Failures are said. */
RS_MUST_CHECK int bench_turn(struct sender *s, struct swarm *clients, uint64_t more, int wait_ms);

#endif
