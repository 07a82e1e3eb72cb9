/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of the last SEEN_MAX messages shown, so that one that comes again (after
 * a failure of a broker, a DC, Redis or the client) is not shown again. */
#ifndef SESSION_SEEN_H
#define SESSION_SEEN_H

#include "base/ulid.h"

#include <stdbool.h>
#include <stddef.h>

#define SEEN_MAX 4096

struct seen {
	struct ulid ring[SEEN_MAX]; /* in order of arrival; `next` is the oldest once full */
	uint16_t table[2 * SEEN_MAX]; /* index into ring + 1, open addressing; 0: free */
	size_t count, next;
};

/* All zero is an empty set. */
bool seen_has(const struct seen *s, const struct ulid *id);
/* Adds an id that is not in, forgetting the oldest when full. */
void seen_add(struct seen *s, const struct ulid *id);

#endif
