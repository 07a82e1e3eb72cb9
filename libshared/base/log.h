/* SPDX-License-Identifier: Apache-2.0 */
/* Structured log lines on standard error: logfmt, or JSON on request.
 *
 *   log_info("client logged in", LOG_STR("user", name), LOG_INT("conn", id));
 *   -> ts=2026-01-02T03:04:05.678Z level=info prog=restante-mb msg="client logged in" user=alice conn=7
 *
 * A value with spaces, quotes, control bytes or invalid UTF-8 is quoted and
 * escaped, so that what comes from outside cannot forge a line. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_kind { LOG_KIND_END, LOG_KIND_STR, LOG_KIND_BYTES, LOG_KIND_INT };

struct log_field {
	enum log_kind kind;
	const char *key;
	const char *str; /* borrowed for the call */
	size_t len;      /* LOG_KIND_BYTES only */
	int64_t num;     /* LOG_KIND_INT only */
};

#define LOG_STR(k, v) ((struct log_field){.kind = LOG_KIND_STR, .key = (k), .str = (v)})
#define LOG_BYTES(k, v, n) \
	((struct log_field){.kind = LOG_KIND_BYTES, .key = (k), .str = (const char *)(v), .len = (n)})
#define LOG_INT(k, v) ((struct log_field){.kind = LOG_KIND_INT, .key = (k), .num = (int64_t)(v)})

/* `prog` is kept by reference. Lines below `level` are not written. */
void log_setup(const char *prog, enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
void log_emit(enum log_level level, const char *msg, const struct log_field *fields);

/* Names to enums for configuration; return 0 or RS_EINVAL. */
int log_level_parse(const char *name, enum log_level *out);
int log_format_parse(const char *name, enum log_format *out);

#define LOG_AT(level, msg, ...) \
	do { \
		if (log_enabled(level)) \
			log_emit(level, msg, \
				 (const struct log_field[]){__VA_ARGS__ __VA_OPT__(,) {.kind = LOG_KIND_END}}); \
	} while (0)
#define log_debug(msg, ...) LOG_AT(LOG_DEBUG, msg __VA_OPT__(,) __VA_ARGS__)
#define log_info(msg, ...) LOG_AT(LOG_INFO, msg __VA_OPT__(,) __VA_ARGS__)
#define log_warn(msg, ...) LOG_AT(LOG_WARN, msg __VA_OPT__(,) __VA_ARGS__)
#define log_error(msg, ...) LOG_AT(LOG_ERROR, msg __VA_OPT__(,) __VA_ARGS__)

#endif
