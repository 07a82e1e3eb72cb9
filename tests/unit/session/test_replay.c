/* SPDX-License-Identifier: Apache-2.0 */
#include "session/replay.h"

#include "wire/packet.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Each line is one window, its numbers in the order they arrive: `want` says
 * whether the last is taken. */
enum { NONE = -1, STEPS = 8 };
static const struct {
	int64_t arrive[STEPS];
	int64_t ask;
	bool want;
} cases[] = {
	/* 1 */ {{NONE}, 0, true},
	/* 2 */ {{0, NONE}, 0, false},
	/* 3 */ {{0, NONE}, 1, true},
	/* 4 */ {{5, NONE}, 0, true},
	/* 5 */ {{5, 0, NONE}, 0, false},
	/* 6 */ {{5, 4, 3, NONE}, 3, false},
	/* 7 */ {{5, 4, 3, NONE}, 2, true},
	/* window's edge: the greatest + 1 is 128, so 0 is the last one in */
	/* 8 */ {{127, NONE}, 0, true},
	/* 9 */ {{127, 0, NONE}, 0, false},
	/* 10 */ {{128, NONE}, 0, false},
	/* 11 */ {{128, NONE}, 1, true},
	/* 12 */ {{129, NONE}, 1, false},
	/* 13 */ {{0, 128, NONE}, 0, false},
	/* 14 */ {{0, 127, NONE}, 0, false},
	/* jumps: what the bits said before must not count for numbers 128 later */
	/* 15 */ {{3, 130, NONE}, 3, false},
	/* 16 */ {{3, 130, NONE}, 129, true},
	/* 17 */ {{0, 1, 2, 131, NONE}, 130, true},
	/* 18 */ {{0, 1, 2, 131, NONE}, 129, true},
	/* 19 */ {{0, 1, 2, 131, NONE}, 128, true},
	/* 20 */ {{6, 134, NONE}, 7, true},      /* 134 + 1 - 7 = 128: in */
	/* 21 */ {{6, 135, NONE}, 7, false},     /* 129: out */
	/* 22 */ {{7, 136, NONE}, 8, false},
	/* 23 */ {{7, 136, NONE}, 9, true},
	/* 24 */ {{7, 136, NONE}, 135, true},    /* same bit as 7 */
	/* 25 */ {{7, 1000, NONE}, 1000 - 127, true},
	/* 26 */ {{7, 1000, NONE}, 1000 - 128, false},
	/* 27 */ {{7, 1000, NONE}, 903, true},   /* same bit as 7 */
	/* 28 */ {{7, 1000, 903, NONE}, 903, false},
	/* 29 */ {{7, 1000, NONE}, 7, false},
	/* beyond 24 bits, up to the end of what the window counts */
	/* 30 */ {{0xffffff, NONE}, 0xffffff, false},
	/* 31 */ {{0xffffff, NONE}, 0x1000000, true},
	/* 32 */ {{0xffffff, 0x1000000, NONE}, 0xffffff - 126, true},
	/* 33 */ {{0xffffff, 0x1000000, NONE}, 0xffffff - 127, false},
	/* 34 */ {{0xfffffffd, NONE}, 0xfffffffe, true},
	/* 35 */ {{0xfffffffe, NONE}, 0xfffffffe, false},
	/* 36 */ {{0xfffffffe, NONE}, 0xffffffff, false},
	/* 37 */ {{0xfffffffe, NONE}, 0x100000000, false},
	/* 38 */ {{0xfffffffe, NONE}, 0xfffffffd, true},
	/* 39 */ {{NONE}, 0xffffffff, false},
	/* 40 */ {{NONE}, 0x1ffffffff, false},
};

Test(replay, numbered_cases)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct replay r = {0};
		for (int k = 0; k < STEPS && cases[i].arrive[k] != NONE; k++) {
			cr_assert(replay_is_new(&r, (uint64_t)cases[i].arrive[k]), "case %zu, step %d", i + 1, k);
			replay_mark(&r, (uint64_t)cases[i].arrive[k]);
		}
		cr_expect_eq(replay_is_new(&r, (uint64_t)cases[i].ask), cases[i].want, "case %zu", i + 1);
	}
}

Test(replay, asking_changes_nothing)
{
	struct replay r = {0}, before;
	replay_mark(&r, 100);
	before = r;
	for (uint64_t n = 0; n < 400; n++)
		(void)replay_is_new(&r, n);
	cr_expect_arr_eq(&r, &before, sizeof r);
}

/* Against a plain list of all that was received. */
Test(replay, random_orders_against_a_list)
{
	enum { MOST = 40000 };
	for (unsigned seed = 1; seed <= 40; seed++) {
		struct replay r = {0};
		bool *got = calloc(MOST, 1);
		unsigned dice = seed * 7919, taken = 0;
		uint64_t next = 0;
		for (int turn = 0; turn < 3000; turn++) {
			dice = dice * 1103515245u + 12345u;
			unsigned off = dice >> 16 & 255, jump = dice >> 12 & 15;
			uint64_t n = jump == 0 ? next + off : jump < 8 ? next + (off & 3) : next > off ? next - off : 0;
			if (n >= MOST)
				break;
			bool want = n >= next || (next - n <= REPLAY_WINDOW && !got[n]);
			cr_assert_eq(replay_is_new(&r, n), want, "seed %u turn %d", seed, turn);
			if (!want)
				continue;
			replay_mark(&r, n);
			got[n] = true;
			taken++;
			next = n >= next ? n + 1 : next;
			cr_assert_eq(r.next, next);
		}
		cr_expect_gt(taken, 200);
		free(got);
	}
}

/* As a receiver does it: the low 24 bits, then the window, across their end. */
Test(replay, across_the_end_of_24_bits)
{
	struct replay r = {0};
	replay_mark(&r, 0xffff00);
	for (uint64_t n = 0xffff01; n < 0x1000200; n += 1 + n % 3) {
		uint64_t full = packet_full_number(r.next, (uint32_t)n & 0xffffff);
		cr_assert_eq(full, n);
		cr_assert(replay_is_new(&r, full));
		replay_mark(&r, full);
		cr_assert_not(replay_is_new(&r, packet_full_number(r.next, (uint32_t)n & 0xffffff)));
	}
}
