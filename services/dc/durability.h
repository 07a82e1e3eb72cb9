/* SPDX-License-Identifier: Apache-2.0 */
/* Whether Redis keeps what the setting `durability` promises. With fsync, OK
 * means that the message survives a crash of Redis, and so Redis must append to
 * its file and sync it before it answers. The DC runs on if it does not, but
 * says so: in the log, at /readyz and in a metric. */
#ifndef DC_DURABILITY_H
#define DC_DURABILITY_H

#include "app/metrics.h"
#include "base/err.h"

struct dc;
struct durability;

RS_MUST_CHECK int durability_new(struct durability **out, struct dc *dc);
void durability_free(struct durability *d);
/* Redis is there: look. It is looked at again by itself every 5 s. */
void durability_check(struct durability *d);
/* NULL: as promised, or not to be checked. */
const char *durability_fault(const struct durability *d);
void durability_metrics(const struct durability *d, struct metrics *m);

#endif
