/* SPDX-License-Identifier: Apache-2.0 */
/* Stored messages as they stand in Redis. */
#include "wire/record.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLE_ID "01JDCF3K7Q9R8W2ZT5XV6YB4NM"
#define EXAMPLE EXAMPLE_ID " chat 1732370000000 1732456400000 order-17\nhello"

static const char a64[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static uint8_t out[RECORD_MAX + 1];

static struct record example(void)
{
	struct record r = {
		.sent_ms = 1732370000000,
		.expires_ms = 1732456400000,
		.app = "chat",
		.app_len = 4,
		.app_id = "order-17",
		.app_id_len = 8,
		.body = (const uint8_t *)"hello",
		.body_len = 5,
	};
	cr_assert_eq(ulid_parse(EXAMPLE_ID, &r.id), RS_OK);
	return r;
}

static void expect_same(const struct record *a, const struct record *b)
{
	cr_expect(ulid_equal(&a->id, &b->id));
	cr_expect_eq(a->sent_ms, b->sent_ms);
	cr_expect_eq(a->expires_ms, b->expires_ms);
	cr_assert_eq(a->app_len, b->app_len);
	cr_expect_arr_eq(a->app, b->app, a->app_len);
	cr_assert_eq(a->app_id_len, b->app_id_len);
	cr_expect(a->app_id_len == 0 || memcmp(a->app_id, b->app_id, a->app_id_len) == 0);
	cr_expect_eq(a->priority, b->priority);
	cr_assert_eq(a->collapse_len, b->collapse_len);
	cr_expect(a->collapse_len == 0 || memcmp(a->collapse, b->collapse, a->collapse_len) == 0);
	cr_assert_eq(a->topic_len, b->topic_len);
	cr_expect(a->topic_len == 0 || memcmp(a->topic, b->topic, a->topic_len) == 0);
	cr_expect_eq(a->receipt, b->receipt);
	cr_expect_eq(a->body_elsewhere, b->body_elsewhere);
	cr_expect_eq(a->elsewhere_len, b->elsewhere_len);
	cr_assert_eq(a->body_len, b->body_len);
	cr_expect(a->body_len == 0 || memcmp(a->body, b->body, a->body_len) == 0);
}

/* Formats r and parses a copy of exactly that length. */
static void there_and_back(const struct record *r)
{
	struct record back;
	int len = record_format(r, out, sizeof out);
	cr_assert_gt(len, 0, "%d", len);
	uint8_t *copy = malloc((size_t)len);
	memcpy(copy, out, (size_t)len);
	cr_assert_eq(record_parse(copy, (size_t)len, &back), RS_OK);
	expect_same(r, &back);
	free(copy);
}

Test(record, the_example_of_the_header)
{
	struct record r = example(), back;
	cr_assert_eq(record_format(&r, out, sizeof out), (int)strlen(EXAMPLE));
	cr_expect_arr_eq(out, EXAMPLE, strlen(EXAMPLE));
	cr_assert_eq(record_parse(EXAMPLE, strlen(EXAMPLE), &back), RS_OK);
	expect_same(&r, &back);
}

Test(record, without_an_id_of_the_app)
{
	struct record r = example();
	r.app_id = NULL;
	r.app_id_len = 0;
	there_and_back(&r);
	cr_expect_not_null(memmem(out, 80, " -\nhello", 8));
}

Test(record, bodies_of_every_kind)
{
	static uint8_t body[RECORD_BODY_MAX];
	static const size_t lengths[] = {0, 1, 255, 512, RECORD_BODY_MAX - 1, RECORD_BODY_MAX};
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct record r = example();
		r.body = lengths[i] ? body : NULL;
		r.body_len = lengths[i];
		there_and_back(&r);
	}
	struct record r = example();
	r.body = (const uint8_t *)"\n\n" EXAMPLE;
	r.body_len = strlen(EXAMPLE) + 2;
	there_and_back(&r);
}

Test(record, the_longest_and_the_shortest)
{
	static uint8_t body[RECORD_BODY_MAX];
	struct record r = example();
	r.app = r.app_id = r.collapse = r.topic = a64;
	r.app_len = r.app_id_len = r.collapse_len = r.topic_len = NAME_MAX_BYTES;
	r.priority = PRIORITY_HIGH;
	r.receipt = r.body_elsewhere = true;
	r.elsewhere_len = RECORD_BODY_MAX;
	r.sent_ms = r.expires_ms = 9999999999999;
	r.body = body;
	r.body_len = sizeof body;
	there_and_back(&r);
	cr_expect_eq(record_format(&r, out, sizeof out), RECORD_MAX);
	r = (struct record){.app = "%", .app_len = 1};
	there_and_back(&r);
	cr_expect_eq(record_format(&r, out, sizeof out),
		     RECORD_HEADER_MAX - RECORD_TOKENS_MAX - 2 * (NAME_MAX_BYTES - 1));
}

