/* SPDX-License-Identifier: Apache-2.0 */
/* Read with libconfig. Every value is turned into text first, so that file,
 * environment and flags obey the same rules. */
#include "app/config_file.h"

#include "app/setting.h"

#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 1024 };

/* Longer than any setting may be: so the setting's own check refuses it. */
static void put_value(char *out, const char *text)
{
	size_t at = strlen(out);
	snprintf(out + at, VALUE_MAX - at, "%s%s", at ? "," : "", text);
}

/* libconfig cuts an integer beyond 32 bits without a word. Reads the number
 * again from its line, where it can be found there. */
static long long int_as_written(const config_setting_t *e)
{
	long long v = config_setting_get_int64(e);
	const char *file = config_setting_source_file(e), *name = config_setting_name(e);
	FILE *f = config_setting_type(e) == CONFIG_TYPE_INT && file && name ? fopen(file, "re") : NULL;
	char *line = NULL;
	size_t cap = 0;
	unsigned left = config_setting_source_line(e);
	while (f && left > 0 && getline(&line, &cap, f) >= 0)
		left--;
	const char *at = f && left == 0 && line ? strstr(line, name) : NULL;
	if (at) {
		at += strlen(name);
		at += strspn(at, " \t=:");
		size_t digits = strspn(at + (*at == '-'), "0123456789");
		if (digits > 0 && at[digits + (*at == '-')] != 'x')
			v = strtoll(at, NULL, 10);
	}
	free(line);
	if (f)
		fclose(f);
	return v;
}

static bool scalar_text(const config_setting_t *e, char out[VALUE_MAX])
{
	char number[32];
	switch (config_setting_type(e)) {
	case CONFIG_TYPE_STRING:
		put_value(out, config_setting_get_string(e));
		return true;
	case CONFIG_TYPE_BOOL:
		put_value(out, config_setting_get_bool(e) ? "yes" : "no");
		return true;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(number, sizeof number, "%lld", int_as_written(e));
		put_value(out, number);
		return true;
	case CONFIG_TYPE_FLOAT:
		snprintf(number, sizeof number, "%g", config_setting_get_float(e));
		put_value(out, number);
		return true;
	default:
		return false;
	}
}

/* An array or a list is the same as its values with commas between. */
static bool value_text(const config_setting_t *e, char out[VALUE_MAX])
{
	out[0] = '\0';
	if (!config_setting_is_array(e) && !config_setting_is_list(e))
		return scalar_text(e, out);
	for (int i = 0; i < config_setting_length(e); i++)
		if (!scalar_text(config_setting_get_elem(e, (unsigned)i), out))
			return false;
	return true;
}

static const char *file_of(const config_setting_t *e, const struct config_source *src)
{
	const char *file = config_setting_source_file(e);
	return file ? file : src->file;
}

static int unknown(const struct config_source *src, const config_setting_t *e, char *fault,
		   size_t fault_cap)
{
	const char *name = config_setting_name(e);
	const char *nearest = config_nearest(src->settings, src->count, name);
	int len = snprintf(fault, fault_cap, "unknown setting \"%s\" in %s:%u", name, file_of(e, src),
			   config_setting_source_line(e));
	if (len < 0 || (size_t)len >= fault_cap)
		return RS_EINVAL;
	if (nearest)
		snprintf(fault + len, fault_cap - (size_t)len, "; did you mean \"%s\"?", nearest);
	else
		snprintf(fault + len, fault_cap - (size_t)len, "; --help lists all settings");
	return RS_EINVAL;
}

static int take_line(const struct config_source *src, const config_setting_t *e, void *out, char *fault,
		     size_t fault_cap)
{
	char value[VALUE_MAX], problem[SETTING_PROBLEM_MAX], shown[SETTING_SHOWN_MAX];
	const char *name = config_setting_name(e), *file = file_of(e, src);
	unsigned line = config_setting_source_line(e);
	/* Names in the file have no other spelling. */
	const struct setting *s = strchr(name, '-') ? NULL
						    : setting_find(src->settings, src->count, name, strlen(name));
	if (!s)
		return unknown(src, e, fault, fault_cap);
	if (!value_text(e, value)) {
		snprintf(fault, fault_cap, "%s:%u: %s: a group is no value; write %s = \"...\";", file, line, name,
			 name);
		return RS_EINVAL;
	}
	if (setting_store(s, value, out, problem) == RS_OK)
		return RS_OK;
	const char *quote = config_setting_is_number(e) ? "" : "\"";
	snprintf(fault, fault_cap, "%s:%u: %s = %s%s%s: %s", file, line, name, quote,
		 setting_shown(value, shown), quote, problem);
	return RS_EINVAL;
}

static int read_file(config_t *conf, const char *path, char *fault, size_t fault_cap)
{
	errno = 0;
	if (config_read_file(conf, path) == CONFIG_TRUE)
		return RS_OK;
	if (config_error_type(conf) == CONFIG_ERR_PARSE)
		snprintf(fault, fault_cap, "%s:%d: %s; write one name = value; to a line",
			 config_error_file(conf) ? config_error_file(conf) : path, config_error_line(conf),
			 config_error_text(conf));
	else
		snprintf(fault, fault_cap, "%s: %s", path, errno ? strerror(errno) : "cannot be read");
	return RS_EINVAL;
}

int config_file_load(const struct config_source *src, void *out, char *fault, size_t fault_cap)
{
	config_t conf;
	config_init(&conf);
	int err = read_file(&conf, src->file, fault, fault_cap);
	const config_setting_t *root = config_root_setting(&conf);
	for (int i = 0; !err && i < config_setting_length(root); i++)
		err = take_line(src, config_setting_get_elem(root, (unsigned)i), out, fault, fault_cap);
	config_destroy(&conf);
	return err;
}
