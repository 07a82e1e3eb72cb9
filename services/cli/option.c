/* SPDX-License-Identifier: Apache-2.0 */
#include "option.h"

#include "say.h"

#include "app/config.h"
#include "base/name.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

const char *option_nearest(const char *const *words, const char *typed)
{
	struct setting as_settings[WORDS_MAX];
	size_t count = 0;
	for (; words[count] && count < WORDS_MAX; count++)
		as_settings[count] = (struct setting){.name = words[count]};
	return config_nearest(as_settings, count, typed);
}

int option_usage(const struct command *c, const char *fmt, ...)
{
	char text[SAY_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	say("%s: %s; see restante %s --help", c->name, text, c->name);
	return EXIT_USAGE;
}

int option_unknown_word(const struct command *c, const char *const *words, const char *word)
{
	char shown[SAY_WORD_MAX];
	const char *nearest = option_nearest(words, word);
	say_word(word, shown);
	if (nearest)
		return option_usage(c, "there is no \"%s %s\"; did you mean \"%s %s\"?", c->name, shown,
				    c->name, nearest);
	return option_usage(c, "there is no \"%s %s\"", c->name, shown);
}

bool option_name_ok(const char *what, const char *name)
{
	const char *wrong = name_fault(name, strlen(name));
	if (wrong)
		say("%s %s; it must be " NAME_RULE, what, wrong);
	return !wrong;
}

static int unknown(const struct command *c, const char *arg)
{
	const char *words[WORDS_MAX] = {NULL}, *nearest = NULL;
	char shown[SAY_WORD_MAX];
	size_t n = 0;
	for (const struct option *o = c->options; o && o->name && n < WORDS_MAX / 2; o++)
		words[n++] = o->name;
	settings_names(words + n, WORDS_MAX - n);
	if (strncmp(arg, "--", 2) == 0)
		nearest = option_nearest(words, arg + 2);
	say_word(arg, shown);
	if (!nearest)
		return option_usage(c, "unknown option %s", shown), RS_EINVAL;
	char flag[SAY_WORD_MAX];
	snprintf(flag, sizeof flag, "%s", nearest);
	for (char *p = flag; *p; p++)
		if (*p == '_')
			*p = '-';
	return option_usage(c, "unknown option %s; did you mean --%s?", shown, flag), RS_EINVAL;
}

static int store_number(const struct option *o, const char *text, int64_t *field)
{
	char *end, shown[SAY_WORD_MAX];
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (isdigit((unsigned char)*text) && !*end && !errno && v >= o->min && v <= o->max) {
		*field = v;
		return RS_OK;
	}
	say_word(text, shown);
	say("--%s \"%s\" must be a whole number from %lld to %lld", o->name, shown, (long long)o->min,
	    (long long)o->max);
	return RS_EINVAL;
}

static int store_one_more(const struct option *o, const char *name, struct option_names *names)
{
	if (!option_name_ok(o->name, name))
		return RS_EINVAL;
	if (names->count == OPTION_NAMES_MAX) {
		say("--%s is given too often; at most %d times", o->name, OPTION_NAMES_MAX);
		return RS_EINVAL;
	}
	names->at[names->count++] = name;
	return RS_OK;
}

static int store(const struct option *o, const char *value, void *out)
{
	void *field = (char *)out + o->offset;
	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return RS_OK;
	case OPTION_NAMES:
		return store_one_more(o, value, field);
	case OPTION_NUMBER:
		return store_number(o, value, field);
	case OPTION_NAME:
		if (!option_name_ok(o->name, value))
			return RS_EINVAL;
		break;
	case OPTION_TEXT:
		break;
	}
	*(const char **)field = value;
	return RS_OK;
}

static const struct option *find(const struct command *c, const char *arg, const char **value)
{
	bool is_long = arg[1] == '-';
	size_t len = strcspn(arg, "=");
	for (const struct option *o = c->options; o && o->name; o++) {
		if (is_long && strlen(o->name) == len - 2 && memcmp(o->name, arg + 2, len - 2) == 0) {
			*value = arg[len] ? arg + len + 1 : NULL;
			return o;
		}
		if (!is_long && o->letter && arg[1] == o->letter) {
			*value = arg[2] ? arg + 2 : NULL;
			return o;
		}
	}
	return NULL;
}

int option_parse(const struct command *c, int *argc, char **argv, void *out)
{
	int left = 1;
	for (int i = 1; i < *argc; i++) {
		const char *value = NULL;
		if (strcmp(argv[i], "--") == 0) {
			while (++i < *argc)
				argv[left++] = argv[i];
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1]) {
			argv[left++] = argv[i];
			continue;
		}
		const struct option *o = find(c, argv[i], &value);
		if (!o)
			return unknown(c, argv[i]);
		if (o->kind == OPTION_FLAG && value)
			return option_usage(c, "--%s takes no value", o->name), RS_EINVAL;
		if (o->kind != OPTION_FLAG && !value && i + 1 < *argc)
			value = argv[++i];
		if (o->kind != OPTION_FLAG && !value)
			return option_usage(c, "--%s needs a value, %s", o->name, o->value), RS_EINVAL;
		if (store(o, value, out))
			return RS_EINVAL;
	}
	*argc = left;
	argv[left] = NULL;
	return RS_OK;
}

void option_print_help(const struct option *options, FILE *to)
{
	for (const struct option *o = options; o && o->name; o++) {
		char head[80];
		snprintf(head, sizeof head, "%s%.1s%s--%s%s%s", o->letter ? "-" : "", &o->letter,
			 o->letter ? ", " : "", o->name, o->value ? " " : "", o->value ? o->value : "");
		fprintf(to, "  %-22s %s\n", head, o->doc);
	}
}
