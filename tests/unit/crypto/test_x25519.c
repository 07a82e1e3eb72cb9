/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 against the figures of RFC 7748, and the keys it must refuse. */
#include "crypto/x25519.h"

#include "base/bytes.h"
#include "crypto/random.h"

#include <criterion/criterion.h>
#include <string.h>

static void key(const char *hex, uint8_t out[X25519_BYTES])
{
	cr_assert_eq(hex_decode(hex, out, X25519_BYTES), RS_OK, "bad hex in the test: %s", hex);
}

static void expect(const uint8_t got[X25519_BYTES], const char *hex)
{
	char text[2 * X25519_BYTES + 1];
	cr_expect_str_eq(hex_encode(got, X25519_BYTES, text), hex);
}

/* 5.2 */
Test(x25519, multiplies_as_the_rfc_does)
{
	static const struct {
		const char *scalar, *u, *result;
	} cases[] = {
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
		 "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
		 "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
		 "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
		 "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t k[X25519_BYTES], u[X25519_BYTES], out[X25519_BYTES];
		key(cases[i].scalar, k);
		key(cases[i].u, u);
		cr_assert_eq(x25519_shared(k, u, out), RS_OK);
		expect(out, cases[i].result);
	}
}

/* 5.2: k, u = X25519(k, u), k */
Test(x25519, iterates_as_the_rfc_does)
{
	uint8_t k[X25519_BYTES] = {9}, u[X25519_BYTES] = {9}, out[X25519_BYTES];
	for (int i = 1; i <= 1000; i++) {
		cr_assert_eq(x25519_shared(k, u, out), RS_OK);
		memcpy(u, k, sizeof u);
		memcpy(k, out, sizeof k);
		if (i == 1)
			expect(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
	}
	expect(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* 6.1 */
Test(x25519, two_sides_agree)
{
	struct keypair alice, bob;
	uint8_t priv[X25519_BYTES], ab[X25519_BYTES], ba[X25519_BYTES];
	key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", priv);
	cr_assert_eq(x25519_from_private(priv, &alice), RS_OK);
	expect(alice.pub, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	cr_expect_arr_eq(alice.priv, priv, sizeof priv);
	key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", priv);
	cr_assert_eq(x25519_from_private(priv, &bob), RS_OK);
	expect(bob.pub, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	cr_assert_eq(x25519_shared(alice.priv, bob.pub, ab), RS_OK);
	cr_assert_eq(x25519_shared(bob.priv, alice.pub, ba), RS_OK);
	expect(ab, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	cr_expect_arr_eq(ab, ba, sizeof ab);
}

Test(x25519, generated_pairs_differ_and_agree)
{
	struct keypair a, b;
	uint8_t ab[X25519_BYTES], ba[X25519_BYTES];
	cr_assert_eq(x25519_generate(random_bytes, &a), RS_OK);
	cr_assert_eq(x25519_generate(random_bytes, &b), RS_OK);
	cr_expect_arr_neq(a.priv, b.priv, X25519_BYTES);
	cr_expect_arr_neq(a.pub, b.pub, X25519_BYTES);
	cr_assert_eq(x25519_shared(a.priv, b.pub, ab), RS_OK);
	cr_assert_eq(x25519_shared(b.priv, a.pub, ba), RS_OK);
	cr_expect_arr_eq(ab, ba, sizeof ab);
}

/* Points of small order: whatever the private key, the result is zero. */
Test(x25519, a_result_of_zeros_is_refused_and_the_next_one_is_not)
{
	static const char *const small[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct keypair own, other;
	uint8_t peer[X25519_BYTES], out[X25519_BYTES];
	cr_assert_eq(x25519_generate(random_bytes, &own), RS_OK);
	cr_assert_eq(x25519_generate(random_bytes, &other), RS_OK);
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		key(small[i], peer);
		cr_expect_eq(x25519_shared(own.priv, peer, out), RS_EAUTH, "point %zu was taken", i);
		cr_expect_eq(x25519_shared(own.priv, other.pub, out), RS_OK);
	}
}
