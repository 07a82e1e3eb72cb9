/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t piece[FRAME_PIECE] = {1, 2, 3, [447] = 9};
static const uint8_t refs[4 * FRAME_REFS_MAX] = {0, 0, 0, 1, 0, 0, 0, 2, [255] = 64};
static const char long_user[] = "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";
static char long_session[SESSION_ID_MAX];

/* One of each type, and of its extremes. */
static const struct frame sample[] = {
	{.type = FRAME_LOGIN, .login = {{1, 2, 3}, "alice", "s", 5, 1}},
	{.type = FRAME_LOGIN, .login = {{0}, long_user, long_session, 64, 128}},
	{.type = FRAME_LOGIN_OK, .login_ok = {0x0102030405060708, 30, {0}}},
	{.type = FRAME_LOGIN_OK, .login_ok = {1, 65535, {6, {{{{1}, {2}}, {3}}}}}},
	{.type = FRAME_LOGIN_FAIL, .login_fail = {4, 0x01020304}},
	{.type = FRAME_MESSAGE, .message = {1, 1, 0, piece, 1}},
	{.type = FRAME_MESSAGE, .message = {2, FRAME_PIECE, 0, piece, FRAME_PIECE}},
	{.type = FRAME_MESSAGE, .message = {3, FRAME_PIECE + 1, 0, piece, FRAME_PIECE}},
	{.type = FRAME_MESSAGE, .message = {3, FRAME_PIECE + 1, 1, piece, 1}},
	{.type = FRAME_MESSAGE, .message = {UINT32_MAX, MESSAGE_TOTAL_MAX, 37, piece, FRAME_PIECE}},
	{.type = FRAME_MESSAGE, .message = {5, 0, 0, piece, 0}}, /* void */
	{.type = FRAME_FRAGMENT_ACK, .fragment_ack = {1, 2, 0x8000000000000001}},
	{.type = FRAME_MESSAGE_ACK, .message_ack = {9, 1, refs}},
	{.type = FRAME_MESSAGE_ACK, .message_ack = {9, FRAME_REFS_MAX, refs}},
	{.type = FRAME_CHALLENGE, .token = {1, 2, 3, 4, 5, 6, 7, 8}},
	{.type = FRAME_RESPONSE, .token = {8, 7, 6, 5, 4, 3, 2, 1}},
	{.type = FRAME_REDIRECT, .redirect = {5000, {2, {{{{1}, {2}}, {3}}, {{{4}, {5}}, {6}}}}}},
	{.type = FRAME_REDIRECT, .redirect = {0, {0}}},
	{.type = FRAME_CLOSE, .close_code = 5},
	{.type = FRAME_MOVE},
	{.type = FRAME_REQUEST, .request = {1, REQUEST_SUBSCRIBE, 4, "news"}},
	{.type = FRAME_REQUEST, .request = {UINT32_MAX, 255, 64, long_user}}, /* a kind of a later version */
	{.type = FRAME_REPLY, .reply = {0x01020304, REPLY_LATER}},
};
enum { SAMPLES = sizeof sample / sizeof *sample };

static void setup(void) { memset(long_session, 's', sizeof long_session); }
TestSuite(frame, .init = setup);

static size_t encode(const struct frame *f, uint8_t *out, size_t cap)
{
	struct writer w = writer_over(out, cap);
	frame_write(&w, f);
	cr_assert_not(w.failed);
	return writer_len(&w);
}

static int decode(const uint8_t *data, size_t len, struct frame *f)
{
	uint8_t *exact = malloc(len); /* nothing may be read behind the end */
	if (len)
		memcpy(exact, data, len);
	struct reader r = reader_over(exact, len);
	int err = frame_read(&r, f);
	cr_assert_eq(err == RS_EINVAL, r.failed);
	free(exact);
	return err;
}

/* What was read, written again, gives the same bytes. */
Test(frame, round_trip)
{
	for (int i = 0; i < SAMPLES; i++) {
		uint8_t a[PACKET_MAX], b[PACKET_MAX];
		struct frame f;
		size_t len = encode(&sample[i], a, sizeof a);
		struct reader r = reader_over(a, len);
		cr_assert_eq(frame_read(&r, &f), RS_OK, "sample %d", i);
		cr_expect(reader_done(&r));
		cr_expect_eq(f.type, sample[i].type);
		cr_assert_eq(encode(&f, b, sizeof b), len);
		cr_expect_arr_eq(a, b, len, "sample %d", i);
		cr_expect_eq(frame_read(&r, &f), RS_ENOENT);
	}
}

