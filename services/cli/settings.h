/* SPDX-License-Identifier: Apache-2.0 */
/* The settings that all commands share: file, environment, flags (app/config.h). */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "app/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct settings {
	const char *file; /* the configuration file, NULL if none */
	struct addr redis;
	char redis_password_file[CONFIG_TEXT_MAX];
	struct addr_set dc;
	struct addr_set balancers;
	struct key_set balancer_keys;
	char balancer_key_file[CONFIG_TEXT_MAX];
	char app[CONFIG_TEXT_MAX];
	char app_key_file[CONFIG_TEXT_MAX];
};

/* Takes the settings' flags out of argv. RS_EINVAL: what is wrong was said. */
RS_MUST_CHECK int settings_load(struct settings *s, const char *file, int *argc, char **argv);
void settings_print_help(FILE *to);
/* The names of the settings, NULL at the end. */
void settings_names(const char **out, size_t cap);

/* The balancers' keys from both settings, as restante_options wants them. Not 0:
 * `fault` says what is missing. */
RS_MUST_CHECK int settings_balancer_keys(const struct settings *s, char *out, size_t cap, char *fault,
					 size_t fault_cap);
/* The balancers' addresses, comma separated. */
void settings_balancers(const struct settings *s, char *out, size_t cap);

#endif
