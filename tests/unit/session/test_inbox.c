/* SPDX-License-Identifier: Apache-2.0 */
#include "session/inbox.h"

#include <criterion/criterion.h>
#include <string.h>

enum { WINDOW = 65536 };

static uint8_t byte_of(uint32_t ref, size_t at) { return (uint8_t)(ref * 37 + at * 3 + (at >> 8)); }

static enum inbox_result add(struct inbox *b, uint32_t ref, uint16_t total, unsigned index, uint64_t *bitmap)
{
	uint8_t piece[FRAME_PIECE];
	uint64_t unused;
	unsigned pieces = frame_pieces(total);
	struct frame_message f = {ref, total, (uint8_t)index, piece, 0};
	if (total)
		f.piece_len = (uint16_t)(index + 1 < pieces ? FRAME_PIECE : total - FRAME_PIECE * (pieces - 1));
	for (size_t i = 0; i < f.piece_len; i++)
		piece[i] = byte_of(ref, index * FRAME_PIECE + i);
	return inbox_add(b, &f, bitmap ? bitmap : &unused);
}

/* The next message is whole, right, and taken. */
static void take(struct inbox *b, uint32_t ref, uint16_t total)
{
	const uint8_t *data;
	size_t len;
	cr_assert_eq(b->next, ref);
	cr_assert(inbox_peek(b, &data, &len), "ref %u", ref);
	cr_assert_eq(len, total);
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(data[i], byte_of(ref, i), "ref %u byte %zu", ref, i);
	inbox_pop(b);
}

static bool waits(const struct inbox *b)
{
	const uint8_t *data;
	size_t len;
	return !inbox_peek(b, &data, &len);
}

