/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/packet.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Each length from 0 to 520 for each of the 256 types: docs/protocol.md, 2. */
Test(packet, which_lengths_fit_which_types)
{
	static const struct { uint8_t type; size_t least, most; } good[] = {
		{0x01, 16, 16}, {0x02, 16, 16}, {0x03, 16, 16}, {0x04, 25, 512}, {0x05, 16, 16}, {0x06, 16, 16},
		{0x10, 128, 128}, {0x11, 96, 96}, {0x12, 24, 24}, {0x13, 512, 512}, {0x14, 62, 362}};
	unsigned cases = 0;
	for (unsigned type = 0; type < 256; type++)
		for (size_t len = 0; len <= 520; len++, cases++) {
			bool want = false;
			for (size_t i = 0; i < sizeof good / sizeof *good; i++)
				want |= good[i].type == type && len >= good[i].least && len <= good[i].most;
			uint8_t *data = calloc(1, len);
			if (len)
				data[0] = (uint8_t)type;
			cr_assert_eq(packet_length_ok(data, len), want, "type %#x, %zu bytes", type, len);
			free(data);
		}
	cr_expect_eq(cases, 256 * 521);
}

Test(packet, header_round_trip)
{
	static const struct packet_header cases[] = {
		{PACKET_DATA, 0, 0}, {PACKET_DATA, UINT32_MAX, 0xffffff}, {PACKET_HEARTBEAT, 0x01020304, 0x050607}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t out[PACKET_HEADER];
		packet_write_header(out, &cases[i]);
		struct packet_header h = packet_read_header(out);
		cr_expect(h.type == cases[i].type && h.conn == cases[i].conn && h.number == cases[i].number);
	}
	uint8_t out[PACKET_HEADER];
	packet_write_header(out, &cases[2]);
	cr_expect_arr_eq(out, ((uint8_t[]){1, 1, 2, 3, 4, 5, 6, 7}), sizeof out);
}

Test(packet, full_numbers)
{
	static const struct { uint64_t next; uint32_t low; uint64_t want; } cases[] = {
		{0, 0, 0}, {0, 1, 1}, {1, 0, 0}, {0, 0x7fffff, 0x7fffff}, {0, 0xffffff, 0xffffff}, /* nothing below 0 */
		{5, 0xfffffe, 0xfffffe},
		{0xffffff, 0xffffff, 0xffffff}, {0xffffff, 0, 0x1000000}, {0x1000000, 0xffffff, 0xffffff},
		{0x1000000, 0, 0x1000000}, {0x1000000, 1, 0x1000001}, {0x1000001, 0, 0x1000000},
		{0xfffff0, 0x0f, 0x100000f}, {0x100000f, 0xfffff0, 0xfffff0},
		{0x800000, 0, 0x1000000}, {0x7fffff, 0, 0}, /* half of the range away */
		{0x1800000, 0, 0x2000000}, {0x17fffff, 0, 0x1000000},
		{0x1000000, 0x800000, 0x1800000}, {0x1000000, 0x800001, 0x800001},
		{0x2000080, 0x000000, 0x2000000}, {0x2000080, 0xffffff, 0x1ffffff},
		{0xffffffffull, 0xffffff, 0xffffffffull}, {0xffffffffull, 0, 0x100000000ull},
		{0x800000000000ull, 5, 0x800000000005ull}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t got = packet_full_number(cases[i].next, cases[i].low);
		cr_expect_eq(got, cases[i].want, "%zu: next %#llx low %#x gave %#llx", i, (unsigned long long)cases[i].next,
			     cases[i].low, (unsigned long long)got);
	}
}

/* Whatever is expected, a number at most half of the range away is found again. */
Test(packet, full_numbers_near_what_is_expected)
{
	static const int64_t off[] = {-8388607, -128, -127, -1, 0, 1, 127, 128, 129, 70000, 8388607};
	for (uint64_t next = 0; next < 0x5000000; next += 0x3fffd)
		for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
			if (off[i] < 0 && next < (uint64_t)-off[i])
				continue;
			uint64_t full = next + (uint64_t)off[i];
			cr_assert_eq(packet_full_number(next, full & 0xffffff), full);
		}
}

