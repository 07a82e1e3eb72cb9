/* SPDX-License-Identifier: Apache-2.0 */
#include "app/keyfile.h"
#include "base/bytes.h"
#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct temp_dir dir;
static char path[TEMP_PATH_MAX], fault[512];

static void set_up(void) { temp_dir_make(&dir); }
static void tear_down(void) { temp_dir_remove(&dir); }
TestSuite(keyfile, .init = set_up, .fini = tear_down);

static int load(struct keypair *k)
{
	fault[0] = '\0';
	return keyfile_load_or_create(path, k, fault, sizeof fault);
}

static int files_in(const char *folder)
{
	int n = 0;
	DIR *d = opendir(folder);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

Test(keyfile, the_first_start_makes_a_key_that_stays)
{
	struct keypair made, again;
	struct stat st;
	umask(0); /* the mode must not hang on it */
	temp_path(&dir, "key", path);
	cr_assert_eq(load(&made), RS_OK, "%s", fault);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(st.st_size, 65);
	cr_expect_eq(files_in(dir.path), 1, "a temporary file was left behind");
	cr_assert_eq(load(&again), RS_OK, "%s", fault);
	cr_expect_eq(memcmp(&made, &again, sizeof made), 0);
}

Test(keyfile, two_files_hold_two_keys)
{
	struct keypair a, b;
	temp_path(&dir, "a", path);
	cr_assert_eq(load(&a), RS_OK);
	temp_path(&dir, "b", path);
	cr_assert_eq(load(&b), RS_OK);
	cr_expect_neq(memcmp(a.pub, b.pub, sizeof a.pub), 0);
}

/* The private key and public key of Alice in RFC 7748, 6.1. */
Test(keyfile, a_key_written_by_hand_is_taken)
{
	static const char *const line_ends[] = {"", "\n", "\r\n"};
	for (size_t i = 0; i < 3; i++) {
		struct keypair k;
		char text[80], pub[65];
		snprintf(text, sizeof text, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a%s",
			 line_ends[i]);
		temp_file(&dir, "key", text, 0600, path);
		cr_assert_eq(load(&k), RS_OK, "%s", fault);
		cr_expect_str_eq(hex_encode(k.pub, 32, pub),
				 "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	}
}

Test(keyfile, a_file_that_others_may_use_is_refused)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0666};
	struct keypair k;
	char want[1024], secret[SECRET_MAX + 1];
	size_t len;
	temp_path(&dir, "key", path);
	cr_assert_eq(load(&k), RS_OK);
	for (size_t i = 0; i < 4; i++) {
		chmod(path, modes[i]);
		snprintf(want, sizeof want, "%s: others may use this file (mode %04o); run: chmod 600 %s", path,
			 (unsigned)modes[i], path);
		cr_expect_eq(load(&k), RS_EINVAL);
		cr_expect_str_eq(fault, want);
		cr_expect_eq(keyfile_read_secret(path, secret, sizeof secret, &len, fault, sizeof fault), RS_EINVAL);
		cr_expect_str_eq(fault, want);
	}
	chmod(path, 0400);
	cr_expect_eq(load(&k), RS_OK, "%s", fault);
}

/* What is there may be someone's key in another form: never overwritten. */
Test(keyfile, garbage_is_refused_and_left_as_it_is)
{
	static const char *const garbage[] = {
		"", "\n", "hello\n", "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2\n",
		"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a0\n",
		"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2g\n",
		"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a\nmore\n",
	};
	struct keypair k;
	char want[512];
	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
		struct stat st;
		temp_file(&dir, "key", garbage[i], 0600, path);
		snprintf(want, sizeof want, "%s: is not a key of 64 hexadecimal digits; it was left as it is", path);
		cr_expect_eq(load(&k), RS_EINVAL, "taken: %s", garbage[i]);
		cr_expect_str_eq(fault, want);
		stat(path, &st);
		cr_expect_eq((size_t)st.st_size, strlen(garbage[i]));
	}
}

