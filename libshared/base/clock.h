/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. Only daemons, tools and tests read them; wire/ and session/
 * are handed the time. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds / microseconds since an arbitrary start; never goes back, and goes on
 * while the computer sleeps, as the leases and timeouts of the others do. */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);

/* Milliseconds since 1970-01-01 UTC. */
uint64_t clock_wall_ms(void);

#endif
