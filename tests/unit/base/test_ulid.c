/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ulid.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t zeros[10];

/* The figures of the ULID specification: this time is written 01ARYZ6S41. */
Test(ulid, time_is_written_as_specified)
{
	char text[ULID_TEXT + 1];
	struct ulid id = ulid_make(1469918176385, zeros);
	cr_expect_str_eq(ulid_format(&id, text), "01ARYZ6S410000000000000000");
	cr_expect_eq(ulid_time(&id), 1469918176385);
}

Test(ulid, bytes_and_text)
{
	static const struct {
		const char *hex, *text;
	} cases[] = {
		{"00000000000000000000000000000000", "00000000000000000000000000"},
		{"00000000000000000000000000000001", "00000000000000000000000001"},
		{"0000000000000000000000000000001f", "0000000000000000000000000Z"},
		{"00000000000000010000000000000000", "0000000000000G000000000000"},
		{"80000000000000000000000000000000", "40000000000000000000000000"},
		{"ffffffffffffffffffffffffffffffff", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
		{"ffffffffffff00000000000000000000", "7ZZZZZZZZZ0000000000000000"},
		{"0123456789abcdef0123456789abcdef", "014D2PF2DBSQQG28T5CY4TQKFF"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ulid id, back;
		char text[ULID_TEXT + 1];
		cr_assert_eq(hex_decode(cases[i].hex, id.b, sizeof id.b), RS_OK);
		cr_expect_str_eq(ulid_format(&id, text), cases[i].text, "%s: %s", cases[i].hex, text);
		cr_assert_eq(ulid_parse(cases[i].text, &back), RS_OK);
		cr_expect(ulid_equal(&id, &back));
	}
}

Test(ulid, every_bit_there_and_back)
{
	for (unsigned bit = 0; bit < 128; bit++) {
		struct ulid id = {{0}}, back;
		char text[ULID_TEXT + 1];
		id.b[bit / 8] = (uint8_t)(1 << bit % 8);
		cr_assert_eq(ulid_parse(ulid_format(&id, text), &back), RS_OK);
		cr_assert(ulid_equal(&id, &back), "bit %u", bit);
		cr_assert_not(ulid_is_zero(&id));
	}
}

Test(ulid, sorts_by_time)
{
	char earlier[ULID_TEXT + 1], later[ULID_TEXT + 1];
	uint8_t ones[10];
	memset(ones, 0xff, sizeof ones);
	for (uint64_t ms = 1; ms < (uint64_t)1 << 48; ms = ms * 3 + 1) {
		struct ulid a = ulid_make(ms, ones), b = ulid_make(ms + 1, zeros);
		cr_assert_lt(strcmp(ulid_format(&a, earlier), ulid_format(&b, later)), 0);
		cr_assert_lt(memcmp(a.b, b.b, ULID_BYTES), 0);
	}
}

Test(ulid, needs_no_nul_and_takes_nothing_else)
{
	static const char good[] = "01JDCF3K7Q9R8W2ZT5XV6YB4NM";
	struct ulid id, before;
	char text[ULID_TEXT];
	memcpy(text, good, sizeof text);
	cr_assert_eq(ulid_parse(text, &id), RS_OK);
	before = id;
	for (size_t at = 0; at < ULID_TEXT; at++) {
		for (const char *bad = "ILOUilouaz-+ :{}\n\x7f\x80\xff"; *bad; bad++) {
			text[at] = *bad;
			cr_assert_eq(ulid_parse(text, &id), RS_EINVAL, "%c at %zu", *bad, at);
		}
		text[at] = '\0';
		cr_assert_eq(ulid_parse(text, &id), RS_EINVAL, "NUL at %zu", at);
		text[at] = good[at];
	}
	cr_expect_eq(ulid_parse("80000000000000000000000000", &id), RS_EINVAL, "over 128 bits");
	cr_expect(ulid_equal(&id, &before));
}

Test(ulid, zero_means_none)
{
	struct ulid none = ulid_make(0, zeros), one = ulid_make(1, zeros);
	cr_expect(ulid_is_zero(&none));
	cr_expect_not(ulid_is_zero(&one));
	cr_expect_not(ulid_equal(&none, &one));
}