Test(record, words_behind_the_apps_id)
{
	for (unsigned bits = 0; bits < 48; bits++) {
		struct record r = example();
		r.priority = (enum priority)(bits % 3);
		r.receipt = bits / 3 & 1;
		r.body_elsewhere = bits / 3 & 2;
		r.elsewhere_len = r.body_elsewhere ? bits % 3 * 4096 : 0;
		r.collapse = "score";
		r.collapse_len = bits / 3 & 4 ? 5 : 0;
		r.topic = "a/b";
		r.topic_len = bits / 3 & 8 ? 3 : 0;
		there_and_back(&r);
	}
	struct record r = example();
	r.priority = PRIORITY_LOW;
	r.receipt = r.body_elsewhere = true;
	r.collapse = r.topic = "x";
	r.collapse_len = r.topic_len = 1;
	cr_expect_gt(record_format(&r, out, sizeof out), 0);
	cr_expect_not_null(memmem(out, 100, " order-17 p=low c=x t=x r f\nhello", 33));
	r.elsewhere_len = 1024;
	cr_expect_gt(record_format(&r, out, sizeof out), 0);
	cr_expect_not_null(memmem(out, 100, " order-17 p=low c=x t=x r f=1024\nhello", 38));
}

Test(record, bytes_of_a_body_that_lies_elsewhere)
{
	struct record r = example();
	r.body_elsewhere = true;
	r.elsewhere_len = RECORD_BODY_MAX + 1;
	cr_expect_eq(record_format(&r, out, sizeof out), RS_ELIMIT);
	r.body_elsewhere = false;
	r.elsewhere_len = 1;
	cr_expect_eq(record_format(&r, out, sizeof out), RS_EINVAL);
}

Test(record, names_are_not_formats)
{
	struct record r = example();
	r.app = "%s%n%99d";
	r.app_len = 8;
	r.app_id = "J\u00fcrgen\U0001f600";
	r.app_id_len = strlen(r.app_id);
	there_and_back(&r);
}

Test(record, needs_its_room_and_writes_no_further)
{
	struct record r = example();
	size_t need = strlen(EXAMPLE);
	for (size_t cap = 0; cap <= need; cap++) {
		memset(out, 0xee, need + 1);
		cr_expect_eq(record_format(&r, out, cap), cap < need ? RS_ELIMIT : (int)need, "room %zu", cap);
		cr_expect_eq(out[cap], 0xee);
	}
}

Test(record, what_may_not_be_formatted)
{
	static uint8_t big[RECORD_BODY_MAX + 1];
	struct record r = example();
	r.body = big;
	r.body_len = sizeof big;
	cr_expect_eq(record_format(&r, out, sizeof out), RS_ELIMIT);
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {{"", 0}, {"a b", 3}, {"a\nb", 3}, {"a{", 2}, {"a\0", 2}, {a64, 65}, {"\xff", 1}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		r = example();
		r.app = bad[i].text;
		r.app_len = bad[i].len;
		cr_expect_eq(record_format(&r, out, sizeof out), RS_EINVAL, "app %zu", i);
		r = example();
		r.app_id = bad[i].text;
		r.app_id_len = bad[i].len;
		cr_expect(bad[i].len == 0 || record_format(&r, out, sizeof out) == RS_EINVAL, "id %zu", i);
	}
}

/* It would come back as "no id". */
Test(record, an_id_that_is_a_dash_is_refused)
{
	struct record r = example();
	r.app_id = "-";
	r.app_id_len = 1;
	cr_expect_eq(record_format(&r, out, sizeof out), RS_EINVAL);
	r.app_id = "--";
	r.app_id_len = 2;
	there_and_back(&r);
}

/* A script finds the fields by their places. */
Test(record, a_time_of_more_than_13_digits_is_refused)
{
	struct record r = example();
	r.sent_ms = 10000000000000;
	cr_expect_eq(record_format(&r, out, sizeof out), RS_EINVAL);
	r = example();
	r.expires_ms = 10000000000000;
	cr_expect_eq(record_format(&r, out, sizeof out), RS_EINVAL);
	r.expires_ms = UINT64_MAX;
	cr_expect_eq(record_format(&r, out, sizeof out), RS_EINVAL);
}

