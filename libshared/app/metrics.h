/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus text exposition (version 0.0.4) into a buffer. */
#ifndef APP_METRICS_H
#define APP_METRICS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct metrics {
	struct buf text;
	bool failed; /* out of memory: the page is not served */
};

/* name without the prefix "restante_", which is added; counters end in _total. */
void metrics_counter(struct metrics *m, const char *name, const char *help, uint64_t value);
/* A counter of seconds, with their fraction. */
void metrics_seconds(struct metrics *m, const char *name, const char *help, double value);
void metrics_gauge(struct metrics *m, const char *name, const char *help, double value);
/* One sample of a family with one label; the family's HELP and TYPE come with
 * the first sample (first = true). */
void metrics_labelled(struct metrics *m, bool first, const char *type, const char *name,
		      const char *help, const char *label, const char *value, double sample);

#endif
