/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and filters, after MQTT 3.1.1 section 4.7. Both are names (base/name.h) of
 * levels parted by '/'; a level may be empty. A topic has neither '+' nor '#'. In a
 * filter '+' stands for any one level, and '#', the last level, for any number of
 * them, none included: "a/#" matches "a". A filter that begins with either does not
 * match a topic that begins with '$'. */
#ifndef WIRE_TOPIC_H
#define WIRE_TOPIC_H

#include "base/name.h"

#include <stdbool.h>
#include <stddef.h>

#define TOPIC_LEVELS_MAX 8
/* Filters that match one topic: each level itself or `+`, and a `#` behind each of the
 * beginnings. */
#define TOPIC_FILTERS_MAX ((1 << (TOPIC_LEVELS_MAX + 1)) - 1)
#define TOPIC_RULE NAME_RULE ", of at most 8 levels parted by /, without + and #"
#define FILTER_RULE NAME_RULE ", of at most 8 levels parted by /; + or # only as a whole level, # only as the last"

/* NULL if it is good, else what is wrong with it, as name_fault(). */
const char *topic_fault(const char *topic, size_t len);
const char *topic_filter_fault(const char *filter, size_t len);

/* Both were checked. */
bool topic_matches(const char *filter, size_t filter_len, const char *topic, size_t topic_len);

/* Calls fn for each filter that matches a topic (which was checked) and is a name, in an
 * order that is always the same; no two are equal. The filter is borrowed for the call; fn
 * says false when it wants no more. */
typedef bool topic_filter_fn(void *ctx, const char *filter, size_t len);
void topic_each_filter(const char *topic, size_t len, topic_filter_fn *fn, void *ctx);

#endif
