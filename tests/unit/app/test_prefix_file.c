/* SPDX-License-Identifier: Apache-2.0 */
#include "app/prefix_file.h"
#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static struct temp_dir dir;
static struct prefix_file f;
static char path[TEMP_PATH_MAX], fault[1024];

static void start(void)
{
	temp_dir_make(&dir);
	temp_path(&dir, "prefixes", path);
}

static void stop(void)
{
	prefix_file_close(&f);
	temp_dir_remove(&dir);
}

TestSuite(prefix_file, .init = start, .fini = stop);

static void write_file(const char *text)
{
	unlink(path);
	temp_file(&dir, "prefixes", text, 0644, path);
}

static const char *isp(const char *address)
{
	struct addr a;
	cr_assert_eq(addr_parse(address, &a), 0);
	const struct place *p = prefixes_find(f.table, &a);
	return p ? p->isp : "-";
}

Test(prefix_file, none_is_a_table_without_lines)
{
	cr_assert_eq(prefix_file_open(&f, "", fault, sizeof fault), 0);
	cr_expect_str_eq(isp("10.0.0.1:1"), "-");
	cr_expect_not(prefix_file_reload(&f));
	cr_expect_eq(f.reload_failed, 0);
}

Test(prefix_file, a_wrong_one_is_refused_with_file_and_line)
{
	write_file("10.0.0.0/8 a\n10.0.0.0/8 b\n");
	cr_expect_eq(prefix_file_open(&f, path, fault, sizeof fault), RS_EINVAL);
	cr_expect(strstr(fault, "prefixes: ") == fault && strstr(fault, path), "%s", fault);
	cr_expect(strstr(fault, ": line 2: this prefix stands in line 1 already"), "%s", fault);
	cr_expect_eq(prefix_file_check(path, fault, sizeof fault), RS_EINVAL);
	unlink(path);
	cr_expect_eq(prefix_file_open(&f, path, fault, sizeof fault), RS_ESYS);
	cr_expect(strstr(fault, "No such file"), "%s", fault);
	cr_expect_eq(prefix_file_open(&f, dir.path, fault, sizeof fault), RS_EINVAL);
	cr_expect(strstr(fault, "not a regular file"), "%s", fault);
}

Test(prefix_file, a_wrong_one_leaves_the_former_in_force)
{
	write_file("10.0.0.0/8 a\n");
	cr_assert_eq(prefix_file_open(&f, path, fault, sizeof fault), 0);
	cr_expect_str_eq(isp("10.0.0.1:1"), "a");

	write_file("10.0.0.0/8 b\n11.0.0.0/9 c d e\n");
	cr_expect_not(prefix_file_reload(&f));
	cr_expect_str_eq(isp("10.0.0.1:1"), "a");
	unlink(path);
	cr_expect_not(prefix_file_reload(&f));
	cr_expect_str_eq(isp("10.0.0.1:1"), "a");
	cr_expect_eq(f.reload_failed, 2);

	write_file("10.0.0.0/8 b\n");
	cr_expect(prefix_file_reload(&f));
	cr_expect_str_eq(isp("10.0.0.1:1"), "b");
	write_file("# none any more\n");
	cr_expect(prefix_file_reload(&f));
	cr_expect_str_eq(isp("10.0.0.1:1"), "-");
	cr_expect_eq(f.reloaded, 2);
}
