/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines as they arrive on standard error. */
#include "base/log.h"

#include "base/err.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CAPTURED_MAX = 64 * 1024 };

static char captured[CAPTURED_MAX];
static int saved = -1, file = -1;

static void begin(enum log_level level, enum log_format format)
{
	log_setup("restante-test", level, format);
	saved = dup(STDERR_FILENO);
	file = memfd_create("stderr", 0);
	cr_assert(saved >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
}

/* What was written since begin(), ended by NUL. */
static const char *end(void)
{
	cr_assert_geq(dup2(saved, STDERR_FILENO), 0);
	ssize_t len = pread(file, captured, sizeof captured - 1, 0);
	cr_assert_geq(len, 0);
	captured[len] = '\0';
	close(saved);
	close(file);
	return captured;
}

static const char *logged(enum log_format format, struct log_field field)
{
	begin(LOG_INFO, format);
	log_info("something happened", field);
	return end();
}

static void expect_one_line(const char *text)
{
	size_t len = strlen(text);
	cr_assert_gt(len, 0);
	cr_expect_eq(strchr(text, '\n'), text + len - 1, "not one line: %s", text);
	for (size_t i = 0; i + 1 < len; i++)
		cr_expect((unsigned char)text[i] >= ' ' && text[i] != 0x7f, "control byte at %zu", i);
}

/* What stands between "msg=... " and the newline. */
static void expect_field(struct log_field field, const char *want)
{
	static const char start[] = " level=info prog=restante-test msg=\"something happened\" ";
	const char *text = logged(LOG_LOGFMT, field);
	expect_one_line(text);
	const char *at = strstr(text, start);
	cr_assert_not_null(at, "%s", text);
	at += strlen(start);
	cr_expect(strlen(at) == strlen(want) + 1 && strncmp(at, want, strlen(want)) == 0,
		  "got %s instead of %s", at, want);
}

static json_t *parse_json(const char *text)
{
	json_error_t error;
	expect_one_line(text);
	json_t *o = json_loads(text, 0, &error);
	cr_assert_not_null(o, "%s: %s", error.text, text);
	return o;
}

static void expect_json(struct log_field field, const char *want)
{
	json_t *o = parse_json(logged(LOG_JSON, field));
	const char *got = json_string_value(json_object_get(o, field.key));
	cr_expect(got && strcmp(got, want) == 0, "got %s instead of %s", got, want);
	cr_expect_str_eq(json_string_value(json_object_get(o, "level")), "info");
	cr_expect_str_eq(json_string_value(json_object_get(o, "prog")), "restante-test");
	cr_expect_str_eq(json_string_value(json_object_get(o, "msg")), "something happened");
	json_decref(o);
}

Test(log, line_begins_with_the_time)
{
	unsigned n[7];
	int used = 0;
	const char *text = logged(LOG_LOGFMT, LOG_INT("n", 1));
	cr_assert_eq(sscanf(text, "ts=%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &n[0], &n[1], &n[2], &n[3], &n[4],
			    &n[5], &n[6], &used), 7, "%s", text);
	cr_expect_eq(used, (int)strlen("ts=2026-01-02T03:04:05.678Z "));
}

Test(log, logfmt_fields)
{
	expect_field(LOG_STR("user", "alice"), "user=alice");
	expect_field(LOG_STR("user", NULL), "user=\"\"");
	expect_field(LOG_STR("user", ""), "user=\"\"");
	expect_field(LOG_INT("n", -5), "n=-5");
	expect_field(LOG_INT("n", INT64_MIN), "n=-9223372036854775808");
	expect_field(LOG_BYTES("b", "abcdef", 3), "b=abc");
	expect_field(LOG_BYTES("b", NULL, 0), "b=\"\"");
	expect_field(LOG_STR("user", "J\u00fcrgen"), "user=J\u00fcrgen");
	expect_field(LOG_STR("user", "\u5f20\u4f1f\U0001f600"), "user=\u5f20\u4f1f\U0001f600");
}

Test(log, logfmt_cannot_be_forged)
{
	expect_field(LOG_STR("user", "a b"), "user=\"a b\"");
	expect_field(LOG_STR("user", "a level=error"), "user=\"a level=error\"");
	expect_field(LOG_STR("user", "a=b"), "user=\"a=b\"");
	expect_field(LOG_STR("user", "\" admin=\"1"), "user=\"\\\" admin=\\\"1\"");
	expect_field(LOG_STR("user", "a\\"), "user=\"a\\\\\"");
	expect_field(LOG_STR("user", "a\nts=1"), "user=\"a\\u000ats=1\"");
	expect_field(LOG_STR("user", "a\r\t\x1b[2J\x7f"), "user=\"a\\u000d\\u0009\\u001b[2J\\u007f\"");
	expect_field(LOG_BYTES("b", "a\0b", 3), "b=\"a\\u0000b\"");
	expect_field(LOG_STR("user", "\xff\xc3"), "user=\"\\u00ff\\u00c3\"");
	expect_field(LOG_STR("user", "\xc0\x8a"), "user=\"\\u00c0\\u008a\"");       /* overlong newline */
	expect_field(LOG_STR("user", "a\xc2\x85" "b"), "user=\"a\\u0085b\"");         /* NEL */
	expect_field(LOG_STR("user", "a\u2028" "b"), "user=\"a\\u2028b\"");         /* line separator */
	expect_field(LOG_STR("user", "a\u202e" "b"), "user=\"a\\u202eb\"");         /* override */
	expect_field(LOG_STR("user", "%s%n"), "user=%s%n");
	expect_field(LOG_BYTES("b", "\xc3\xbc", 1), "b=\"\\u00c3\"");               /* cut inside */
}

Test(log, json_fields)
{
	static const char *const same[] = {"alice", "", "a b", "a\"b\\c/d", "a\nb\r\t", "\x01\x1f\x7f",
					   "J\u00fcrgen \u5f20\u4f1f \U0001f600", "a\xc2\x85\u2028\u202e",
					   "\",\"admin\":\"1", "}\n{\"level\":\"error\"}"};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		expect_json(LOG_STR("user", same[i]), same[i]);
	expect_json(LOG_STR("user", NULL), "");
	expect_json(LOG_STR("user", "\xff"), "\u00ff"); /* a byte that is not UTF-8 */
	json_t *o = parse_json(logged(LOG_JSON, LOG_INT("n", INT64_MAX)));
	cr_expect_eq(json_integer_value(json_object_get(o, "n")), INT64_MAX);
	json_decref(o);
}

Test(log, lines_below_the_level_are_not_written)
{
	begin(LOG_WARN, LOG_LOGFMT);
	log_debug("one");
	log_info("two", LOG_INT("n", 2));
	cr_expect_not(log_enabled(LOG_INFO));
	cr_expect(log_enabled(LOG_WARN));
	log_warn("three");
	log_error("four");
	const char *text = end();
	cr_expect_null(strstr(text, "one"));
	cr_expect_null(strstr(text, "two"));
	cr_expect_not_null(strstr(text, "level=warn prog=restante-test msg=three\n"));
	cr_expect_not_null(strstr(text, "level=error prog=restante-test msg=four\n"));
}

/* One value of `len` times `unit`, and a field after it. */
static const char *logged_long(enum log_format format, const char *unit, size_t len)
{
	static char value[16 * 1024];
	size_t used = 0, step = strlen(unit);
	for (size_t i = 0; i < len; i++, used += step)
		memcpy(value + used, unit, step);
	begin(LOG_INFO, format);
	log_info("long", LOG_BYTES("value", value, used), LOG_INT("after", 7));
	return end();
}

/* Wherever the cut falls, in a character, an escape or the next field. */
Test(log, an_overlong_line_stays_one_whole_line)
{
	static const char *const units[] = {"x", "\n", "\"", "\\", "\u00fc", "\U0001f600", "\xff", "a b"};
	for (size_t u = 0; u < sizeof units / sizeof *units; u++)
		for (size_t len = 100; len < 2200; len++) {
			const char *text = logged_long(LOG_LOGFMT, units[u], len);
			expect_one_line(text);
			cr_assert_leq(strlen(text), 2048);
			const char *value = strstr(text, " value=");
			cr_assert_not_null(value);
			if (value[7] == '"')
				cr_assert(strstr(value, "\"\n") || strstr(value, "\" after=7\n"), "%s", value);
			json_t *o = parse_json(logged_long(LOG_JSON, units[u], len));
			cr_assert_leq(strlen(captured), 2048);
			cr_assert_not_null(json_object_get(o, "value"));
			json_decref(o);
		}
}

Test(log, many_fields_that_do_not_fit)
{
	struct log_field fields[400];
	for (size_t i = 0; i < 399; i++)
		fields[i] = i % 2 ? LOG_INT("number", 1000000007) : LOG_STR("text", "a \u00fc b");
	fields[399] = (struct log_field){.kind = LOG_KIND_END};
	for (size_t first = 0; first < 399; first++) {
		begin(LOG_INFO, LOG_LOGFMT);
		log_emit(LOG_INFO, "many", fields + first);
		expect_one_line(end());
	}
}

Test(log, names_of_levels_and_formats)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	enum log_level level;
	enum log_format format;
	for (int i = 0; i < 4; i++) {
		cr_expect_eq(log_level_parse(levels[i], &level), RS_OK);
		cr_expect_eq((int)level, i);
	}
	cr_expect_eq(log_level_parse("INFO", &level), RS_EINVAL);
	cr_expect_eq(log_level_parse("", &level), RS_EINVAL);
	cr_expect_eq(log_format_parse("logfmt", &format), RS_OK);
	cr_expect_eq(format, LOG_LOGFMT);
	cr_expect_eq(log_format_parse("json", &format), RS_OK);
	cr_expect_eq(format, LOG_JSON);
	cr_expect_eq(log_format_parse("xml", &format), RS_EINVAL);
}