Test(frame, fields_come_back)
{
	uint8_t a[PACKET_MAX];
	struct frame f;
	struct reader r = reader_over(a, encode(&sample[0], a, sizeof a));
	cr_assert_eq(frame_read(&r, &f), RS_OK);
	cr_expect(f.login.user_len == 5 && memcmp(f.login.user, "alice", 5) == 0 && f.login.device[2] == 3);
	cr_expect(f.login.session_len == 1 && f.login.session[0] == 's');
	r = reader_over(a, encode(&sample[3], a, sizeof a));
	cr_assert_eq(frame_read(&r, &f), RS_OK);
	cr_expect(f.login_ok.heartbeat_s == 65535 && f.login_ok.fallback.count == 6);
	cr_expect(f.login_ok.fallback.at[0].address.port[0] == 2 && f.login_ok.fallback.at[0].key[0] == 3);
	r = reader_over(a, encode(&sample[9], a, sizeof a));
	cr_assert_eq(frame_read(&r, &f), RS_OK);
	cr_expect(f.message.ref == UINT32_MAX && f.message.total == 17024 && f.message.index == 37);
	cr_expect(f.message.piece_len == 448 && f.message.piece[447] == 9);
	r = reader_over(a, encode(&sample[11], a, sizeof a));
	cr_assert_eq(frame_read(&r, &f), RS_OK);
	cr_expect(f.fragment_ack.seen == 1 && f.fragment_ack.ref == 2 && f.fragment_ack.bitmap == 0x8000000000000001);
	r = reader_over(a, encode(&sample[13], a, sizeof a));
	cr_assert_eq(frame_read(&r, &f), RS_OK);
	cr_expect(f.message_ack.seen == 9 && f.message_ack.count == 64 && be_get(f.message_ack.refs + 252, 4) == 64);
	r = reader_over(a, encode(&sample[20], a, sizeof a));
	cr_assert_eq(frame_read(&r, &f), RS_OK);
	cr_expect(f.request.number == 1 && f.request.kind == 1 && f.request.text_len == 4 && memcmp(f.request.text, "news", 4) == 0);
	r = reader_over(a, encode(&sample[22], a, sizeof a));
	cr_assert_eq(frame_read(&r, &f), RS_OK);
	cr_expect(f.reply.number == 0x01020304 && f.reply.code == 3);
}

/* The layout, byte by byte, as docs/protocol.md has it. */
Test(frame, requests_and_replies_on_the_wire)
{
	static const uint8_t request[] = {0x30, 0, 10, 0, 0, 0, 1, 1, 4, 'n', 'e', 'w', 's'};
	static const uint8_t reply[] = {0x31, 0, 6, 1, 2, 3, 4, 0, 3};
	uint8_t a[PACKET_MAX];
	cr_assert_eq(encode(&sample[20], a, sizeof a), sizeof request);
	cr_expect_arr_eq(a, request, sizeof request);
	cr_assert_eq(encode(&sample[22], a, sizeof a), sizeof reply);
	cr_expect_arr_eq(a, reply, sizeof reply);
}

Test(frame, requests_that_are_refused)
{
	static char many[80];
	memset(many, 'x', sizeof many);
	const struct { uint32_t number; const char *text; uint8_t len; int want; } cases[] = {
		{1, "a", 1, RS_OK}, {1, "*", 1, RS_OK}, {1, "news/+/*", 8, RS_OK}, {1, many, 64, RS_OK}, {0, "a", 1, RS_EINVAL},
		{1, "", 0, RS_EINVAL}, {1, many, 65, RS_EINVAL}, {1, "a b", 3, RS_EINVAL}, {1, "{a}", 3, RS_EINVAL},
		{1, "a\n", 2, RS_EINVAL}, {1, "\0", 1, RS_EINVAL}, {1, "\xff", 1, RS_EINVAL}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t a[PACKET_MAX];
		struct frame f = {.type = FRAME_REQUEST, .request = {cases[i].number, 1, cases[i].len, cases[i].text}};
		cr_expect_eq(decode(a, encode(&f, a, sizeof a), &f), cases[i].want, "case %zu", i);
	}
	static const uint8_t none[] = {FRAME_REPLY, 0, 6, 0, 0, 0, 0, 0, 0};
	struct frame f;
	cr_expect_eq(decode(none, sizeof none, &f), RS_EINVAL, "there is no request 0");
}

