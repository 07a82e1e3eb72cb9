/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from a table. Each setting `some_name` is a line in the
 * configuration file (libconfig: some_name = value;), an environment variable
 * RESTANTE_SOME_NAME, and a flag --some-name VALUE. Flags win over environment,
 * environment over file, file over default. A secret is never a value, only the
 * name of a file that holds it. An unknown name in the file or a wrong value
 * anywhere is refused, with where it stood and what would be right; unknown
 * RESTANTE_ variables are ignored (other programs have theirs). */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "base/addr.h"
#include "base/err.h"
#include "base/isps.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_TEXT_MAX 256
#define CONFIG_ADDRS_MAX 8

enum setting_kind {
	SETTING_TEXT,   /* char[CONFIG_TEXT_MAX] */
	SETTING_NAME,   /* char[CONFIG_TEXT_MAX], checked with name_fault() */
	SETTING_PATH,   /* char[CONFIG_TEXT_MAX] */
	SETTING_CHOICE, /* char[CONFIG_TEXT_MAX], one of `choices` ("a|b|c") */
	SETTING_INT,    /* int64_t within min..max; a file may write 10 or "10" */
	SETTING_ADDR,   /* struct addr, "ip:port" */
	SETTING_ADDRS,  /* struct addr_set, "ip:port,ip:port" */
	SETTING_KEYS,   /* struct key_set, X25519 public keys, hexadecimal, comma separated */
	SETTING_ISPS,   /* struct isp_set, "isp=ip:port,isp=ip:port" */
	SETTING_FLAG,   /* bool, "yes" or "no" */
};

struct addr_set {
	struct addr at[CONFIG_ADDRS_MAX];
	size_t count;
};

struct key_set {
	uint8_t at[CONFIG_ADDRS_MAX][32];
	size_t count;
};

struct setting {
	const char *name;
	enum setting_kind kind;
	size_t offset;       /* in the settings struct */
	const char *def;     /* default as text; NULL: empty or zero */
	int64_t min, max;    /* SETTING_INT */
	const char *choices; /* SETTING_CHOICE */
	const char *doc;     /* one line, with the unit */
};

#define SETTING(type, member, k, d, help) \
	{.name = #member, .kind = (k), .offset = offsetof(type, member), .def = (d), .doc = (help)}
#define SETTING_RANGE(type, member, d, lo, hi, help) \
	{.name = #member, .kind = SETTING_INT, .offset = offsetof(type, member), .def = (d), \
	 .min = (lo), .max = (hi), .doc = (help)}
#define SETTING_OF(type, member, d, words, help) \
	{.name = #member, .kind = SETTING_CHOICE, .offset = offsetof(type, member), .def = (d), \
	 .choices = (words), .doc = (help)}

/* A number that has a name, as a default. */
#define SETTING_NUMBER(n) SETTING_NUMBER_TEXT(n)
#define SETTING_NUMBER_TEXT(n) #n

struct config_source {
	const struct setting *settings;
	size_t count;
	const char *file; /* from --config or RESTANTE_CONFIG; NULL: none */
};

/* Fills `out` (zeroed by this call). Takes known --flags out of argv (both
 * "--name value" and "--name=value") and leaves the rest, updating *argc.
 * RS_EINVAL: `fault` (fault_cap bytes) says what was wrong and what would be right. */
RS_MUST_CHECK int config_load(const struct config_source *src, int *argc, char **argv, void *out,
			      char *fault, size_t fault_cap);
/* The settings for --help: flag, default, doc. */
void config_print_help(const struct setting *settings, size_t count, FILE *to);
/* The name that someone who wrote `typed` may have meant, or NULL. */
const char *config_nearest(const struct setting *settings, size_t count, const char *typed);

#endif
