/* SPDX-License-Identifier: Apache-2.0 */
/* The subscribers of a topic, counted before a fan-out to it begins. That takes up to 511
 * requests to Redis; so that they do not take the room of all others (redis_max_in_flight),
 * only a few topics are counted at a time, with a few requests each, spread over the
 * connections by filter. Who comes meanwhile stands in line. */
#ifndef DC_FAN_COUNT_H
#define DC_FAN_COUNT_H

#include "base/err.h"
#include "base/list.h"

#define FAN_COUNT_TOPICS 4     /* at a time */
#define FAN_COUNT_IN_FLIGHT 16 /* requests of each */
#define FAN_COUNT_WAITING 256  /* in line; more are refused */

struct dc;
struct fan;
struct fan_counter;

/* The caller's memory, until fn is called. */
struct fan_count {
	struct list node;
	struct fan *fan; /* FAN_TOPIC; its total and the filters that are absent are set */
	void (*fn)(void *ctx, int err);
	void *ctx;
};

RS_MUST_CHECK int fan_counter_new(struct fan_counter **out, struct dc *dc);
/* Before Redis is gone: who stands in line hears of it, nobody begins any more. */
void fan_counter_stop(struct fan_counter *c);
/* After Redis, which may still answer. */
void fan_counter_free(struct fan_counter *c);

/* fn is called once, later. Not 0: it is not; RS_EBUSY: too many stand in line, or have
 * requests under way to Redis. */
RS_MUST_CHECK int fan_count(struct fan_counter *c, struct fan_count *count);

#endif
