/* SPDX-License-Identifier: Apache-2.0 */
#include "app/setting.h"

#include "base/bytes.h"
#include "base/items.h"
#include "base/name.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Room for one address or key out of a list. */
static int store_text(const char *text, char *field, char *problem)
{
	size_t len = strlen(text);
	if (len >= CONFIG_TEXT_MAX) {
		snprintf(problem, SETTING_PROBLEM_MAX, "too long; at most %d bytes", CONFIG_TEXT_MAX - 1);
		return RS_EINVAL;
	}
	memcpy(field, text, len + 1);
	return RS_OK;
}

static int store_name(const char *text, char *field, char *problem)
{
	const char *wrong = name_fault(text, strlen(text));
	if (wrong) {
		snprintf(problem, SETTING_PROBLEM_MAX, "%s; write %s", wrong, NAME_RULE);
		return RS_EINVAL;
	}
	return store_text(text, field, problem);
}

static void list_choices(const char *choices, char *problem)
{
	size_t at = (size_t)snprintf(problem, SETTING_PROBLEM_MAX, "must be one of ");
	for (const char *c = choices; *c && at + 3 < SETTING_PROBLEM_MAX; c++) {
		problem[at++] = *c == '|' ? ',' : *c;
		if (*c == '|')
			problem[at++] = ' ';
	}
	problem[at] = '\0';
}

static int store_choice(const struct setting *s, const char *text, char *field, char *problem)
{
	size_t len = strlen(text);
	for (const char *c = s->choices; *c;) {
		size_t word = strcspn(c, "|");
		if (word == len && memcmp(c, text, len) == 0)
			return store_text(text, field, problem);
		c += word + (c[word] == '|');
	}
	list_choices(s->choices, problem);
	return RS_EINVAL;
}

static int store_int(const struct setting *s, const char *text, int64_t *field, char *problem)
{
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	bool number = *text && !isspace((unsigned char)*text) && !*end;
	if (!number || errno || v < s->min || v > s->max) {
		snprintf(problem, SETTING_PROBLEM_MAX, "%s from %lld to %lld",
			 number ? "out of range; must be" : "not a number; write a whole number",
			 (long long)s->min, (long long)s->max);
		return RS_EINVAL;
	}
	*field = v;
	return RS_OK;
}

static int store_addr(const struct setting *s, const char *text, struct addr *field, char *problem)
{
	if (addr_parse(text, field) == RS_OK)
		return RS_OK;
	snprintf(problem, SETTING_PROBLEM_MAX, "not an address; write ip:port, for example %s",
		 s->def && *s->def ? s->def : "127.0.0.1:7100");
	return RS_EINVAL;
}

static int too_many(char *problem)
{
	snprintf(problem, SETTING_PROBLEM_MAX, "too many; at most %d", CONFIG_ADDRS_MAX);
	return RS_EINVAL;
}

static int store_addrs(const char *text, struct addr_set *field, char *problem)
{
	char item[ITEM_MAX], shown[SETTING_SHOWN_MAX];
	struct addr_set set = {.count = 0};
	for (const char *at = *text ? text : NULL; items_next(&at, item);) {
		if (set.count == CONFIG_ADDRS_MAX)
			return too_many(problem);
		if (addr_parse(item, &set.at[set.count++]) != RS_OK) {
			snprintf(problem, SETTING_PROBLEM_MAX, "\"%s\" is not an address; write ip:port,ip:port, "
				 "for example 127.0.0.1:7300,127.0.0.1:7310", setting_shown(item, shown));
			return RS_EINVAL;
		}
	}
	*field = set;
	return RS_OK;
}

static int store_keys(const char *text, struct key_set *field, char *problem)
{
	char item[ITEM_MAX], shown[SETTING_SHOWN_MAX];
	struct key_set set = {.count = 0};
	for (const char *at = *text ? text : NULL; items_next(&at, item);) {
		if (set.count == CONFIG_ADDRS_MAX)
			return too_many(problem);
		if (hex_decode(item, set.at[set.count++], 32) != RS_OK) {
			snprintf(problem, SETTING_PROBLEM_MAX, "\"%s\" is not a key; write 64 hexadecimal digits, "
				 "several keys with commas between", setting_shown(item, shown));
			return RS_EINVAL;
		}
	}
	*field = set;
	return RS_OK;
}

