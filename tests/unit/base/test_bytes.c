/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

Test(bytes, big_endian_of_every_width)
{
	static const uint8_t want[8] = {1, 2, 3, 4, 5, 6, 7, 0xf8};
	for (unsigned len = 1; len <= 8; len++) {
		uint8_t out[10];
		memset(out, 0xaa, sizeof out);
		be_put(out + 1, 0x01020304050607f8, len);
		cr_expect_arr_eq(out + 1, want + 8 - len, len);
		cr_expect_eq(out[0], 0xaa);
		cr_expect_eq(out[1 + len], 0xaa);
		cr_expect_eq(be_get(out + 1, len), 0x01020304050607f8 & (UINT64_MAX >> (64 - 8 * len)));
	}
	cr_expect_eq(be_get((const uint8_t[]){0xff}, 1), 255);
	cr_expect_eq(be_get(want, 0), 0);
}

Test(bytes, hexadecimal)
{
	uint8_t all[256], back[256];
	char text[513], upper[513];
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (uint8_t)i;
	cr_assert_eq(hex_encode(all, sizeof all, text), text);
	cr_assert_eq(strlen(text), 512);
	cr_assert_eq(strncmp(text, "000102030405060708090a0b0c0d0e0f10", 34), 0);
	cr_assert_eq(hex_decode(text, back, sizeof back), RS_OK);
	cr_assert_arr_eq(back, all, sizeof all);
	for (size_t i = 0; i < sizeof text; i++)
		upper[i] = text[i] >= 'a' ? (char)(text[i] - 'a' + 'A') : text[i];
	cr_assert_eq(hex_decode(upper, back, sizeof back), RS_OK);
	cr_assert_arr_eq(back, all, sizeof all);
	cr_expect_str_eq(hex_encode(all, 0, text), "");
	cr_expect_eq(hex_decode("", back, 0), RS_OK);
}

Test(bytes, what_is_not_hexadecimal)
{
	static const char *const bad[] = {"", "0", "000", "00000", "0g00", "00 0", "0x00", "-000", "00\n0",
					  "00\xc3\xbc", "@000", "`000", "/000", ":000", "G000"};
	uint8_t out[2];
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_expect_eq(hex_decode(bad[i], out, 2), RS_EINVAL, "%s", bad[i]);
}

Test(bytes, equal_ct)
{
	uint8_t a[40] = {0}, b[40] = {0};
	cr_expect(bytes_equal_ct(a, b, sizeof a));
	cr_expect(bytes_equal_ct(a, "x", 0));
	for (size_t bit = 0; bit < 8 * sizeof a; bit++) {
		b[bit / 8] = (uint8_t)(1 << bit % 8);
		cr_expect_not(bytes_equal_ct(a, b, sizeof a), "bit %zu", bit);
		cr_expect(bytes_equal_ct(a, b, bit / 8));
		b[bit / 8] = 0;
	}
}
