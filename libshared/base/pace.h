/* SPDX-License-Identifier: Apache-2.0 */
/* Admission at a steady rate: a token bucket, and behind it the line of those who
 * were told to come again. Whoever is told later is told a longer time, so that they
 * come back at the rate and not all at once; how far ahead the line reaches is what
 * it knows of the storm. Nobody is remembered. */
#ifndef BASE_PACE_H
#define BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_BURST_MS 1000u /* the tokens of so long may be taken at once */
#define PACE_MOST_MS 60000u /* the longest time that anyone is told */

struct pace {
	uint64_t taken_us; /* monotonic: when, at the rate, the last one taken would have been due */
	uint64_t line_us;  /* and the last one that was told to come again */
};

/* Takes a token; false: there is none. per_s 0: there is no limit. The rate may
 * change from call to call. */
bool pace_admits(struct pace *p, uint32_t per_s, uint64_t now_ms);
/* After how many ms to come again: the end of the line, least_ms at least. */
uint32_t pace_defer(struct pace *p, uint32_t per_s, uint64_t now_ms, uint32_t least_ms);

#endif
