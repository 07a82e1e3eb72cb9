/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong logins, limited per address and per user, so that guessing session ids
 * cannot keep Redis busy.
 *
 * An address that has had too many is refused whatever it brings. A user's name
 * can be tried from many addresses: when it has had too many wrong logins, only
 * addresses are still heard that had none in the last minute (up to ten minutes, if
 * they had several), so that nobody locks a user out by guessing from elsewhere. */
#ifndef MB_GUARD_H
#define MB_GUARD_H

#include "base/budget.h"

#include <stddef.h>

#define GUARD_SOURCES 4096  /* addresses, and users, that are remembered */
#define GUARD_RETRY_MS 10000u

struct guard {
	struct budget addresses, users;
	struct budget suspects; /* addresses, by a slower clock */
};

enum guard_verdict { GUARD_PASS, GUARD_ADDRESS, GUARD_USER };

/* How many wrong logins a minute; 0: no limit. */
RS_MUST_CHECK int guard_init(struct guard *g, uint32_t per_address, uint32_t per_user);
void guard_deinit(struct guard *g);
enum guard_verdict guard_check(const struct guard *g, const struct addr *from, const char *user,
			       size_t user_len, uint64_t now_ms);
void guard_wrong(struct guard *g, const struct addr *from, const char *user, size_t user_len,
		 uint64_t now_ms);

#endif
