/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker says of itself: its load to the balancers and to Redis, its
 * counters to /metrics; and what it tells clients of the other brokers. */
#ifndef MB_REPORT_H
#define MB_REPORT_H

#include "mb.h"

RS_MUST_CHECK int report_start(struct mb *m);
/* A tick came so late. */
void report_late(struct mb *m, uint32_t late_ms);
/* Each second: sums up how busy it was, and says so. */
void report_second(struct mb *m);
/* Each second, when a balancer connects, and when the broker drains. */
void report_load(struct mb *m);
void report_metrics(void *app, struct metrics *out);

#endif
