/* SPDX-License-Identifier: Apache-2.0 */
#include "app/config.h"

#include "app/config_file.h"
#include "app/setting.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int take_defaults(const struct config_source *src, void *out, char *fault, size_t fault_cap)
{
	char problem[SETTING_PROBLEM_MAX];
	for (size_t i = 0; i < src->count; i++) {
		const struct setting *s = &src->settings[i];
		setting_clear(s, out);
		if (s->def && setting_store(s, s->def, out, problem)) {
			snprintf(fault, fault_cap, "default of %s, %s: %s", s->name, s->def, problem);
			return RS_EINVAL;
		}
	}
	return RS_OK;
}

static int take_environment(const struct config_source *src, void *out, char *fault, size_t fault_cap)
{
	char name[SETTING_NAME_MAX], problem[SETTING_PROBLEM_MAX], shown[SETTING_SHOWN_MAX];
	for (size_t i = 0; i < src->count; i++) {
		const struct setting *s = &src->settings[i];
		const char *value = getenv(setting_env(s, name));
		if (value && setting_store(s, value, out, problem)) {
			snprintf(fault, fault_cap, "%s=\"%s\": %s", name, setting_shown(value, shown), problem);
			return RS_EINVAL;
		}
	}
	return RS_OK;
}

static int take_flag(const struct setting *s, const char *value, void *out, char *fault,
		     size_t fault_cap)
{
	char flag[SETTING_NAME_MAX], problem[SETTING_PROBLEM_MAX], shown[SETTING_SHOWN_MAX];
	if (!value) {
		snprintf(fault, fault_cap, "%s: needs a value (%s)", setting_flag(s, flag), s->doc);
		return RS_EINVAL;
	}
	if (setting_store(s, value, out, problem) == RS_OK)
		return RS_OK;
	snprintf(fault, fault_cap, "%s %s: %s", setting_flag(s, flag),
		 *value ? setting_shown(value, shown) : "\"\"", problem);
	return RS_EINVAL;
}

/* Known flags are taken out of argv, the rest moves up. After "--" nothing is
 * looked at. */
static int take_flags(const struct config_source *src, int *argc, char **argv, void *out, char *fault,
		      size_t fault_cap)
{
	int left = *argc > 0;
	bool all_seen = false;
	for (int i = 1; i < *argc; i++) {
		const char *name = argv[i] + 2;
		size_t len = strcspn(argv[i], "=");
		const struct setting *s = NULL;
		all_seen = all_seen || strcmp(argv[i], "--") == 0;
		if (!all_seen && strncmp(argv[i], "--", 2) == 0)
			s = setting_find(src->settings, src->count, name, len - 2);
		if (!s) {
			argv[left++] = argv[i];
			continue;
		}
		const char *value = argv[i][len] ? argv[i] + len + 1 : i + 1 < *argc ? argv[++i] : NULL;
		int err = take_flag(s, value, out, fault, fault_cap);
		if (err)
			return err;
	}
	*argc = left;
	argv[left] = NULL;
	return RS_OK;
}

int config_load(const struct config_source *src, int *argc, char **argv, void *out, char *fault,
		size_t fault_cap)
{
	int err = take_defaults(src, out, fault, fault_cap);
	if (!err && src->file)
		err = config_file_load(src, out, fault, fault_cap);
	if (!err)
		err = take_environment(src, out, fault, fault_cap);
	if (!err)
		err = take_flags(src, argc, argv, out, fault, fault_cap);
	return err;
}

static size_t min_of(size_t a, size_t b) { return a < b ? a : b; }

/* How many slips of the keyboard (a wrong, missing, extra or swapped
 * character) lie between `typed` and the start of `name`; an end that was not
 * typed at all counts as one. */
static size_t slips(const char *typed, size_t len, const char *name)
{
	size_t before[SETTING_NAME_MAX + 1] = {0}, last[SETTING_NAME_MAX + 1], row[SETTING_NAME_MAX + 1];
	size_t name_len = min_of(strlen(name), SETTING_NAME_MAX);
	for (size_t j = 0; j <= name_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= len; i++) {
		row[0] = i;
		for (size_t j = 1; j <= name_len; j++) {
			bool same = typed[i - 1] == name[j - 1] || (typed[i - 1] == '-' && name[j - 1] == '_');
			row[j] = min_of(last[j - 1] + !same, min_of(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && typed[i - 1] == name[j - 2] && typed[i - 2] == name[j - 1])
				row[j] = min_of(row[j], before[j - 2] + 1);
		}
		memcpy(before, last, sizeof before);
		memcpy(last, row, sizeof last);
	}
	size_t best = last[name_len];
	for (size_t j = 0; j < name_len; j++)
		best = min_of(best, last[j] + 1);
	return best;
}

const char *config_nearest(const struct setting *settings, size_t count, const char *typed)
{
	size_t len = strlen(typed), least = 0;
	const char *nearest = NULL;
	if (len > SETTING_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t n = slips(typed, len, settings[i].name);
		if (n <= 1 + len / 3 && n < len && (!nearest || n < least)) {
			nearest = settings[i].name;
			least = n;
		}
	}
	return nearest;
}

static const char *value_form(const struct setting *s)
{
	switch (s->kind) {
	case SETTING_CHOICE:
		return s->choices;
	case SETTING_INT:
		return "NUMBER";
	case SETTING_ADDR:
		return "IP:PORT";
	case SETTING_ADDRS:
		return "IP:PORT,...";
	case SETTING_KEYS:
		return "KEY,...";
	case SETTING_ISPS:
		return "ISP=IP:PORT,...";
	case SETTING_FLAG:
		return "yes|no";
	case SETTING_NAME:
		return "NAME";
	case SETTING_PATH:
		return "FILE";
	case SETTING_TEXT:
		break;
	}
	return "TEXT";
}

void config_print_help(const struct setting *settings, size_t count, FILE *to)
{
	char flag[SETTING_NAME_MAX], env[SETTING_NAME_MAX];
	for (size_t i = 0; i < count; i++) {
		const struct setting *s = &settings[i];
		fprintf(to, "  %s %s\n      %s", setting_flag(s, flag), value_form(s), s->doc);
		if (s->kind == SETTING_INT)
			fprintf(to, ", %lld to %lld", (long long)s->min, (long long)s->max);
		fprintf(to, "\n      default %s; %s\n", s->def && *s->def ? s->def : "none", setting_env(s, env));
	}
}
