/* SPDX-License-Identifier: Apache-2.0 */
/* Every code point there and back; every other two bytes refused. */
#include "base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x80)
		return out[0] = (uint8_t)c, 1;
	size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i > 0; i--, c >>= 6)
		out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)(0xf00 >> len | c);
	return len;
}

Test(utf8, every_code_point)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		uint8_t text[4];
		uint32_t got = 0;
		size_t len = encode(c, text);
		bool surrogate = c >= 0xd800 && c <= 0xdfff;
		cr_assert_eq(utf8_next(text, len, &got), surrogate ? 0 : len, "U+%04X", c);
		if (!surrogate)
			cr_assert_eq(got, c);
		if (len > 1)
			cr_assert_eq(utf8_next(text, len - 1, &got), 0, "U+%04X cut", c);
	}
}

Test(utf8, every_pair_of_bytes)
{
	for (unsigned a = 0x80; a < 0x100; a++)
		for (unsigned b = 0; b < 0x100; b++) {
			uint8_t text[2] = {(uint8_t)a, (uint8_t)b};
			uint32_t got;
			bool good = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
			cr_assert_eq(utf8_next(text, 2, &got), good ? 2 : 0, "%02x %02x", a, b);
		}
}

Test(utf8, what_is_above_the_first_plane_is_never_a_control)
{
	for (uint32_t c = 0x10000; c <= 0x10ffff; c++)
		cr_assert_not(utf8_is_control(c) || utf8_is_space(c));
}

/* Found by fuzz/cli_answer: a long reason of a DC, cut in the middle of a character. */
Test(utf8, text_cut_anywhere_is_mended)
{
	static const char whole[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xac.";
	static const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
	for (size_t len = 0; len < sizeof whole; len++) {
		char text[sizeof whole];
		memcpy(text, whole, len);
		text[len] = '\0';
		utf8_mend_end(text);
		cr_assert_eq(strlen(text), ends[len], "cut to %zu", len);
	}
}
