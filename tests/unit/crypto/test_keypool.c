/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keypool.h"

#include "crypto/random.h"

#include <criterion/criterion.h>
#include <string.h>

Test(keypool, each_key_is_handed_out_once_and_wiped)
{
	enum { KEYS = 20 };
	static const struct keypair zero;
	struct keypool p;
	struct keypair got[KEYS], again;
	cr_assert_eq(keypool_init(&p, KEYS, random_bytes), 0);
	cr_expect_not(keypool_take(&p, &got[0]), "nothing is there yet");
	cr_expect(keypool_fill(&p, 8));
	cr_expect_eq(p.count, 8);
	cr_expect_not(keypool_fill(&p, 100), "full");
	cr_expect_eq(p.count, KEYS);
	for (int i = 0; i < KEYS; i++) {
		cr_assert(keypool_take(&p, &got[i]));
		cr_assert_eq(x25519_from_private(got[i].priv, &again), 0);
		cr_expect_eq(memcmp(again.pub, got[i].pub, sizeof again.pub), 0, "a good pair");
		for (int k = 0; k < i; k++)
			cr_expect_neq(memcmp(got[k].priv, got[i].priv, sizeof got[i].priv), 0);
	}
	cr_expect_not(keypool_take(&p, &again));
	for (int i = 0; i < KEYS; i++)
		cr_expect_eq(memcmp(&p.at[i], &zero, sizeof zero), 0);
	keypool_deinit(&p);
	keypool_deinit(&p);
}
