/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include "crypto/hash.h"
#include "crypto/random.h"

#include <string.h>

enum { SUSPECT_MINUTES = 10 }; /* a minute for each wrong login, up to this (twice the burst) */

int guard_init(struct guard *g, uint32_t per_address, uint32_t per_user)
{
	uint64_t seed[3];
	random_bytes(seed, sizeof seed);
	int err = budget_init(&g->addresses, GUARD_SOURCES, per_address, per_address, seed[0]);
	if (!err)
		err = budget_init(&g->users, GUARD_SOURCES, per_user, per_user, seed[1]);
	if (!err)
		err = budget_init(&g->suspects, GUARD_SOURCES, SUSPECT_MINUTES / 2, 1, seed[2]);
	return err;
}

void guard_deinit(struct guard *g)
{
	budget_deinit(&g->addresses);
	budget_deinit(&g->users);
	budget_deinit(&g->suspects);
}

static void user_source(const char *user, size_t len, uint8_t out[ADDR_SOURCE])
{
	uint8_t hash[SHA256_BYTES];
	sha256(user, len, hash);
	memcpy(out, hash, ADDR_SOURCE);
}

enum guard_verdict guard_check(const struct guard *g, const struct addr *from, const char *user,
			       size_t user_len, uint64_t now_ms)
{
	uint8_t address[ADDR_SOURCE], name[ADDR_SOURCE];
	addr_source(from, address);
	if (budget_over(&g->addresses, address, now_ms))
		return GUARD_ADDRESS;
	if (budget_clean(&g->suspects, address, now_ms))
		return GUARD_PASS;
	user_source(user, user_len, name);
	return budget_over(&g->users, name, now_ms) ? GUARD_USER : GUARD_PASS;
}

void guard_wrong(struct guard *g, const struct addr *from, const char *user, size_t user_len,
		 uint64_t now_ms)
{
	uint8_t name[ADDR_SOURCE];
	user_source(user, user_len, name);
	budget_spend(&g->users, name, now_ms);
	budget_spend_addr(&g->addresses, from, 1, now_ms);
	budget_spend_addr(&g->suspects, from, 1, now_ms);
}
