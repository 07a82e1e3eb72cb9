/* SPDX-License-Identifier: Apache-2.0 */
/* Which packet numbers were received: a window of the last 128. Numbers stay
 * far below 2^32, since a session is renewed after 2^22 packets. */
#ifndef SESSION_REPLAY_H
#define SESSION_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW 128

struct replay {
	uint32_t next;    /* greatest received + 1 */
	uint32_t bits[4]; /* bit n % 128: n was received, for next - 128 <= n < next */
};

/* Not received before and not too old. Changes nothing: ask before the packet
 * is authenticated, mark after. */
bool replay_is_new(const struct replay *r, uint64_t number);
void replay_mark(struct replay *r, uint64_t number);

#endif
