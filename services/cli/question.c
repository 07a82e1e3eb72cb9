/* SPDX-License-Identifier: Apache-2.0 */
#include "question.h"

#include "command.h"
#include "output.h"
#include "say.h"
#include "textclient.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_time(const char *const *times, const char *name, size_t len)
{
	for (; times && *times; times++)
		if (strlen(*times) == len && memcmp(*times, name, len) == 0)
			return true;
	return false;
}

/* "name value"; the first line is "OK 200". */
static void print(const struct text_answer *a, const char *const *times)
{
	const char *end = a->text + a->len;
	for (const char *line = a->text + strlen(a->text) + 1; line < end; line += strlen(line) + 1) {
		size_t name_len = strcspn(line, " ");
		char time[OUTPUT_TIME_MAX];
		if (!*line)
			continue; /* each line ends in two NULs */
		if (is_time(times, line, name_len) && line[name_len])
			printf("%.*s %s\n", (int)name_len, line,
			       output_time(strtoull(line + name_len + 1, NULL, 10), time));
		else
			printf("%s\n", line);
	}
}

static int ask(const struct settings *s, const char *const *times, int missing_code, const struct buf *request)
{
	struct textclient t;
	struct text_answer answer;
	int code = EXIT_FAILED;
	textclient_init(&t, s, false);
	if (textclient_open(&t) == RS_OK) {
		int err = textclient_ask(&t, request, &answer);
		const char *reason = text_answer_value(&answer, "reason");
		if (err == RS_EREMOTE)
			say("the DC refuses: %u %s", answer.code, reason ? reason : "");
		if (err == RS_EREMOTE && answer.code == 404)
			code = missing_code;
		if (!err) {
			print(&answer, times);
			code = EXIT_DONE;
		}
	}
	textclient_close(&t);
	return code;
}

int question_ask(const struct settings *s, const char *const *times, int missing_code, const char *fmt, ...)
{
	char text[512];
	struct buf request = {0};
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	int code = EXIT_FAILED;
	if (len < 0 || (size_t)len >= sizeof text || buf_append(&request, text, (size_t)len))
		say("the request is too long");
	else
		code = ask(s, times, missing_code, &request);
	buf_deinit(&request);
	return code;
}
