/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *output_time(uint64_t wall_ms, char out[OUTPUT_TIME_MAX])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	char text[24];
	if (wall_ms == 0 || !gmtime_r(&seconds, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		snprintf(out, OUTPUT_TIME_MAX, "-");
	else
		snprintf(out, OUTPUT_TIME_MAX, "%s.%03uZ", text, (unsigned)(wall_ms % 1000));
	return out;
}

void output_record(const struct record *r)
{
	char id[ULID_TEXT + 1], sent[OUTPUT_TIME_MAX], expires[OUTPUT_TIME_MAX];
	printf("%s %.*s %s %s %zu %.*s %s\n", ulid_format(&r->id, id), (int)r->app_len, r->app,
	       output_time(r->sent_ms, sent), output_time(r->expires_ms, expires),
	       r->body_elsewhere ? r->elsewhere_len : r->body_len,
	       r->app_id_len ? (int)r->app_id_len : 1, r->app_id_len ? r->app_id : "-",
	       priority_words[r->priority]);
}

int output_json(json_t *object)
{
	char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int failed = !line || puts(line) < 0 || fflush(stdout) != 0;
	free(line);
	json_decref(object);
	return failed;
}

static bool is_text(const uint8_t *body, size_t len)
{
	uint32_t cp;
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_next(body + i, len - i, &cp);
		if (n == 0 || cp == 0)
			return false;
	}
	return true;
}

/* RFC 4648, 4. The caller frees. */
static char *base64(const uint8_t *data, size_t len)
{
	static const char sign[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = malloc((len + 2) / 3 * 4 + 1), *at = out;
	for (size_t i = 0; out && i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
			     (left > 2 ? data[i + 2] : 0);
		*at++ = sign[v >> 18];
		*at++ = sign[v >> 12 & 63];
		*at++ = left > 1 ? sign[v >> 6 & 63] : '=';
		*at++ = left > 2 ? sign[v & 63] : '=';
	}
	if (out)
		*at = '\0';
	return out;
}

int output_json_body(json_t *object, const void *body, size_t len)
{
	if (is_text(body, len))
		return json_object_set_new(object, "body", json_stringn(len ? body : "", len));
	char *text = base64(body, len);
	int failed = json_object_set_new(object, "body_base64", text ? json_string(text) : NULL);
	free(text);
	return failed;
}