Test(frame, every_truncation_is_refused)
{
	unsigned cases = 0;
	for (int i = 0; i < SAMPLES; i++) {
		uint8_t a[PACKET_MAX];
		struct frame f;
		size_t len = encode(&sample[i], a, sizeof a);
		for (size_t cut = 1; cut < len; cut++, cases++)
			cr_expect_eq(decode(a, cut, &f), RS_EINVAL, "sample %d cut to %zu", i, cut);
	}
	cr_expect_gt(cases, 2000);
}

/* The frame's own length one less, one more, and 0: its content is malformed. */
Test(frame, wrong_lengths_are_refused)
{
	for (int i = 0; i < SAMPLES; i++) {
		uint8_t a[PACKET_MAX + 8] = {0};
		struct frame f;
		size_t len = encode(&sample[i], a, sizeof a), content = len - FRAME_HEADER;
		if (content > 0) {
			be_put(a + 1, content - 1, 2);
			cr_expect_eq(decode(a, len - 1, &f), RS_EINVAL, "sample %d, a byte less", i);
			be_put(a + 1, 0, 2);
			cr_expect_eq(decode(a, FRAME_HEADER, &f), RS_EINVAL, "sample %d, empty", i);
		}
		be_put(a + 1, content + 1, 2);
		cr_expect_eq(decode(a, len + 1, &f), RS_EINVAL, "sample %d, a byte more", i);
		be_put(a + 1, 65535, 2);
		cr_expect_eq(decode(a, len, &f), RS_EINVAL, "sample %d, 65,535", i);
	}
}

Test(frame, unknown_types_are_passed_over)
{
	unsigned unknown = 0;
	for (unsigned type = 0; type < 256; type++) {
		bool known = false;
		for (int i = 0; i < SAMPLES; i++)
			known |= sample[i].type == type;
		if (known)
			continue;
		unknown++;
		uint8_t a[PACKET_MAX] = {(uint8_t)type, 0, 5, 1, 2, 3, 4, 5, (uint8_t)type, 0, 0};
		struct frame f;
		size_t len = 11 + encode(&sample[18], a + 11, sizeof a - 11);
		cr_assert_eq(decode(a, len, &f), RS_OK, "type %#x", type);
		cr_expect(f.type == FRAME_CLOSE && f.close_code == 5);
		cr_expect_eq(decode(a, 11, &f), RS_ENOENT);
		cr_expect_eq(decode(a, 10, &f), RS_EINVAL, "cut in its header");
		cr_expect_eq(decode(a, 7, &f), RS_EINVAL, "cut in its content");
	}
	cr_expect_eq(unknown, 256 - 13);
}

static int decode_login(const char *user, size_t user_len, const char *session, size_t session_len)
{
	uint8_t a[PACKET_MAX];
	struct frame f = {.type = FRAME_LOGIN};
	f.login.user = user;
	f.login.user_len = (uint8_t)user_len;
	f.login.session = session;
	f.login.session_len = (uint8_t)session_len;
	return decode(a, encode(&f, a, sizeof a), &f);
}

Test(frame, logins_that_are_refused)
{
	static char many[256];
	memset(many, 'x', sizeof many);
	cr_expect_eq(decode_login("a", 1, many, 128), RS_OK);
	cr_expect_eq(decode_login("a", 1, many, 129), RS_EINVAL);
	cr_expect_eq(decode_login("a", 1, "", 0), RS_EINVAL);
	cr_expect_eq(decode_login("", 0, "s", 1), RS_EINVAL);
	cr_expect_eq(decode_login(many, 65, "s", 1), RS_EINVAL);
	static const char *const bad_user[] = {"a b", "{a}", "a\n", "\xff", "\xc3", "a\x7f"};
	for (size_t i = 0; i < sizeof bad_user / sizeof *bad_user; i++)
		cr_expect_eq(decode_login(bad_user[i], strlen(bad_user[i]), "s", 1), RS_EINVAL, "user %zu", i);
	for (unsigned c = 0; c < 256; c++) { /* printable ASCII without the space */
		char s[3] = {'a', (char)c, 'b'};
		cr_expect_eq(decode_login("a", 1, s, 3), c > ' ' && c < 127 ? RS_OK : RS_EINVAL, "byte %u", c);
	}
}

