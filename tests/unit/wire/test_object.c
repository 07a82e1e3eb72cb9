/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/object.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct record sample = {
	.id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}, .sent_ms = 0x0102030405060708, .expires_ms = 9,
	.app = "chat", .app_len = 4, .app_id = "order-17", .app_id_len = 8, .body = (const uint8_t *)"hello", .body_len = 5};

/* The layout, byte by byte, as docs/protocol.md has it. */
Test(object, bytes_on_the_wire)
{
	static const uint8_t want[] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 1,
		4, 'c', 'h', 'a', 't', 8, 'o', 'r', 'd', 'e', 'r', '-', '1', '7', 'h', 'e', 'l', 'l', 'o'};
	uint8_t out[OBJECT_MAX];
	cr_assert_eq(object_encode(&sample, OBJECT_STORED, out, sizeof out), (int)sizeof want);
	cr_expect_arr_eq(out, want, sizeof want);
}

Test(object, bytes_on_the_wire_with_a_topic)
{
	static const uint8_t want[] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9, 7,
		4, 'c', 'h', 'a', 't', 0, 6, 'n', 'e', 'w', 's', '/', 'a', 'h', 'i'};
	struct record r = sample;
	uint8_t out[OBJECT_MAX];
	r.app_id_len = 0;
	r.topic = "news/a";
	r.topic_len = 6;
	r.body = (const uint8_t *)"hi";
	r.body_len = 2;
	cr_assert_eq(object_encode(&r, OBJECT_STORED | OBJECT_NOTICE, out, sizeof out), (int)sizeof want);
	cr_expect_arr_eq(out, want, sizeof want);
}

static void round_trip(size_t app_len, size_t app_id_len, size_t topic_len, size_t body_len, uint8_t flags)
{
	static uint8_t out[OBJECT_MAX], body[RECORD_BODY_MAX];
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01";
	struct record r = sample, got;
	uint8_t got_flags;
	for (size_t i = 0; i < body_len; i++)
		body[i] = (uint8_t)(i * 13);
	r.app = name;
	r.app_len = app_len;
	r.app_id = app_id_len ? name : NULL;
	r.app_id_len = app_id_len;
	r.topic = topic_len ? name : NULL;
	r.topic_len = topic_len;
	r.body = body_len ? body : NULL;
	r.body_len = body_len;
	memset(&got, 0xff, sizeof got); /* what an object does not hold is cleared */
	int len = object_encode(&r, flags, out, sizeof out);
	cr_assert_eq(len, (int)(35 + app_len + app_id_len + (topic_len ? 1 + topic_len : 0) + body_len));
	cr_assert_eq(object_decode(out, (size_t)len, &got, &got_flags), RS_OK);
	cr_expect(ulid_equal(&got.id, &r.id));
	cr_expect_eq(got.sent_ms, r.sent_ms);
	cr_expect_eq(got.expires_ms, r.expires_ms);
	cr_expect_eq(got_flags, (flags & ~OBJECT_TOPIC) | (topic_len ? OBJECT_TOPIC : 0));
	cr_expect(got.app_len == app_len && memcmp(got.app, name, app_len) == 0);
	cr_expect(got.app_id_len == app_id_len && memcmp(got.app_id, name, app_id_len) == 0);
	cr_expect(got.topic_len == topic_len && memcmp(got.topic ? got.topic : "", name, topic_len) == 0);
	cr_expect(!got.priority && !got.collapse_len && !got.receipt && !got.body_elsewhere);
	cr_expect(got.body_len == body_len && memcmp(got.body, body, body_len) == 0);
}

Test(object, round_trips)
{
	static const size_t app[] = {1, 63, 64}, app_id[] = {0, 1, 64}, topic[] = {0, 1, 64},
			    body[] = {0, 1, 448, RECORD_BODY_MAX};
	static const uint8_t flags[] = {0, OBJECT_STORED, 0xfe, 0xff}; /* those of later versions are passed on */
	unsigned cases = 0;
	for (int a = 0; a < 3; a++)
		for (int i = 0; i < 3; i++)
			for (int t = 0; t < 3; t++)
				for (int b = 0; b < 4; b++)
					for (int f = 0; f < 4; f++, cases++)
						round_trip(app[a], app_id[i], topic[t], body[b], flags[f]);
	cr_expect_eq(cases, 432);
}

