/* SPDX-License-Identifier: Apache-2.0 */
#include "settings.h"

#include "say.h"

#include "base/bytes.h"

#include <errno.h>
#include <string.h>

enum { KEYS_MAX = 2, KEY_HEX = 64 };

static const struct setting table[] = {
	SETTING(struct settings, redis, SETTING_ADDR, "127.0.0.1:6379", "Redis server"),
	SETTING(struct settings, redis_password_file, SETTING_PATH, NULL, "file that holds the Redis password"),
	SETTING(struct settings, dc, SETTING_ADDRS, "127.0.0.1:7100", "Data Centers, their port for Apps"),
	SETTING(struct settings, balancers, SETTING_ADDRS, "127.0.0.1:7300", "balancers, their port for clients"),
	SETTING(struct settings, balancer_keys, SETTING_KEYS, NULL, "public key of the balancers, or two while it changes"),
	SETTING(struct settings, balancer_key_file, SETTING_PATH, NULL,
		"file that holds that public key: restante-lb writes it beside its key, as .pub"),
	SETTING(struct settings, app, SETTING_NAME, NULL, "App in whose name the DC is asked"),
	SETTING(struct settings, app_key_file, SETTING_PATH, NULL, "file that holds that App's key"),
};
enum { TABLE_LEN = sizeof table / sizeof *table };

int settings_load(struct settings *s, const char *file, int *argc, char **argv)
{
	char fault[SAY_MAX / 2];
	const struct config_source src = {table, TABLE_LEN, file};
	int err = config_load(&src, argc, argv, s, fault, sizeof fault);
	s->file = file;
	if (err)
		say("%s", fault);
	return err;
}

void settings_print_help(FILE *to) { config_print_help(table, TABLE_LEN, to); }

void settings_names(const char **out, size_t cap)
{
	size_t n = 0;
	for (; n < TABLE_LEN && n + 1 < cap; n++)
		out[n] = table[n].name;
	out[n] = NULL;
}

static int read_key_file(const char *path, uint8_t key[32], char *fault, size_t fault_cap)
{
	char line[KEY_HEX + 3] = "";
	FILE *f = fopen(path, "re");
	if (!f) {
		snprintf(fault, fault_cap, "balancer_key_file %s: cannot be opened: %s", path, strerror(errno));
		return RS_ESYS;
	}
	if (fgets(line, sizeof line, f))
		line[strcspn(line, "\r\n")] = '\0';
	fclose(f);
	if (hex_decode(line, key, 32) == RS_OK)
		return RS_OK;
	snprintf(fault, fault_cap, "balancer_key_file %s: its first line is not a public key of %d hexadecimal digits",
		 path, KEY_HEX);
	return RS_EINVAL;
}

int settings_balancer_keys(const struct settings *s, char *out, size_t cap, char *fault, size_t fault_cap)
{
	struct key_set keys = s->balancer_keys;
	if (s->balancer_key_file[0] && keys.count < KEYS_MAX) {
		int err = read_key_file(s->balancer_key_file, keys.at[keys.count], fault, fault_cap);
		if (err)
			return err;
		if (keys.count == 0 || memcmp(keys.at[0], keys.at[1], sizeof keys.at[0]) != 0)
			keys.count++;
	}
	if (keys.count == 0) {
		snprintf(fault, fault_cap, "the balancers' public key is not known; set balancer_key_file or balancer_keys");
		return RS_EINVAL;
	}
	out[0] = '\0';
	for (size_t i = 0, at = 0; i < keys.count && at + KEY_HEX + 2 <= cap; i++) {
		if (i > 0)
			out[at++] = ',';
		hex_encode(keys.at[i], 32, out + at);
		at += KEY_HEX;
	}
	return RS_OK;
}

void settings_balancers(const struct settings *s, char *out, size_t cap)
{
	char text[ADDR_TEXT_MAX];
	size_t at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < s->balancers.count && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? "," : "",
				       addr_format(&s->balancers.at[i], text));
}