static int store_isps(const char *text, struct isp_set *field, char *problem)
{
	const char *fault;
	int err = isps_parse(text, field, &fault);
	if (err)
		snprintf(problem, SETTING_PROBLEM_MAX, "%s, for example norda=203.0.113.7:7200", fault);
	return err;
}

static int store_flag(const char *text, bool *field, char *problem)
{
	bool yes = strcmp(text, "yes") == 0;
	if (!yes && strcmp(text, "no") != 0) {
		snprintf(problem, SETTING_PROBLEM_MAX, "must be yes or no");
		return RS_EINVAL;
	}
	*field = yes;
	return RS_OK;
}

int setting_store(const struct setting *s, const char *text, void *out,
		  char problem[SETTING_PROBLEM_MAX])
{
	void *field = (char *)out + s->offset;
	switch (s->kind) {
	case SETTING_TEXT:
	case SETTING_PATH:
		return store_text(text, field, problem);
	case SETTING_NAME:
		return store_name(text, field, problem);
	case SETTING_CHOICE:
		return store_choice(s, text, field, problem);
	case SETTING_INT:
		return store_int(s, text, field, problem);
	case SETTING_ADDR:
		return store_addr(s, text, field, problem);
	case SETTING_ADDRS:
		return store_addrs(text, field, problem);
	case SETTING_KEYS:
		return store_keys(text, field, problem);
	case SETTING_ISPS:
		return store_isps(text, field, problem);
	case SETTING_FLAG:
		return store_flag(text, field, problem);
	}
	snprintf(problem, SETTING_PROBLEM_MAX, "of no known kind");
	return RS_EINVAL;
}

void setting_clear(const struct setting *s, void *out)
{
	static const size_t sizes[] = {
		[SETTING_TEXT] = CONFIG_TEXT_MAX,
		[SETTING_NAME] = CONFIG_TEXT_MAX,
		[SETTING_PATH] = CONFIG_TEXT_MAX,
		[SETTING_CHOICE] = CONFIG_TEXT_MAX,
		[SETTING_INT] = sizeof(int64_t),
		[SETTING_ADDR] = sizeof(struct addr),
		[SETTING_ADDRS] = sizeof(struct addr_set),
		[SETTING_KEYS] = sizeof(struct key_set),
		[SETTING_ISPS] = sizeof(struct isp_set),
		[SETTING_FLAG] = sizeof(bool),
	};
	memset((char *)out + s->offset, 0, sizes[s->kind]);
}

static bool same_name(const char *setting, const char *name, size_t len)
{
	if (strlen(setting) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (setting[i] != (name[i] == '-' ? '_' : name[i]))
			return false;
	return true;
}

const struct setting *setting_find(const struct setting *settings, size_t count, const char *name,
				   size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (same_name(settings[i].name, name, len))
			return &settings[i];
	return NULL;
}

const char *setting_flag(const struct setting *s, char out[SETTING_NAME_MAX])
{
	snprintf(out, SETTING_NAME_MAX, "--%s", s->name);
	for (char *c = out; *c; c++)
		if (*c == '_')
			*c = '-';
	return out;
}

const char *setting_env(const struct setting *s, char out[SETTING_NAME_MAX])
{
	snprintf(out, SETTING_NAME_MAX, "RESTANTE_%s", s->name);
	for (char *c = out; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return out;
}

const char *setting_shown(const char *value, char out[SETTING_SHOWN_MAX])
{
	int len = snprintf(out, SETTING_SHOWN_MAX, "%s", value);
	if (len >= SETTING_SHOWN_MAX)
		memcpy(out + SETTING_SHOWN_MAX - 4, "...", 4);
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return out;
}
