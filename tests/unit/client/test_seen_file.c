/* SPDX-License-Identifier: Apache-2.0 */
/* The file of what was shown: nothing is shown twice, also after a restart. */
#include "support/client_fixture.h"

#include "base/bytes.h"
#include "client/seen_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(seen_file, .init = fixture_start, .fini = fixture_stop, .timeout = 120);

static bool all_shown(void) { return fixture.shown.count == fixture.count; }

static char seen[TEMP_PATH_MAX];

static struct restante_options options_with_seen(void)
{
	struct restante_options o = fixture_options();
	o.seen_file = temp_path(&fixture.dir, "seen", seen);
	return o;
}

static off_t size_of(const char *path)
{
	struct stat st;
	cr_assert_eq(stat(path, &st), 0);
	return st.st_size;
}

Test(seen_file, what_was_shown_is_not_shown_again_after_a_restart)
{
	struct stat st;
	fixture.forgets_acks = true;
	fixture_add("one", 3);
	fixture_add("two", 3);
	struct restante_options o = options_with_seen();
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, all_shown));
	restante_close(r);
	cr_assert_eq(stat(seen, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(st.st_size, 2 * (ULID_TEXT + 1));

	fixture_add("three", 5);
	fixture.forgets_acks = false;
	r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_all_acked), "the doubles are acknowledged too");
	cr_assert_eq(fixture.shown.count, 1);
	cr_assert_eq(fixture.shown.of[0], 2);
	cr_assert_eq(restante_seen_errno(r), 0);
	restante_close(r);
	cr_assert_eq(size_of(seen), 3 * (ULID_TEXT + 1));
}

Test(seen_file, a_notice_is_told_once_after_a_restart_too)
{
	struct restante_options o = options_with_seen();
	fixture_add_notice("missed 1");
	fixture_add("hello", 5);
	for (int i = 0; i < 2; i++) {
		fixture.queue[0].acked = fixture.queue[1].acked = false;
		struct restante *r = fixture_open(&o);
		cr_assert(fixture_run(r, fixture_all_acked));
		cr_expect_eq(fixture.shown.notices, i == 0);
		restante_close(r);
		fixture_run(NULL, fixture_gone);
	}
}

Test(seen_file, without_a_seen_file_it_is_shown_again)
{
	fixture.forgets_acks = true;
	fixture_add("one", 3);
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, all_shown));
	restante_close(r);
	r = fixture_open(&o);
	cr_assert(fixture_run(r, all_shown));
	restante_close(r);
}

Test(seen_file, two_clients_cannot_share_a_seen_file)
{
	char error[256];
	struct restante_options o = options_with_seen();
	struct restante *r = fixture_open(&o);
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "in use by another client"), "%s", error);
	restante_close(r);
	r = fixture_open(&o);
	restante_close(r);
}

Test(seen_file, a_torn_last_line_is_cut_off)
{
	char text[64], id[ULID_TEXT + 1];
	fixture_add("one", 3);
	snprintf(text, sizeof text, "%s\n01JDCF3K7Q9", ulid_format(&fixture.queue[0].id, id));
	temp_file(&fixture.dir, "seen", text, 0600, seen);
	struct restante_options o = options_with_seen();
	struct restante *r = fixture_open(&o);
	cr_assert_eq(size_of(seen), ULID_TEXT + 1);
	fixture_add("two", 3);
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert_eq(fixture.shown.count, 1);
	cr_assert_eq(fixture.shown.of[0], 1);
	restante_close(r);
	cr_assert_eq(size_of(seen), 2 * (ULID_TEXT + 1));
}

Test(seen_file, a_file_that_is_something_else_is_left_alone)
{
	static const char *const texts[] = {"Dear diary,\ntoday\n", "01JDCF3K7Q9R8W2ZT5XV6YB4NM and more\n", "root\n"};
	char error[256];
	struct restante_options o = options_with_seen();
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		temp_file(&fixture.dir, "seen", texts[i], 0600, seen);
		cr_assert_null(restante_open(&o, error, sizeof error), "case %zu", i);
		cr_assert_not_null(strstr(error, "is not a list of message ids"), "%s", error);
		cr_assert_eq((size_t)size_of(seen), strlen(texts[i]));
	}
	o.seen_file = fixture.dir.path;
	cr_assert_null(restante_open(&o, error, sizeof error));
	o.seen_file = "/dev/null";
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "not a regular file"), "%s", error);
	o.seen_file = "/no/such/folder/seen";
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "No such file"), "%s", error);
}

/* Line i of a long seen file; the last one is the id of the message that waits. */
static void write_many(size_t lines, const struct ulid *last)
{
	char id[ULID_TEXT + 1];
	FILE *f = fopen(temp_path(&fixture.dir, "seen", seen), "w");
	cr_assert_not_null(f);
	for (size_t i = 0; i + 1 < lines; i++) {
		struct ulid u = {{0}};
		be_put(u.b + 8, i + 1, 8);
		fprintf(f, "%s\n", ulid_format(&u, id));
	}
	fprintf(f, "%s\n", ulid_format(last, id));
	fclose(f);
}

Test(seen_file, a_long_seen_file_is_written_anew_through_a_link_too)
{
	char link[TEMP_PATH_MAX];
	struct stat st;
	fixture_add("seen before", 11);
	write_many(SEEN_FILE_LINES_MAX, &fixture.queue[0].id);
	cr_assert_eq(symlink(seen, temp_path(&fixture.dir, "link", link)), 0);
	struct restante_options o = fixture_options();
	o.seen_file = link;
	struct restante *r = fixture_open(&o);
	fixture_add("new", 3);
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert_eq(fixture.shown.count, 1);
	cr_assert_eq(size_of(seen), SEEN_MAX * (ULID_TEXT + 1));
	cr_assert_eq(lstat(link, &st), 0);
	cr_assert(S_ISLNK(st.st_mode));
	cr_assert_eq(stat(seen, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	char error[256];
	cr_assert_null(restante_open(&o, error, sizeof error), "the new file is locked as well");
	restante_close(r);

	fixture.queue[0].acked = fixture.queue[1].acked = false;
	r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert_eq(fixture.shown.count, 0);
	restante_close(r);
}

Test(seen_file, a_seen_file_that_cannot_be_written_is_told_and_holds_nothing_up)
{
	fixture_add("one", 3);
	fixture_add("two", 3);
	struct restante_options o = options_with_seen();
	struct restante *r = fixture_open(&o);
	struct rlimit old, none;
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = (struct rlimit){10, old.rlim_max}; /* so that the line is torn, too */
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	bool done = fixture_run(r, fixture_all_acked);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	cr_assert(done);
	cr_assert_eq(fixture.shown.count, 2);
	cr_assert_eq(restante_seen_errno(r), EFBIG);
	cr_assert_eq(size_of(seen), 0);
	fixture_add("three", 5);
	fixture_hand_over();
	cr_assert(fixture_run(r, fixture_all_acked));
	cr_assert_eq(restante_seen_errno(r), 0);
	cr_assert_eq(size_of(seen), ULID_TEXT + 1);
	restante_close(r);
}