Test(record, a_cut_header_is_refused_at_every_length)
{
	size_t header = strlen(EXAMPLE) - 5;
	for (size_t len = 0; len < header; len++) {
		struct record r;
		char *copy = malloc(len ? len : 1);
		memcpy(copy, EXAMPLE, len);
		cr_expect_eq(record_parse(copy, len, &r), RS_EINVAL, "length %zu", len);
		free(copy);
	}
}

#define TIMES " 1732370000000 1732456400000 "

Test(record, what_is_not_a_record)
{
	static const char *const bad[] = {
		"\n",
		"hello\n",
		EXAMPLE_ID "\n",
		EXAMPLE_ID " chat" TIMES "\n",
		EXAMPLE_ID " chat 1732370000000 1732456400000\n",
		EXAMPLE_ID " chat" TIMES "a b\n",
		EXAMPLE_ID " chat" TIMES "a r \n",
		EXAMPLE_ID " chat" TIMES "a  r\n",
		EXAMPLE_ID " chat" TIMES "a r r\n",
		EXAMPLE_ID " chat" TIMES "a f r\n",
		EXAMPLE_ID " chat" TIMES "a f=\n",
		EXAMPLE_ID " chat" TIMES "a f=0\n",
		EXAMPLE_ID " chat" TIMES "a f=01\n",
		EXAMPLE_ID " chat" TIMES "a f=-1\n",
		EXAMPLE_ID " chat" TIMES "a f=1k\n",
		EXAMPLE_ID " chat" TIMES "a f=16385\n",
		EXAMPLE_ID " chat" TIMES "a f=100000\n",
		EXAMPLE_ID " chat" TIMES "a f f=1\n",
		EXAMPLE_ID " chat" TIMES "a f=5 r\n",
		EXAMPLE_ID " chat" TIMES "a p=normal\n",
		EXAMPLE_ID " chat" TIMES "a p=\n",
		EXAMPLE_ID " chat" TIMES "a c=\n",
		EXAMPLE_ID " chat" TIMES "a t=a{b\n",
		EXAMPLE_ID " chat" TIMES "a c=a c=b\n",
		EXAMPLE_ID " chat" TIMES "a r p=high\n",
		EXAMPLE_ID " chat" TIMES "a \n",
		EXAMPLE_ID " chat" TIMES "a\r\n",
		EXAMPLE_ID "  chat" TIMES "-\n",
		EXAMPLE_ID " chat " TIMES "-\n",
		" " EXAMPLE_ID " chat" TIMES "-\n",
		EXAMPLE_ID "0 chat" TIMES "-\n",
		"1JDCF3K7Q9R8W2ZT5XV6YB4NM chat" TIMES "-\n",
		"81JDCF3K7Q9R8W2ZT5XV6YB4NM chat" TIMES "-\n",
		"01jdcf3k7q9r8w2zt5xv6yb4nm chat" TIMES "-\n",
		EXAMPLE_ID " ch{at" TIMES "-\n",
		EXAMPLE_ID " ch\xff" TIMES "-\n",
		EXAMPLE_ID " chat 732370000000 1732456400000 -\n",
		EXAMPLE_ID " chat 11732370000000 1732456400000 -\n",
		EXAMPLE_ID " chat 1732370000000 732456400000 -\n",
		EXAMPLE_ID " chat 1732370000000 11732456400000 -\n",
		EXAMPLE_ID " chat -732370000000 1732456400000 -\n",
		EXAMPLE_ID " chat 1732370000000 +732456400000 -\n",
		EXAMPLE_ID " chat 17323700000x0 1732456400000 -\n",
		EXAMPLE_ID " chat\n" TIMES "-\n",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct record r;
		cr_expect_eq(record_parse(bad[i], strlen(bad[i]), &r), RS_EINVAL, "taken: %s", bad[i]);
	}
}

Test(record, a_body_or_header_over_its_limit_is_refused)
{
	static char text[RECORD_MAX + 200];
	struct record r;
	size_t header = strlen(EXAMPLE) - 5;
	memcpy(text, EXAMPLE, header);
	cr_expect_eq(record_parse(text, header + RECORD_BODY_MAX, &r), RS_OK);
	cr_expect_eq(record_parse(text, header + RECORD_BODY_MAX + 1, &r), RS_ELIMIT);
	memset(text, 'a', sizeof text);
	text[RECORD_HEADER_MAX] = '\n';
	cr_expect_eq(record_parse(text, sizeof text, &r), RS_EINVAL);
}