Test(packet, hello_headers)
{
	uint8_t out[HELLO_HEADER];
	uint32_t attempt;
	packet_write_hello(out, PACKET_INIT, 0xa1b2c3d4);
	cr_expect_arr_eq(out, ((uint8_t[]){0x10, 1, 0, 0, 0xa1, 0xb2, 0xc3, 0xd4}), sizeof out);
	cr_expect(packet_read_hello(out, &attempt));
	cr_expect_eq(attempt, 0xa1b2c3d4);
	for (unsigned bit = 8; bit < 32; bit++) {
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect_not(packet_read_hello(out, &attempt), "bit %u", bit);
		out[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

Test(packet, prologue_is_label_header_and_cookie)
{
	uint8_t init[INIT_BYTES], out[NOISE_PROLOGUE];
	for (unsigned i = 0; i < sizeof init; i++)
		init[i] = (uint8_t)i;
	packet_prologue(init, out);
	cr_assert_eq(sizeof out, 32);
	cr_expect_arr_eq(out, "restante", 8);
	cr_expect_arr_eq(out + 8, init, 24);
}

Test(packet, init_and_resp_payloads)
{
	struct init_payload i = {0x0102030405060708, 0x11121314, 0x2122}, i2;
	uint8_t a[INIT_PAYLOAD], b[RESP_PAYLOAD];
	init_payload_write(&i, a);
	cr_expect_arr_eq(a, ((uint8_t[]){1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0, 0}), 16);
	init_payload_read(a, &i2);
	cr_expect(i2.client_ms == i.client_ms && i2.window == i.window && i2.heartbeat_s == i.heartbeat_s);
	struct resp_payload r = {0x01020304, 0x0506, 7, 8, {9, 10, 11, 12, 13, 14, 15, 16}}, r2;
	resp_payload_write(&r, b);
	cr_expect_arr_eq(b, ((uint8_t[]){1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 8,
					 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0, 0, 0, 0, 0}), sizeof b);
	resp_payload_read(b, &r2);
	cr_expect(r2.conn == r.conn && r2.heartbeat_s == r.heartbeat_s && r2.boot == 7 && r2.server_ms == 8);
	cr_expect_arr_eq(r2.reset_token, r.reset_token, RESET_TOKEN);
}

Test(packet, ask_payload)
{
	struct ask_payload a = {.client_ms = 77}, b;
	uint8_t out[ASK_PAYLOAD];
	for (unsigned count = 0; count <= ASK_AVOID_MAX; count++) {
		a.avoid_count = (uint8_t)count;
		if (count)
			memset(&a.avoid[count - 1], (int)count, sizeof *a.avoid);
		cr_assert_eq(ask_payload_write(&a, out), RS_OK);
		cr_assert_eq(ask_payload_read(out, &b), RS_OK);
		cr_expect_eq(b.client_ms, 77);
		cr_expect_eq(b.avoid_count, count);
		cr_expect_arr_eq(b.avoid, a.avoid, sizeof a.avoid);
	}
	a.avoid_count = ASK_AVOID_MAX + 1;
	cr_expect_eq(ask_payload_write(&a, out), RS_ELIMIT);
	for (unsigned count = ASK_AVOID_MAX + 1; count < 256; count++) {
		out[8] = (uint8_t)count;
		cr_expect_eq(ask_payload_read(out, &b), RS_ELIMIT, "%u brokers to avoid", count);
	}
}

Test(packet, answer_payload)
{
	struct answer_payload a = {.retry_ms = 0x01020304}, b;
	uint8_t out[ANSWER_PAYLOAD_MAX + 1] = {0};
	for (unsigned count = 0; count <= ANSWER_BROKERS_MAX; count++) {
		a.status = count == 0;
		a.count = (uint8_t)count;
		if (count)
			memset(&a.broker[count - 1], (int)(0x40 + count), sizeof *a.broker);
		size_t len = answer_payload_write(&a, out);
		cr_assert_eq(len, 6 + 50 * count);
		cr_assert_eq(answer_payload_read(out, len, &b), RS_OK);
		cr_expect(b.status == a.status && b.retry_ms == a.retry_ms && b.count == count);
		cr_expect_arr_eq(b.broker, a.broker, sizeof a.broker);
		for (size_t cut = 0; cut < len; cut++)
			cr_expect_neq(answer_payload_read(out, cut, &b), RS_OK, "%u brokers cut to %zu", count, cut);
		cr_expect_neq(answer_payload_read(out, len + 1, &b), RS_OK, "one byte too many");
	}
	for (unsigned count = ANSWER_BROKERS_MAX + 1; count < 256; count++) {
		out[5] = (uint8_t)count;
		cr_expect_eq(answer_payload_read(out, ANSWER_PAYLOAD_MAX, &b), RS_ELIMIT);
	}
}

Test(packet, every_close_code_has_a_text)
{
	for (unsigned code = 0; code <= CLOSE_LEASE_LOST; code++)
		cr_expect_str_neq(close_code_text(code), "unknown code", "code %u", code);
	cr_expect_str_eq(close_code_text(10), "unknown code");
	cr_expect_str_eq(close_code_text(65535), "unknown code");
}
