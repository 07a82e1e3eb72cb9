/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM: published figures, and everything that must not open. */
#include "crypto/aead.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

enum { TEXT = 37, SEALED = TEXT + AEAD_TAG_BYTES };

static const uint8_t zeros[AEAD_KEY_BYTES];

static void fill(uint8_t *out, size_t len, unsigned from)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(from + i);
}

static void expect(const uint8_t *got, size_t len, const char *hex)
{
	char text[2 * SEALED + 1];
	cr_expect_str_eq(hex_encode(got, len, text), hex);
}

/* Test cases 13 and 14 of the GCM paper (McGrew and Viega); the third was
 * worked out with another library, for the place and order of the nonce. */
Test(aead, seals_as_published)
{
	uint8_t key[AEAD_KEY_BYTES], out[SEALED];
	cr_assert_eq(aead_seal(zeros, 0, NULL, 0, NULL, 0, out), RS_OK);
	expect(out, AEAD_TAG_BYTES, "530f8afbc74536b9a963b4f1c4cb738b");
	cr_assert_eq(aead_seal(zeros, 0, NULL, 0, zeros, 16, out), RS_OK);
	expect(out, 16 + AEAD_TAG_BYTES,
	       "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
	fill(key, sizeof key, 0);
	cr_assert_eq(aead_seal(key, 0x0102030405060708, "ad", 2, (const uint8_t *)"hello", 5, out), RS_OK);
	expect(out, 5 + AEAD_TAG_BYTES, "6c340962b2cb7f32fbec02e07e823f3a3137d78513");
}

Test(aead, opens_what_was_sealed_at_every_length)
{
	static uint8_t plain[600], sealed[600 + AEAD_TAG_BYTES], opened[600];
	uint8_t key[AEAD_KEY_BYTES];
	fill(plain, sizeof plain, 7);
	for (size_t len = 0; len <= sizeof plain; len++) {
		size_t ad_len = len % 20;
		fill(key, sizeof key, (unsigned)len);
		cr_assert_eq(aead_seal(key, len, plain, ad_len, plain, len, sealed), RS_OK);
		cr_assert_eq(aead_open(key, len, plain, ad_len, sealed, len + AEAD_TAG_BYTES, opened), RS_OK,
			     "length %zu", len);
		cr_assert_arr_eq(opened, plain, len);
	}
}

Test(aead, works_in_place)
{
	uint8_t key[AEAD_KEY_BYTES], plain[TEXT], other[SEALED], place[SEALED];
	fill(key, sizeof key, 1);
	fill(plain, sizeof plain, 2);
	memcpy(place, plain, sizeof plain);
	cr_assert_eq(aead_seal(key, 5, "x", 1, plain, TEXT, other), RS_OK);
	cr_assert_eq(aead_seal(key, 5, "x", 1, place, TEXT, place), RS_OK);
	cr_assert_arr_eq(place, other, SEALED);
	cr_assert_eq(aead_open(key, 5, "x", 1, place, SEALED, place), RS_OK);
	cr_assert_arr_eq(place, plain, TEXT);
}

Test(aead, refuses_every_flipped_bit)
{
	uint8_t key[AEAD_KEY_BYTES], ad[8], plain[TEXT], sealed[SEALED], out[TEXT];
	fill(key, sizeof key, 1);
	fill(ad, sizeof ad, 2);
	fill(plain, sizeof plain, 3);
	cr_assert_eq(aead_seal(key, 9, ad, sizeof ad, plain, TEXT, sealed), RS_OK);
	struct {
		uint8_t *at;
		size_t len;
	} parts[] = {{sealed, sizeof sealed}, {ad, sizeof ad}, {key, sizeof key}};
	for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
		for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
			parts[p].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
			cr_assert_eq(aead_open(key, 9, ad, sizeof ad, sealed, SEALED, out), RS_EAUTH,
				     "part %zu bit %zu", p, bit);
			parts[p].at[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	for (unsigned bit = 0; bit < 64; bit++)
		cr_assert_eq(aead_open(key, 9 ^ 1ull << bit, ad, sizeof ad, sealed, SEALED, out), RS_EAUTH,
			     "nonce bit %u", bit);
	cr_assert_eq(aead_open(key, 9, ad, sizeof ad, sealed, SEALED, out), RS_OK);
	cr_assert_arr_eq(out, plain, TEXT);
}

Test(aead, refuses_every_other_length)
{
	uint8_t key[AEAD_KEY_BYTES], plain[TEXT], sealed[SEALED + 1] = {0}, out[TEXT + 1];
	fill(key, sizeof key, 1);
	fill(plain, sizeof plain, 3);
	cr_assert_eq(aead_seal(key, 0, plain, 4, plain, TEXT, sealed), RS_OK);
	for (size_t len = 0; len <= SEALED + 1; len++)
		if (len != SEALED)
			cr_expect_eq(aead_open(key, 0, plain, 4, sealed, len, out), RS_EAUTH, "length %zu", len);
	cr_expect_eq(aead_open(key, 0, plain, 3, sealed, SEALED, out), RS_EAUTH);
	cr_expect_eq(aead_open(key, 0, plain, 5, sealed, SEALED, out), RS_EAUTH);
	cr_expect_eq(aead_open(key, 0, NULL, 0, sealed, SEALED, out), RS_EAUTH);
}

Test(aead, a_refused_packet_leaves_no_plaintext)
{
	uint8_t plain[TEXT], sealed[SEALED], out[TEXT];
	fill(plain, sizeof plain, 3);
	cr_assert_eq(aead_seal(zeros, 0, NULL, 0, plain, TEXT, sealed), RS_OK);
	sealed[SEALED - 1] ^= 1;
	cr_assert_eq(aead_open(zeros, 0, NULL, 0, sealed, SEALED, out), RS_EAUTH);
	for (size_t i = 0; i < sizeof out; i++)
		cr_expect_eq(out[i], 0);
}
