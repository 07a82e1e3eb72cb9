/* SPDX-License-Identifier: Apache-2.0 */
/* What may be a name, and what is said of that which may not. */
#include "base/name.h"

#include <criterion/criterion.h>
#include <string.h>

#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16
#define U16 "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc"

#define EMPTY "is empty"
#define LONG "is longer than 64 bytes"
#define UTF8 "is not valid UTF-8"
#define NUL "contains a NUL byte"
#define BREAK "contains a line break"
#define SPACE "contains a space"
#define BRACE "contains a brace"
#define CONTROL "contains a control character"

/* The literal's own length, so that NUL bytes count. */
#define CASE(text, fault) {text, sizeof(text) - 1, fault}

static const struct {
	const char *text;
	size_t len;
	const char *fault;
} cases[] = {
	CASE("a", NULL),
	CASE("alice", NULL),
	CASE("alice@example.org", NULL),
	CASE("order-17:a/b,c;d%s*?[x]\\\"'", NULL),
	CASE("-", NULL),
	CASE("J\u00fcrgen", NULL),
	CASE("\u5f20\u4f1f", NULL),
	CASE("\U0001f600", NULL),
	CASE("\u2764\ufe0f", NULL), /* heart with its emoji selector */
	CASE("\U0001f1e9\U0001f1ea", NULL),
	CASE("\U0010fffd", NULL),
	CASE(A64, NULL),
	CASE(U16 U16 U16 U16, NULL),
	CASE("", EMPTY),
	CASE(A64 "a", LONG),
	CASE(U16 U16 U16 U16 "a", LONG),
	CASE("a b", SPACE),
	CASE(" a", SPACE),
	CASE("a ", SPACE),
	CASE("a\u00a0b", SPACE), /* NBSP */
	CASE("a\u1680", SPACE),
	CASE("a\u2003", SPACE),
	CASE("a\u2028", SPACE),
	CASE("a\u202f", SPACE),
	CASE("a\u3000", SPACE),
	CASE("{", BRACE),
	CASE("a}b", BRACE),
	CASE("a\rb", BREAK),
	CASE("a\n", BREAK),
	CASE("a\r\nrole admin", BREAK),
	CASE("a\0b", NUL),
	CASE("\0", NUL),
	CASE("a\tb", CONTROL),
	CASE("\x1b[31m", CONTROL),
	CASE("a\x7f", CONTROL),
	CASE("a\xc2\x85", CONTROL), /* NEL */
	CASE("a\u00ad", CONTROL),   /* soft hyphen */
	CASE("a\u200b", CONTROL),   /* zero width space */
	CASE("a\u202eb", CONTROL),  /* right-to-left override */
	CASE("a\u061cb", CONTROL),  /* Arabic letter mark */
	CASE("a\u2060b", CONTROL),  /* word joiner */
	CASE("a\u2066b", CONTROL),
	CASE("\ufeff" "a", CONTROL),
	CASE("a\uffff", CONTROL),
	CASE("\x80", UTF8),              /* continuation without a start */
	CASE("a\xbf", UTF8),
	CASE("\xc3", UTF8),              /* cut */
	CASE("\xc3(", UTF8),
	CASE("\xe5\xbc", UTF8),
	CASE("\xf0\x9f\x98", UTF8),
	CASE("\xc0\xaf", UTF8),          /* overlong '/' */
	CASE("\xc0\x80", UTF8),          /* overlong NUL */
	CASE("\xc1\xbf", UTF8),
	CASE("\xe0\x9f\xbf", UTF8),
	CASE("\xe0\x80\xa0", UTF8),      /* overlong space */
	CASE("\xf0\x8f\xbf\xbf", UTF8),
	CASE("\xed\xa0\x80", UTF8),      /* first surrogate */
	CASE("\xed\xbf\xbf", UTF8),      /* last surrogate */
	CASE("\xf4\x90\x80\x80", UTF8),  /* U+110000 */
	CASE("\xf8\x88\x80\x80\x80", UTF8),
	CASE("\xff", UTF8),
};

Test(name, every_case_of_the_table)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		/* A copy of the exact length: reading past it shows in the sanitizer. */
		char *copy = malloc(cases[i].len ? cases[i].len : 1);
		memcpy(copy, cases[i].text, cases[i].len);
		const char *fault = name_fault(copy, cases[i].len);
		free(copy);
		if (!cases[i].fault)
			cr_expect_null(fault, "case %zu: %s", i, fault);
		else
			cr_expect(fault && strcmp(fault, cases[i].fault) == 0, "case %zu: %s, not %s", i,
				  fault ? fault : "taken", cases[i].fault);
	}
}

Test(name, every_byte_alone)
{
	for (unsigned c = 0; c < 256; c++) {
		char byte = (char)c;
		bool good = c > ' ' && c < 0x7f && c != '{' && c != '}';
		cr_expect_eq(name_fault(&byte, 1) == NULL, good, "byte %u", c);
	}
}