static int decode_message(uint16_t total, uint8_t index, uint16_t len)
{
	uint8_t a[PACKET_MAX];
	struct frame f = {.type = FRAME_MESSAGE, .message = {1, total, index, piece, len}};
	return decode(a, encode(&f, a, sizeof a), &f);
}

Test(frame, pieces_that_do_not_fit_their_message)
{
	static const struct { uint16_t total; uint8_t index; uint16_t len; int want; } cases[] = {
		{0, 0, 0, RS_OK}, {0, 1, 0, RS_EINVAL}, {0, 0, 1, RS_EINVAL},
		{1, 0, 1, RS_OK}, {1, 0, 0, RS_EINVAL}, {1, 0, 2, RS_EINVAL}, {1, 1, 1, RS_EINVAL},
		{447, 0, 447, RS_OK}, {447, 0, 448, RS_EINVAL}, {448, 0, 448, RS_OK}, {448, 0, 447, RS_EINVAL},
		{448, 1, 0, RS_EINVAL},
		{449, 0, 448, RS_OK}, {449, 0, 447, RS_EINVAL}, {449, 1, 1, RS_OK}, {449, 1, 0, RS_EINVAL}, {449, 1, 2, RS_EINVAL},
		{449, 2, 1, RS_EINVAL}, {896, 1, 448, RS_OK}, {896, 2, 0, RS_EINVAL}, {17023, 37, 447, RS_OK},
		{17024, 37, 448, RS_OK}, {17024, 38, 0, RS_EINVAL}, {17024, 255, 448, RS_EINVAL}, {17025, 38, 1, RS_EINVAL},
		{17025, 0, 448, RS_EINVAL}, {65535, 0, 448, RS_EINVAL}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		cr_expect_eq(decode_message(cases[i].total, cases[i].index, cases[i].len), cases[i].want, "case %zu", i);
}

Test(frame, counts_beyond_their_limit)
{
	uint8_t a[3 + 11 + 7 * 50] = {FRAME_LOGIN_OK, (11 + 350) >> 8, (11 + 350) & 255, [11] = 0, 30, 7};
	uint8_t b[3 + 5 + 7 * 50] = {FRAME_REDIRECT, (5 + 350) >> 8, (5 + 350) & 255, 0, 0, 0, 0, 7};
	uint8_t c[3 + 4 + 4 * 65] = {FRAME_MESSAGE_ACK, (4 + 260) >> 8, (4 + 260) & 255};
	uint8_t d[3 + 4] = {FRAME_MESSAGE_ACK, 0, 4};
	uint8_t e[3 + 11] = {FRAME_LOGIN_OK, 0, 11};
	struct frame f;
	cr_expect_eq(decode(a, sizeof a, &f), RS_EINVAL, "seven brokers");
	cr_expect_eq(decode(b, sizeof b, &f), RS_EINVAL, "seven brokers");
	cr_expect_eq(decode(c, sizeof c, &f), RS_EINVAL, "65 refs");
	cr_expect_eq(decode(d, sizeof d, &f), RS_EINVAL, "no ref");
	cr_expect_eq(decode(e, sizeof e, &f), RS_EINVAL, "a heartbeat every 0 s");
}

Test(frame, without_room_nothing_is_written)
{
	for (int i = 0; i < SAMPLES; i++) {
		uint8_t a[PACKET_MAX];
		size_t len = encode(&sample[i], a, sizeof a);
		for (size_t cap = 0; cap < len; cap++) {
			uint8_t *exact = malloc(cap);
			struct writer w = writer_over(exact, cap);
			frame_write(&w, &sample[i]);
			cr_expect(w.failed, "sample %d in %zu bytes", i, cap);
			free(exact);
		}
	}
}

Test(frame, pieces_of_a_length)
{
	cr_expect_eq(frame_pieces(0), 0);
	cr_expect_eq(frame_pieces(1), 1);
	cr_expect_eq(frame_pieces(448), 1);
	cr_expect_eq(frame_pieces(449), 2);
	cr_expect_eq(frame_pieces(MESSAGE_TOTAL_MAX), 38);
}
