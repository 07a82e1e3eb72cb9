/* SPDX-License-Identifier: Apache-2.0 */
/* The checker is believed because it finds what is planted: each test spoils a good
 * record in one place, and the counts must be exactly so. */
#include "support/record_check.h"

#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 7, PER_USER = 30, LINES = USERS * PER_USER * 3 + 1, LINE = 64, INSERTS = 2 };

static char line[LINES + INSERTS][LINE];
static size_t lines;

static __attribute__((format(printf, 1, 2))) void put(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line[lines++], LINE, fmt, ap);
	va_end(ap);
}

/* Some are shown before the OK, some after it. */
static void fill(void)
{
	lines = 0;
	for (unsigned k = 0; k < PER_USER; k++)
		for (unsigned u = 0; u < USERS; u++) {
			bool soon = (u + k) % 3 == 0;
			put("sent %u %u", u, k);
			if (soon)
				put("shown %u %u %u", u, u, k);
			put("ok %u %u %s", u, k, k % 2 ? "pushed" : "stored");
			if (!soon)
				put("shown %u %u %u", u, u, k);
		}
	put("end");
	cr_assert_eq(lines, LINES);
}
TestSuite(record_check, .init = fill);

static size_t place(const char *text)
{
	for (size_t i = 0; i < lines; i++)
		if (strcmp(line[i], text) == 0)
			return i;
	cr_assert_fail("no line: %s", text);
	return 0;
}

static void drop(const char *text)
{
	size_t at = place(text);
	memmove(line[at], line[at + 1], (--lines - at) * LINE);
}

static void insert(size_t at, const char *text)
{
	cr_assert_lt(lines, LINES + INSERTS);
	memmove(line[at + 1], line[at], (lines++ - at) * LINE);
	snprintf(line[at], LINE, "%s", text);
}

static void change(const char *from, const char *to) { snprintf(line[place(from)], LINE, "%s", to); }

static void judged(const uint64_t expected[RECORD_FAULTS])
{
	struct record_check c;
	record_check_init(&c);
	for (size_t i = 0; i < lines; i++)
		record_check_line(&c, line[i]);
	record_check_finish(&c);
	for (int i = 0; i < RECORD_FAULTS; i++) {
		cr_expect_eq(c.count[i], expected[i], "%s: %llu, first: %s",
			     record_fault_name((enum record_fault)i), (unsigned long long)c.count[i], c.first[i]);
		cr_expect_eq(c.first[i][0] != '\0', expected[i] > 0);
	}
	record_check_deinit(&c);
}
#define JUDGED(...) judged((const uint64_t[RECORD_FAULTS]){__VA_ARGS__})

Test(record_check, a_good_record) { JUDGED(0); }

Test(record_check, sent_again_before_its_ok)
{
	insert(place("sent 2 5"), "sent 2 5");
	change("ok 2 5 pushed", "ok 2 5 duplicate");
	JUDGED(0);
}

Test(record_check, the_last_shown_removed)
{
	drop("shown 3 3 29");
	JUDGED([RECORD_LOST] = 1);
}

/* The next one comes before its turn, too. */
Test(record_check, a_shown_in_the_middle_removed)
{
	drop("shown 3 3 10");
	JUDGED([RECORD_LOST] = 1, [RECORD_EARLY] = 1);
}

Test(record_check, a_shown_repeated)
{
	insert(place("end"), "shown 1 1 4");
	JUDGED([RECORD_DOUBLED] = 1);
}

Test(record_check, two_shown_swapped)
{
	drop("shown 4 4 7");
	insert(place("shown 4 4 8") + 1, "shown 4 4 7");
	JUDGED([RECORD_EARLY] = 1);
}

Test(record_check, shown_to_another_user)
{
	change("shown 5 5 29", "shown 6 5 29");
	JUDGED([RECORD_LOST] = 1, [RECORD_UNKNOWN] = 1);
}

Test(record_check, shown_and_never_sent)
{
	insert(place("end"), "shown 5 5 30");
	insert(place("end"), "shown 900 900 0");
	JUDGED([RECORD_UNKNOWN] = 2);
}

Test(record_check, shown_before_it_is_sent)
{
	drop("shown 2 2 0");
	insert(0, "shown 2 2 0");
	JUDGED([RECORD_LOST] = 1, [RECORD_UNKNOWN] = 1, [RECORD_EARLY] = 1);
}

Test(record_check, an_ok_without_a_sent)
{
	insert(place("end"), "ok 0 30 stored");
	JUDGED([RECORD_UNKNOWN] = 1);
}

Test(record_check, an_ok_given_twice)
{
	insert(place("end"), "ok 0 29 duplicate");
	JUDGED([RECORD_UNKNOWN] = 1);
}

Test(record_check, without_end)
{
	drop("end");
	JUDGED([RECORD_TRUNCATED] = 1);
}

Test(record_check, lines_that_are_none)
{
	static const char *const none[] = {"",           "garbage",        "sent 1",      "sent 1 -1",
					   "sent 1 30 x", "ok 1 29",       "ok 1 29 lost", "shown 1 1",
					   "shown 1 1 99999999999", "endless"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		fill();
		insert(place("sent 3 3"), none[i]);
		JUDGED([RECORD_MALFORMED] = 1);
	}
}

Test(record_check, a_line_after_the_end)
{
	insert(lines, "sent 0 30");
	JUDGED([RECORD_MALFORMED] = 1);
}

Test(record_check, a_number_skipped)
{
	insert(place("end"), "sent 0 31");
	JUDGED([RECORD_MALFORMED] = 1);
}

/* ---- from a file ---- */

static void judge_file(const char *text, enum record_fault fault, uint64_t count)
{
	struct temp_dir dir;
	struct record_check c;
	char path[TEMP_PATH_MAX];
	temp_dir_make(&dir);
	temp_file(&dir, "record", text, 0600, path);
	cr_assert(record_check_file(&c, path));
	cr_expect_eq(c.count[fault], count, "%s", c.first[fault]);
	cr_expect_eq(record_check_is_good(&c), count == 0);
	record_check_deinit(&c);
	temp_dir_remove(&dir);
}

Test(record_check, files)
{
	judge_file("sent 0 0\nok 0 0 stored\nshown 0 0 0\nend\n", RECORD_LOST, 0);
	judge_file("sent 0 0\nok 0 0 stored\nend\n", RECORD_LOST, 1);
	judge_file("sent 0 0\nok 0 0 stored\nshown 0 0 0\nend", RECORD_TRUNCATED, 1);
	judge_file("", RECORD_TRUNCATED, 1);
}