Test(keyfile, a_folder_that_is_not_there_is_named)
{
	struct keypair k;
	char want[512];
	temp_path(&dir, "no/key", path);
	snprintf(want, sizeof want, "%s: cannot be created: No such file or directory", path);
	cr_expect_lt(load(&k), 0);
	cr_expect_str_eq(fault, want);
}

Test(keyfile, a_folder_that_may_not_be_written_is_named)
{
	struct keypair k;
	char want[512];
	temp_path(&dir, "key", path);
	snprintf(want, sizeof want, "%s: cannot be created: Permission denied", path);
	chmod(dir.path, 0555);
	bool root = geteuid() == 0;
	if (root && seteuid(65534) < 0)
		cr_skip_test("root cannot be laid down here");
	cr_expect_eq(load(&k), RS_ESYS);
	cr_expect_str_eq(fault, want);
	if (root && seteuid(0) < 0)
		cr_assert_fail("seteuid");
	chmod(dir.path, 0700);
}

Test(keyfile, a_folder_or_a_fifo_is_no_key)
{
	struct keypair k;
	temp_path(&dir, "fifo", path);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(load(&k), RS_EINVAL);
	cr_expect(strstr(fault, "is not a regular file"), "%s", fault);
	snprintf(path, sizeof path, "%s", dir.path);
	cr_expect_eq(load(&k), RS_EINVAL);
	cr_expect(strstr(fault, "is not a regular file"), "%s", fault);
}

static int secret_of(const char *text, char *out, size_t cap, size_t *len)
{
	temp_file(&dir, "secret", text, 0600, path);
	fault[0] = '\0';
	return keyfile_read_secret(path, out, cap, len, fault, sizeof fault);
}

Test(keyfile, a_secret_is_the_first_line)
{
	static const struct {
		const char *text, *secret;
	} cases[] = {
		{"open sesame", "open sesame"},
		{"open sesame\n", "open sesame"},
		{"open sesame\r\n", "open sesame"},
		{"open sesame\n# a remark\n", "open sesame"},
		{" blanks stay \n", " blanks stay "},
	};
	char out[SECRET_MAX + 1];
	size_t len;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cr_assert_eq(secret_of(cases[i].text, out, sizeof out, &len), RS_OK, "%s", fault);
		cr_expect_eq(len, strlen(cases[i].secret));
		cr_expect_str_eq(out, cases[i].secret);
	}
}

Test(keyfile, a_secret_that_is_empty_or_too_long_is_refused)
{
	char out[SECRET_MAX + 1], text[SECRET_MAX + 2];
	size_t len;
	cr_expect_eq(secret_of("", out, sizeof out, &len), RS_EINVAL);
	cr_expect_eq(secret_of("\nsecond line\n", out, sizeof out, &len), RS_EINVAL);
	cr_expect(strstr(fault, "first line is empty"), "%s", fault);
	memset(text, 'x', sizeof text);
	text[SECRET_MAX + 1] = '\0';
	cr_expect_eq(secret_of(text, out, sizeof out, &len), RS_EINVAL);
	cr_expect(strstr(fault, "too long"), "%s", fault);
	text[SECRET_MAX] = '\0';
	cr_expect_eq(secret_of(text, out, sizeof out, &len), RS_OK);
	cr_expect_eq(len, SECRET_MAX);
	cr_expect_eq(secret_of("12345678", out, 8, &len), RS_EINVAL, "no room for the NUL");
	cr_expect_eq(secret_of("1234567", out, 8, &len), RS_OK);
}

Test(keyfile, a_secret_file_that_is_not_there_is_named)
{
	char out[SECRET_MAX + 1], want[512];
	size_t len;
	temp_path(&dir, "none", path);
	snprintf(want, sizeof want, "%s: cannot be opened: No such file or directory", path);
	cr_expect_eq(keyfile_read_secret(path, out, sizeof out, &len, fault, sizeof fault), RS_ENOENT);
	cr_expect_str_eq(fault, want);
}