Test(inbox, pieces_in_every_order_and_twice)
{
	static const uint8_t order[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
	for (size_t i = 0; i < 4; i++) {
		struct inbox b;
		uint64_t bitmap, want = 0;
		inbox_init(&b, WINDOW);
		for (int k = 0; k < 4; k++) {
			cr_expect(waits(&b));
			want |= 1ull << order[i][k];
			for (int twice = 0; twice < 2; twice++) {
				cr_assert_eq(add(&b, 1, 3 * FRAME_PIECE + 5, order[i][k], &bitmap), INBOX_KEPT);
				cr_expect_eq(bitmap, want);
			}
		}
		take(&b, 1, 3 * FRAME_PIECE + 5);
		cr_expect_eq(b.bytes, 0);
		inbox_deinit(&b);
	}
}

Test(inbox, lengths_around_a_piece_and_the_greatest)
{
	static const uint16_t total[] = {1, 447, 448, 449, 895, 896, 897, MESSAGE_TOTAL_MAX - 1, MESSAGE_TOTAL_MAX};
	struct inbox b;
	inbox_init(&b, WINDOW);
	for (uint32_t ref = 1; ref <= sizeof total / sizeof *total; ref++) {
		uint16_t t = total[ref - 1];
		for (unsigned i = frame_pieces(t); i-- > 0;)
			cr_assert_eq(add(&b, ref, t, i, NULL), INBOX_KEPT);
		take(&b, ref, t);
	}
	inbox_deinit(&b);
}

Test(inbox, later_ones_wait_for_earlier_ones)
{
	struct inbox b;
	inbox_init(&b, WINDOW);
	for (uint32_t ref = 5; ref > 1; ref--) {
		cr_expect_eq(add(&b, ref, 10, 0, NULL), INBOX_KEPT);
		cr_expect(waits(&b));
	}
	cr_expect_eq(add(&b, 1, 10, 0, NULL), INBOX_KEPT);
	for (uint32_t ref = 1; ref <= 5; ref++)
		take(&b, ref, 10);
	cr_expect(waits(&b));
	inbox_deinit(&b);
}

Test(inbox, references_in_and_out_of_bounds)
{
	static const struct { uint32_t next, ref; enum inbox_result want; } cases[] = {
		{1, 0, INBOX_DROPPED}, {1, 1, INBOX_KEPT}, {1, 64, INBOX_KEPT}, {1, 65, INBOX_DROPPED},
		{1, UINT32_MAX, INBOX_DROPPED}, {2, 1, INBOX_OLD}, {2, 0, INBOX_DROPPED}, {100, 99, INBOX_OLD},
		{100, 1, INBOX_OLD}, {100, 163, INBOX_KEPT}, {100, 164, INBOX_DROPPED}, {100, 1u << 31, INBOX_DROPPED}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct inbox b;
		inbox_init(&b, WINDOW);
		b.next = cases[i].next;
		cr_expect_eq(add(&b, cases[i].ref, 10, 0, NULL), cases[i].want, "case %zu", i);
		inbox_deinit(&b);
	}
}

Test(inbox, void_messages)
{
	struct inbox b;
	uint64_t bitmap = 99;
	const uint8_t *data;
	size_t len = 99;
	inbox_init(&b, WINDOW);
	cr_expect_eq(add(&b, 1, 0, 0, &bitmap), INBOX_KEPT);
	cr_expect_eq(bitmap, 0);
	cr_assert(inbox_peek(&b, &data, &len));
	cr_expect_eq(len, 0);
	inbox_pop(&b);
	/* half of it is here when it expires; the other half, late, does not revive it */
	cr_expect_eq(add(&b, 2, 600, 0, NULL), INBOX_KEPT);
	cr_expect_eq(add(&b, 2, 0, 0, NULL), INBOX_KEPT);
	cr_expect_eq(add(&b, 2, 600, 1, NULL), INBOX_DROPPED);
	cr_expect_eq(b.bytes, 0);
	cr_assert(inbox_peek(&b, &data, &len));
	cr_expect_eq(len, 0);
	inbox_deinit(&b);
}

Test(inbox, another_length_for_the_same_message_is_refused)
{
	struct inbox b;
	inbox_init(&b, WINDOW);
	cr_expect_eq(add(&b, 1, 600, 0, NULL), INBOX_KEPT);
	cr_expect_eq(add(&b, 1, 601, 1, NULL), INBOX_DROPPED);
	cr_expect_eq(add(&b, 1, MESSAGE_TOTAL_MAX, 37, NULL), INBOX_DROPPED);
	cr_expect_eq(add(&b, 1, 600, 1, NULL), INBOX_KEPT);
	take(&b, 1, 600);
	inbox_deinit(&b);
}

/* Whatever comes, it keeps at most `window` bytes and one message; and the one
 * to be shown next always finds a place, or nothing would ever move. */
Test(inbox, memory_is_bounded)
{
	struct inbox b;
	inbox_init(&b, 40000);
	for (uint32_t ref = 2; ref <= 80; ref++)
		for (unsigned i = 0; i < 38; i++) {
			(void)add(&b, ref, MESSAGE_TOTAL_MAX, i, NULL);
			cr_assert_leq(b.bytes, 40000);
		}
	cr_expect_eq(b.bytes, 2 * MESSAGE_TOTAL_MAX);
	cr_expect_eq(add(&b, 4, 5900, 0, NULL), INBOX_KEPT, "a small one still fits");
	cr_expect_eq(add(&b, 5, 5900, 0, NULL), INBOX_DROPPED);
	for (unsigned i = 0; i < 38; i++)
		cr_assert_eq(add(&b, 1, MESSAGE_TOTAL_MAX, i, NULL), INBOX_KEPT);
	cr_assert_leq(b.bytes, 40000 + MESSAGE_TOTAL_MAX);
	take(&b, 1, MESSAGE_TOTAL_MAX);
	take(&b, 2, MESSAGE_TOTAL_MAX);
	take(&b, 3, MESSAGE_TOTAL_MAX);
	cr_expect_eq(b.bytes, 5900);
	inbox_deinit(&b);
	cr_expect_eq(b.bytes, 0);
}

Test(inbox, a_window_of_nothing_still_moves_on)
{
	struct inbox b;
	inbox_init(&b, 0);
	for (uint32_t ref = 1; ref < 300; ref++) {
		cr_expect_eq(add(&b, ref, 449, 0, NULL), INBOX_KEPT);
		cr_expect_eq(add(&b, ref + 1, 449, 0, NULL), INBOX_DROPPED);
		cr_expect_eq(add(&b, ref, 449, 1, NULL), INBOX_KEPT);
		take(&b, ref, 449);
	}
	inbox_deinit(&b);
}
