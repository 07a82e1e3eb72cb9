/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes lie in a block of exactly their size, so that the address sanitizer
 * sees a read past the end. */
static int parse(const void *data, size_t len, struct text_request *out, const char **fault)
{
	static char *held;
	free(held);
	held = malloc(len ? len : 1);
	cr_assert_not_null(held);
	memcpy(held, data, len);
	*fault = NULL;
	return text_parse(held, len, out, fault);
}

static bool value_is(const struct text_request *r, const char *name, const char *value)
{
	const struct text_span *s = text_value(r, name);
	return s && text_is(*s, value);
}

#define SEND_WHOLE "SEND 1\r\nid order-17\r\nto alice\r\nttl 86400\r\nlength 5\r\n\r\n"

Test(text, whole_request)
{
	struct text_request r;
	const char *fault;
	const char *in = SEND_WHOLE "helloPING 1\r\n\r\n";
	cr_assert_eq(parse(in, strlen(in), &r, &fault), RS_OK);
	cr_expect(text_is(r.verb, "SEND"));
	cr_expect(text_is(r.version, "1"));
	cr_expect_eq(r.field_count, 4);
	cr_expect(value_is(&r, "id", "order-17"));
	cr_expect(value_is(&r, "to", "alice"));
	cr_expect(value_is(&r, "ttl", "86400"));
	cr_expect_null(text_value(&r, "tt"));
	cr_expect_null(text_value(&r, "ttll"));
	cr_expect_eq(r.header_len, strlen(SEND_WHOLE));
	cr_expect_eq(r.body_len, 5);
}

Test(text, verb_of_several_words)
{
	struct text_request r;
	const char *fault, *in = "PRESENCE-EVENTS 1\r\n\r\n";
	cr_assert_eq(parse(in, strlen(in), &r, &fault), RS_OK);
	cr_expect(text_is(r.verb, "PRESENCE-EVENTS"));
	cr_expect(text_is(r.version, "1"));
}

Test(text, lone_line_feeds_may_be_typed)
{
	struct text_request r;
	const char *fault, *in = "PRESENCE 1\nuser alice\n\n";
	cr_assert_eq(parse(in, strlen(in), &r, &fault), RS_OK);
	cr_expect(value_is(&r, "user", "alice"));
	cr_expect_eq(r.header_len, strlen(in));
	cr_expect_eq(r.body_len, 0);
}

Test(text, value_may_be_empty_or_hold_spaces)
{
	struct text_request r;
	const char *fault, *in = "SEND 1\r\nto \r\nid a  b \r\n\r\n";
	cr_assert_eq(parse(in, strlen(in), &r, &fault), RS_OK);
	cr_expect(value_is(&r, "to", ""));
	cr_expect(value_is(&r, "id", "a  b "));
}

Test(text, every_cut_asks_for_more)
{
	struct text_request r;
	const char *fault;
	for (size_t len = 0; len < strlen(SEND_WHOLE); len++)
		cr_expect_eq(parse(SEND_WHOLE, len, &r, &fault), RS_EAGAIN, "cut at %zu", len);
}

#define BYTES(s) s, sizeof(s) - 1
static const struct {
	const char *in;
	size_t len;
	int err;
	const char *fault; /* a part of it */
} bad[] = {
	{BYTES("\r\n"), RS_EINVAL, "first line"},
	{BYTES("send 1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND\r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND \r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND  1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND 1 \r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND one\r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND -1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND 1000000000\r\n"), RS_EINVAL, "first line"},
	{BYTES(" SEND 1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND1\r\n"), RS_EINVAL, "first line"},
	{BYTES("-SEND 1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SEND- 1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SE--ND 1\r\n"), RS_EINVAL, "first line"},
	{BYTES("- 1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SE-nd 1\r\n"), RS_EINVAL, "first line"},
	{BYTES("SE\0ND 1\r\n"), RS_EINVAL, "NUL"},
	{BYTES("SEND\r1\r\n"), RS_EINVAL, "CR"},
	{BYTES("SEND 1\r\nto al\0ice\r\n"), RS_EINVAL, "NUL"},
	{BYTES("SEND 1\r\nto al\rice\r\n"), RS_EINVAL, "CR"},
	{BYTES("SEND 1\r\nto alice\r\r\n"), RS_EINVAL, "CR"},
	{BYTES("SEND 1\r\nto\r\n"), RS_EINVAL, "header line"},
	{BYTES("SEND 1\r\n to alice\r\n"), RS_EINVAL, "header line"},
	{BYTES("SEND 1\r\nTo alice\r\n"), RS_EINVAL, "header line"},
	{BYTES("SEND 1\r\nto: alice\r\n"), RS_EINVAL, "header line"},
	{BYTES("SEND 1\r\nto\talice\r\n"), RS_EINVAL, "header line"},
	{BYTES("SEND 1\r\nt\xc3\xb6 alice\r\n"), RS_EINVAL, "header line"},
	{BYTES("SEND 1\r\nto a\r\nid 1\r\nto b\r\n"), RS_EINVAL, "twice"},
	{BYTES("SEND 1\r\nlength 5\r\nlength 5\r\n"), RS_EINVAL, "twice"},
	{BYTES("SEND 1\r\nlength five\r\n"), RS_EINVAL, "whole number"},
	{BYTES("SEND 1\r\nlength -1\r\n"), RS_EINVAL, "whole number"},
	{BYTES("SEND 1\r\nlength +1\r\n"), RS_EINVAL, "whole number"},
	{BYTES("SEND 1\r\nlength 1.5\r\n"), RS_EINVAL, "whole number"},
	{BYTES("SEND 1\r\nlength \r\n"), RS_EINVAL, "whole number"},
};

