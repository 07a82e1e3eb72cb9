/* SPDX-License-Identifier: Apache-2.0 */
#include "session/replay.h"

#include <string.h>

static bool get(const struct replay *r, uint32_t n) { return r->bits[n / 32 % 4] >> n % 32 & 1; }

bool replay_is_new(const struct replay *r, uint64_t number)
{
	if (number >= UINT32_MAX)
		return false;
	uint32_t n = (uint32_t)number;
	if (n >= r->next)
		return true;
	return r->next - n <= REPLAY_WINDOW && !get(r, n);
}

void replay_mark(struct replay *r, uint64_t number)
{
	uint32_t n = (uint32_t)number;
	if (n >= r->next) {
		if (n - r->next >= REPLAY_WINDOW)
			memset(r->bits, 0, sizeof r->bits);
		else
			for (uint32_t i = r->next; i < n; i++)
				r->bits[i / 32 % 4] &= ~(1u << i % 32);
		r->next = n + 1;
	}
	r->bits[n / 32 % 4] |= 1u << n % 32;
}