Test(object, what_is_too_long_is_not_written)
{
	static uint8_t out[OBJECT_MAX + 8], body[RECORD_BODY_MAX + 1];
	static char name[NAME_MAX_BYTES + 1];
	memset(name, 'a', sizeof name);
	struct record r = sample;
	r.body = body;
	r.body_len = sizeof body;
	cr_expect_eq(object_encode(&r, 0, out, sizeof out), RS_ELIMIT);
	r = sample;
	r.app = name;
	r.app_len = sizeof name;
	cr_expect_eq(object_encode(&r, 0, out, sizeof out), RS_ELIMIT);
	r = sample;
	r.app_id = name;
	r.app_id_len = sizeof name;
	cr_expect_eq(object_encode(&r, 0, out, sizeof out), RS_ELIMIT);
	r = sample;
	r.topic = name;
	r.topic_len = sizeof name;
	cr_expect_eq(object_encode(&r, 0, out, sizeof out), RS_ELIMIT);
	int len = object_encode(&sample, 0, out, sizeof out);
	for (size_t cap = 0; cap < (size_t)len; cap++) {
		uint8_t *exact = malloc(cap);
		cr_expect_eq(object_encode(&sample, 0, exact, cap), RS_ELIMIT, "%zu bytes of room", cap);
		free(exact);
	}
}

/* Up to the body every byte is needed; what is left of the body is a body. */
Test(object, every_truncation)
{
	uint8_t out[OBJECT_MAX];
	struct record with_topic = sample;
	with_topic.topic = "news";
	with_topic.topic_len = 4;
	int len = object_encode(&with_topic, 0, out, sizeof out);
	for (size_t cut = 0; cut <= (size_t)len; cut++) {
		struct record r;
		uint8_t flags, *exact = malloc(cut);
		if (cut)
			memcpy(exact, out, cut);
		int err = object_decode(exact, cut, &r, &flags);
		cr_expect_eq(err, cut < (size_t)len - 5 ? RS_EINVAL : RS_OK, "%zu bytes: %d", cut, err);
		free(exact);
	}
}

Test(object, malformed)
{
	static const struct { const char *what; size_t at; uint8_t to; } cases[] = {
		{"no app", 33, 0}, {"an app of 65 bytes", 33, 65}, {"an app of 255 bytes", 33, 255},
		{"a space in the app", 34, ' '}, {"a brace in the app", 34, '{'}, {"a NUL in the app", 34, 0},
		{"bad UTF-8 in the app", 34, 0xff}, {"an id of 255 bytes", 38, 255}, {"a space in the id", 39, ' '},
		{"a control character in the id", 40, '\n'}, {"no topic", 47, 0}, {"a topic of 255 bytes", 47, 255},
		{"a topic of 65 bytes", 47, 65}, {"a space in the topic", 48, ' '}, {"a brace in the topic", 51, '}'}};
	struct record with_topic = sample;
	with_topic.topic = "news";
	with_topic.topic_len = 4;
	with_topic.body = (const uint8_t *)"enough of a body that a length of 65 would lie within the whole of it, too";
	with_topic.body_len = 74;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t out[OBJECT_MAX], flags;
		struct record r;
		int len = object_encode(&with_topic, 0, out, sizeof out);
		out[cases[i].at] = cases[i].to;
		cr_expect_eq(object_decode(out, (size_t)len, &r, &flags), RS_EINVAL, "%s", cases[i].what);
	}
	static uint8_t big[35 + 4 + RECORD_BODY_MAX + 1];
	struct record r = sample;
	uint8_t flags;
	r.app_id_len = r.body_len = 0;
	cr_assert_eq(object_encode(&r, 0, big, sizeof big), 39);
	cr_expect_eq(object_decode(big, sizeof big - 1, &r, &flags), RS_OK);
	cr_expect_eq(object_decode(big, sizeof big, &r, &flags), RS_EINVAL, "a body of 16,385 bytes");
}

Test(object, notices)
{
	static const struct { const char *body; uint64_t count; } cases[] = { /* 0: something else */
		{"missed 1", 1}, {"missed 3", 3}, {"missed 4096", 4096}, {"missed 9999999999999999999", 9999999999999999999u},
		{"missed 10000000000000000000", 0}, {"missed 0", 0}, {"missed 03", 0}, {"missed ", 0}, {"missed", 0}, {"", 0},
		{"missed 3 ", 0}, {"missed  3", 0}, {"missed -3", 0}, {"missed 3x", 0}, {"Missed 3", 0}, {"missed 3\n", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t count = 0;
		int err = notice_missed(cases[i].body, strlen(cases[i].body), &count);
		cr_expect_eq(err, cases[i].count ? RS_OK : RS_EINVAL, "\"%s\"", cases[i].body);
		cr_expect(err || count == cases[i].count, "\"%s\"", cases[i].body);
	}
	uint64_t count;
	cr_expect_eq(notice_missed("missed 3", 9, &count), RS_EINVAL, "a NUL behind it");
}
