/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

Test(buf, an_empty_one_can_be_asked)
{
	struct buf b = {0};
	cr_expect_eq(buf_len(&b), 0);
	cr_expect_eq(buf_room(&b), 0);
	cr_expect_null(buf_head(&b));
	cr_expect_null(buf_tail(&b));
	cr_expect_eq(buf_reserve(&b, 0), RS_OK);
	cr_expect_eq(buf_append(&b, NULL, 0), RS_OK);
	buf_consume(&b, 0);
	buf_deinit(&b);
	buf_deinit(&b);
}

Test(buf, printf_appends)
{
	struct buf b = {0};
	cr_assert_eq(buf_append(&b, "x", 1), RS_OK);
	cr_assert_eq(buf_printf(&b, "%s=%d;", "a", 7), RS_OK);
	cr_assert_eq(buf_printf(&b, "%01000d", 5), RS_OK);
	cr_assert_eq(buf_len(&b), 1005);
	cr_expect_arr_eq(buf_head(&b), "xa=7;000", 8);
	cr_expect_eq(buf_head(&b)[1004], '5');
	buf_deinit(&b);
}

/* The NUL of vsnprintf needs room too, but is not part of the text. */
Test(buf, printf_that_fills_the_room)
{
	struct buf b = {0};
	cr_assert_eq(buf_reserve(&b, 1), RS_OK);
	while (buf_room(&b) > 3)
		cr_assert_eq(buf_append(&b, "z", 1), RS_OK);
	size_t before = buf_len(&b);
	cr_assert_eq(buf_printf(&b, "%s", "abc"), RS_OK);
	cr_expect_eq(buf_len(&b), before + 3);
	cr_expect_arr_eq(buf_tail(&b) - 3, "abc", 3);
	buf_deinit(&b);
}

Test(buf, tail_and_commit)
{
	struct buf b = {0};
	cr_assert_eq(buf_reserve(&b, 10), RS_OK);
	cr_assert_geq(buf_room(&b), 10);
	memcpy(buf_tail(&b), "0123456789", 10);
	buf_commit(&b, 4);
	cr_expect_eq(buf_len(&b), 4);
	buf_consume(&b, 1);
	cr_expect_arr_eq(buf_head(&b), "123", 3);
	buf_consume(&b, 3);
	cr_expect_eq(b.start, 0, "an emptied buffer starts anew");
	buf_deinit(&b);
}

/* A stream of bytes 0, 1, 2, ... comes out as it went in, whatever the steps,
 * and the buffer does not grow with what went through it. */
Test(buf, a_long_stream_goes_through_a_small_buffer)
{
	struct buf b = {0};
	uint8_t in = 0, out = 0, chunk[97];
	unsigned dice = 1;
	for (int turn = 0; turn < 100000; turn++) {
		dice = dice * 1103515245u + 12345u;
		size_t len = dice >> 16 & 63;
		for (size_t i = 0; i < len; i++)
			chunk[i] = in++;
		cr_assert_eq(buf_append(&b, chunk, len), RS_OK);
		size_t take = buf_len(&b) > 300 ? buf_len(&b) - 100 : len / 2;
		for (size_t i = 0; i < take; i++)
			cr_assert_eq(buf_head(&b)[i], out++);
		buf_consume(&b, take);
	}
	cr_expect_leq(b.cap, 2048, "grew to %zu", b.cap);
	buf_deinit(&b);
}

Test(buf, a_failed_reserve_leaves_it_as_it_was)
{
	struct buf b = {0};
	cr_assert_eq(buf_append(&b, "keep", 4), RS_OK);
	struct buf before = b;
	cr_expect_eq(buf_reserve(&b, SIZE_MAX), RS_ENOMEM);
	cr_expect_eq(buf_reserve(&b, SIZE_MAX - 4), RS_ENOMEM);
	cr_expect_eq(buf_reserve(&b, SIZE_MAX / 4), RS_ENOMEM);
	cr_expect_eq(b.data, before.data);
	cr_expect_eq(buf_len(&b), 4);
	cr_expect_arr_eq(buf_head(&b), "keep", 4);
	buf_deinit(&b);
}
