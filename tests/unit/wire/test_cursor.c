/* SPDX-License-Identifier: Apache-2.0 */
/* Fields read and written, and the error that sticks. */
#include "wire/cursor.h"

#include <criterion/criterion.h>
#include <string.h>

Test(cursor, fields_there_and_back)
{
	uint8_t data[64];
	char text[5] = "";
	struct writer w = writer_over(data, sizeof data);
	for (unsigned bytes = 1; bytes <= 8; bytes++)
		write_uint(&w, 0x1122334455667788, bytes);
	write_bytes(&w, "hello", 5);
	write_bytes(&w, NULL, 0);
	uint8_t *space = write_space(&w, 2);
	cr_assert_not_null(space);
	memcpy(space, "ab", 2);
	cr_assert_not(w.failed);
	cr_assert_eq(writer_len(&w), 36 + 5 + 2);
	cr_assert_eq(writer_left(&w), sizeof data - 43);
	struct reader r = reader_over(data, writer_len(&w));
	for (unsigned bytes = 1; bytes <= 8; bytes++)
		cr_expect_eq(read_uint(&r, bytes), 0x1122334455667788 & (UINT64_MAX >> (64 - 8 * bytes)));
	read_copy(&r, text, 5);
	cr_expect_arr_eq(text, "hello", 5);
	cr_expect_eq(reader_left(&r), 2);
	cr_expect_not(reader_done(&r));
	cr_expect_eq(read_bytes(&r, 2), space);
	cr_expect(reader_done(&r));
}

/* Fields of 1, 2, 4, 8 and 3 bytes out of every shorter input: from the first
 * that is not there on, all are zero, even those that would fit again. */
Test(cursor, a_failed_reader_yields_zeros)
{
	static const unsigned widths[] = {1, 2, 4, 8, 3};
	static const uint8_t zeros[3];
	uint8_t data[18];
	memset(data, 0xee, sizeof data);
	for (size_t len = 0; len <= sizeof data; len++) {
		struct reader r = reader_over(data, len);
		size_t used = 0;
		bool failed = false;
		for (size_t i = 0; i < 4; i++) {
			failed = failed || used + widths[i] > len;
			cr_expect_eq(read_uint(&r, widths[i]) == 0, failed, "length %zu field %zu", len, i);
			used += widths[i];
		}
		uint8_t last[3] = {9, 9, 9};
		read_copy(&r, last, 3);
		failed = failed || used + 3 > len;
		cr_expect_arr_eq(last, failed ? zeros : data, 3);
		cr_expect_eq(r.failed, failed);
		cr_expect_eq(reader_done(&r), len == sizeof data);
		if (failed)
			cr_expect_null(read_bytes(&r, 0));
	}
}

Test(cursor, a_length_that_would_overflow_is_refused)
{
	uint8_t data[8] = {0};
	struct reader r = reader_over(data, sizeof data);
	cr_expect_null(read_bytes(&r, SIZE_MAX));
	cr_expect(r.failed);
	struct writer w = writer_over(data, sizeof data);
	write_uint(&w, 1, 1);
	cr_expect_null(write_space(&w, SIZE_MAX));
	cr_expect(w.failed);
}

Test(cursor, a_failed_writer_writes_nothing_more)
{
	uint8_t data[8];
	memset(data, 0xee, sizeof data);
	struct writer w = writer_over(data, 4);
	write_uint(&w, 0x0102, 2);
	write_uint(&w, 0x03040506, 4);
	cr_expect(w.failed);
	write_uint(&w, 7, 1);
	write_bytes(&w, "x", 1);
	cr_expect_null(write_space(&w, 1));
	cr_expect_null(write_space(&w, 0));
	cr_expect_eq(writer_len(&w), 2);
	cr_expect_arr_eq(data, ((const uint8_t[]){1, 2, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee}), sizeof data);
}

Test(cursor, exactly_full_is_not_a_failure)
{
	uint8_t data[4];
	struct writer w = writer_over(data, sizeof data);
	write_uint(&w, 0xffffffff, 4);
	cr_expect_not(w.failed);
	cr_expect_eq(writer_left(&w), 0);
	write_bytes(&w, "", 0);
	cr_expect_not(w.failed);
	write_uint(&w, 0, 1);
	cr_expect(w.failed);
}

Test(cursor, nothing_at_all)
{
	struct reader r = reader_over(NULL, 0);
	struct writer w = writer_over(NULL, 0);
	cr_expect(reader_done(&r));
	read_copy(&r, NULL, 0);
	read_bytes(&r, 0);
	cr_expect(reader_done(&r));
	cr_expect_eq(read_uint(&r, 1), 0);
	cr_expect_not(reader_done(&r));
	write_bytes(&w, NULL, 0);
	cr_expect_not(w.failed);
	write_uint(&w, 1, 1);
	cr_expect(w.failed);
}