Test(text, malformed_is_refused_at_the_line)
{
	struct text_request r;
	const char *fault;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_expect_eq(parse(bad[i].in, bad[i].len, &r, &fault), bad[i].err, "case %zu", i);
		cr_expect(fault && strstr(fault, bad[i].fault), "case %zu says %s", i, fault);
	}
}

Test(text, field_at_fault_is_named)
{
	struct text_request r;
	const char *fault, *in = "SEND 1\r\nto a\r\nto b\r\n";
	cr_assert_eq(parse(in, strlen(in), &r, &fault), RS_EINVAL);
	cr_expect(text_is(r.at_fault, "to"));
}

/* A request whose header has exactly `len` bytes. */
static char *header_of(size_t len)
{
	char *text = malloc(len + 1);
	cr_assert_not_null(text);
	memset(text, 'x', len);
	memcpy(text, "SEND 1\r\nto ", 11);
	memcpy(text + len - 4, "\r\n\r\n", 4);
	return text;
}

Test(text, header_limit)
{
	struct text_request r;
	const char *fault;
	char *text = header_of(TEXT_HEADER_MAX);
	cr_expect_eq(parse(text, TEXT_HEADER_MAX, &r, &fault), RS_OK);
	cr_expect_eq(r.header_len, TEXT_HEADER_MAX);
	cr_expect_eq(parse(text, TEXT_HEADER_MAX - 1, &r, &fault), RS_EAGAIN);
	free(text);
	text = header_of(TEXT_HEADER_MAX + 1);
	cr_expect_eq(parse(text, TEXT_HEADER_MAX + 1, &r, &fault), RS_ELIMIT);
	cr_expect(strstr(fault, "8192"));
	cr_expect_eq(parse(text, TEXT_HEADER_MAX, &r, &fault), RS_ELIMIT, "its end cannot come in time");
	free(text);
}

Test(text, field_limit)
{
	struct text_request r;
	const char *fault;
	char in[1024];
	size_t len = (size_t)snprintf(in, sizeof in, "SEND 1\r\n");
	for (int i = 0; i < TEXT_FIELDS_MAX; i++)
		len += (size_t)snprintf(in + len, sizeof in - len, "f%d v\r\n", i);
	memcpy(in + len, "\r\n", 2);
	cr_expect_eq(parse(in, len + 2, &r, &fault), RS_OK);
	cr_expect_eq(r.field_count, TEXT_FIELDS_MAX);
	memcpy(in + len, "z v\r\n", 5);
	cr_expect_eq(parse(in, len + 5, &r, &fault), RS_ELIMIT);
}

Test(text, length_beyond_any_body)
{
	struct text_request r;
	const char *fault;
	const char *in = "SEND 1\r\nlength 99999999999999999999999999\r\n\r\n";
	cr_assert_eq(parse(in, strlen(in), &r, &fault), RS_OK);
	cr_expect_gt(r.body_len, TEXT_BODY_SKIP_MAX);
	in = "SEND 1\r\nlength 16385\r\n\r\n";
	cr_assert_eq(parse(in, strlen(in), &r, &fault), RS_OK);
	cr_expect_eq(r.body_len, 16385);
}

static int number(const char *text, uint64_t lo, uint64_t hi, uint64_t *out)
{
	*out = 4711;
	return text_number((struct text_span){text, strlen(text)}, lo, hi, out);
}

Test(text, numbers)
{
	uint64_t v;
	cr_expect(number("0", 0, 9, &v) == RS_OK && v == 0);
	cr_expect(number("007", 0, 9, &v) == RS_OK && v == 7);
	cr_expect(number("18446744073709551615", 0, UINT64_MAX, &v) == RS_OK && v == UINT64_MAX);
	cr_expect(number("18446744073709551616", 0, UINT64_MAX, &v) == RS_ELIMIT && v == 4711);
	cr_expect_eq(number("10", 0, 9, &v), RS_ELIMIT);
	cr_expect_eq(number("0", 1, 9, &v), RS_ELIMIT);
	cr_expect_eq(number("", 0, 9, &v), RS_EINVAL);
	cr_expect_eq(number(" 1", 0, 9, &v), RS_EINVAL);
	cr_expect_eq(number("1 ", 0, 9, &v), RS_EINVAL);
	cr_expect_eq(number("0x1", 0, 9, &v), RS_EINVAL);
	cr_expect_eq(number("99999999999999999999999x", 0, 9, &v), RS_EINVAL);
}

/* Whatever comes in, the answer is one of the four and what is handed out lies
 * inside the input. */
Test(text, noise_is_harmless)
{
	static const char letters[] = "SEND 1\r\n\r\nto length 0123\0\xff";
	unsigned state = 12345;
	for (int round = 0; round < 200000; round++) {
		char in[64];
		struct text_request r;
		const char *fault = NULL;
		size_t len = (size_t)(round % (int)sizeof in);
		for (size_t i = 0; i < len; i++) {
			state = state * 1103515245u + 12345u;
			in[i] = i < 8 && state & 0x10000 ? letters[i]
							 : letters[(state >> 18) % sizeof letters];
		}
		int err = parse(in, len, &r, &fault);
		cr_assert(err == RS_OK || err == RS_EAGAIN || err == RS_EINVAL || err == RS_ELIMIT);
		cr_assert(err == RS_OK || err == RS_EAGAIN || fault);
		cr_assert(err != RS_OK || r.header_len <= len);
	}
}
