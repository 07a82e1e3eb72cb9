/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of every kind from a file, the environment and flags. What is taken obeys the
 * table; what is refused is explained in plain characters; a value means the same
 * whichever way it comes. */
#include "fuzz.h"

#include "app/config.h"
#include "app/setting.h"
#include "base/name.h"

#include <stdlib.h>
#include <string.h>

struct all {
	char some_text[CONFIG_TEXT_MAX], name[CONFIG_TEXT_MAX], path[CONFIG_TEXT_MAX], choice[CONFIG_TEXT_MAX];
	int64_t number;
	struct addr at;
	struct addr_set addrs;
	struct key_set keys;
	struct isp_set isps;
	bool flag;
};

static const struct setting table[] = {
	SETTING(struct all, some_text, SETTING_TEXT, NULL, "any text"),
	SETTING(struct all, name, SETTING_NAME, "default", "a name"),
	SETTING(struct all, path, SETTING_PATH, NULL, "a file"),
	SETTING_OF(struct all, choice, "a", "a|bb|ccc", "one of these"),
	SETTING_RANGE(struct all, number, "5", -3, 1000000000000, "a number"),
	SETTING(struct all, at, SETTING_ADDR, "127.0.0.1:1", "an address"),
	SETTING(struct all, addrs, SETTING_ADDRS, NULL, "addresses"),
	SETTING(struct all, keys, SETTING_KEYS, NULL, "keys"),
	SETTING(struct all, isps, SETTING_ISPS, NULL, "addresses of ISPs"),
	SETTING(struct all, flag, SETTING_FLAG, "no", "yes or no"),
};
enum { SETTINGS = sizeof table / sizeof *table, FLAGS_MAX = 4 };

void fuzz_start(void) {}

static void check_good(const struct all *c)
{
	fuzz_check(memchr(c->some_text, '\0', CONFIG_TEXT_MAX) && memchr(c->path, '\0', CONFIG_TEXT_MAX),
		   "a text without its end");
	fuzz_check(!name_fault(c->name, strlen(c->name)), "a name that is none");
	fuzz_check(strcmp(c->choice, "a") == 0 || strcmp(c->choice, "bb") == 0 || strcmp(c->choice, "ccc") == 0,
		   "choice is %s", c->choice);
	fuzz_check(c->number >= -3 && c->number <= 1000000000000, "a number out of its range");
	fuzz_check(c->addrs.count <= CONFIG_ADDRS_MAX && c->keys.count <= CONFIG_ADDRS_MAX, "too many");
	char isps[ISPS_TEXT_MAX];
	const char *fault;
	struct isp_set again;
	fuzz_check(isps_parse(isps_format(&c->isps, isps), &again, &fault) == RS_OK &&
			   memcmp(&again, &c->isps, sizeof again) == 0, "%s are other addresses", isps);
	for (size_t i = 0; i < c->addrs.count; i++) {
		char text[ADDR_TEXT_MAX];
		struct addr same;
		fuzz_check(addr_parse(addr_format(&c->addrs.at[i], text), &same) == RS_OK &&
				   addr_equal(&same, &c->addrs.at[i]), "%s is another address", text);
	}
}

static void check_fault(const char *fault, size_t cap)
{
	size_t len = strnlen(fault, cap);
	fuzz_check(len > 0 && len < cap, "no word of what is wrong");
	for (size_t i = 0; i < len; i++)
		fuzz_check((unsigned char)fault[i] >= ' ' && fault[i] != 0x7f, "a control character in: %s", fault);
}

static int load(const char *file, int argc, char **argv, struct all *out)
{
	struct config_source src = {table, SETTINGS, file};
	char fault[300] = "";
	int before = argc;
	int err = config_load(&src, &argc, argv, out, fault, sizeof fault);
	fuzz_check(err == RS_OK || err == RS_EINVAL, "config_load() says %d", err);
	if (err)
		check_fault(fault, sizeof fault);
	else
		check_good(out);
	fuzz_check(argc >= 1 && argc <= before, "%d arguments of %d", argc, before);
	return err;
}

/* One value, by environment and by flag. */
static void try_both(const struct setting *s, const char *value)
{
	char env[SETTING_NAME_MAX], flag[SETTING_NAME_MAX], flag_text[] = "fuzz";
	struct all one, other;
	char *argv[] = {flag_text, (char *)(uintptr_t)setting_flag(s, flag), (char *)(uintptr_t)value, NULL};
	char *none[] = {flag_text, NULL};
	memset(&one, 0, sizeof one);
	memset(&other, 0, sizeof other);
	setenv(setting_env(s, env), value, 1);
	int by_env = load(NULL, 1, none, &one);
	unsetenv(env);
	int by_flag = load(NULL, 3, argv, &other);
	fuzz_check(by_env == by_flag, "%s is %d by environment, %d by flag", env, by_env, by_flag);
	fuzz_check(by_env || memcmp(&one, &other, sizeof one) == 0, "%s is another by flag", env);
}

static void try_flags(struct fuzz *in)
{
	char *argv[FLAGS_MAX + 2] = {fuzz_copy("fuzz", 5)}, *kept[FLAGS_MAX + 1] = {argv[0]};
	int argc = 1;
	struct all c;
	for (unsigned n = fuzz_byte(in) % FLAGS_MAX; n > 0; n--, argc++)
		kept[argc] = argv[argc] = fuzz_text(in);
	config_nearest(table, SETTINGS, kept[argc - 1]);
	memset(&c, 0, sizeof c);
	load(NULL, argc, argv, &c);
	for (int i = 0; i < argc; i++)
		free(kept[i]);
}

void fuzz_one(struct fuzz *in)
{
	char program[] = "fuzz", *argv[] = {program, NULL};
	struct all c;
	const struct setting *s = &table[fuzz_byte(in) % SETTINGS];
	char *value = fuzz_text(in);
	try_both(s, value);
	free(value);
	try_flags(in);
	struct piece p = fuzz_rest(in);
	if (memmem(p.data, p.len, "@include", 8)) /* would read files of this machine */
		return;
	memset(&c, 0, sizeof c);
	load(fuzz_file(p.data, p.len), 1, argv, &c);
}
