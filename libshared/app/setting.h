/* SPDX-License-Identifier: Apache-2.0 */
/* One setting: from text to its field, and the names it goes by. Used by
 * config.c and config_file.c only. */
#ifndef APP_SETTING_H
#define APP_SETTING_H

#include "app/config.h"

#define SETTING_PROBLEM_MAX 256
#define SETTING_NAME_MAX 64
#define SETTING_SHOWN_MAX 64

/* Checks `text` and writes it to the setting's field in the struct `out`.
 * RS_EINVAL: `problem` says what is wrong and what would be right. */
RS_MUST_CHECK int setting_store(const struct setting *s, const char *text, void *out,
				char problem[SETTING_PROBLEM_MAX]);
/* Zeroes the field. */
void setting_clear(const struct setting *s, void *out);

/* The setting named `name`, of `len` bytes; '-' counts as '_'. NULL: none. */
const struct setting *setting_find(const struct setting *settings, size_t count, const char *name,
				   size_t len);
/* "--some-name" */
const char *setting_flag(const struct setting *s, char out[SETTING_NAME_MAX]);
/* "RESTANTE_SOME_NAME" */
const char *setting_env(const struct setting *s, char out[SETTING_NAME_MAX]);
/* A value for people to read: long ones cut, control bytes replaced. */
const char *setting_shown(const char *value, char out[SETTING_SHOWN_MAX]);

#endif
