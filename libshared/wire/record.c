/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/record.h"

#include <stdio.h>
#include <string.h>

enum { TIME_DIGITS = 13 };
#define TIME_MAX 9999999999999u /* the year 2286 */

/* "-" stands for "none" and so cannot be an id. */
static bool is_none(const char *app_id, size_t len) { return len == 1 && app_id[0] == '-'; }

int record_format(const struct record *r, uint8_t *out, size_t cap)
{
	char head[RECORD_HEADER_MAX + 1], id[ULID_TEXT + 1];
	bool named = r->app_id_len > 0;
	if (name_fault(r->app, r->app_len))
		return RS_EINVAL;
	if (named && (name_fault(r->app_id, r->app_id_len) || is_none(r->app_id, r->app_id_len)))
		return RS_EINVAL;
	if (r->sent_ms > TIME_MAX || r->expires_ms > TIME_MAX)
		return RS_EINVAL;
	int len = snprintf(head, sizeof head, "%s %.*s %013llu %013llu %.*s\n", ulid_format(&r->id, id),
			   (int)r->app_len, r->app, (unsigned long long)r->sent_ms,
			   (unsigned long long)r->expires_ms, named ? (int)r->app_id_len : 1,
			   named ? r->app_id : "-");
	if (len < 0 || (size_t)len >= sizeof head)
		return RS_EINVAL;
	if (r->body_len > RECORD_BODY_MAX || (size_t)len + r->body_len > cap)
		return RS_ELIMIT;
	memcpy(out, head, (size_t)len);
	if (r->body_len)
		memcpy(out + len, r->body, r->body_len);
	return len + (int)r->body_len;
}

/* The next word of a header line that ends at `end`; `stop` follows it. */
static const char *take_word(const char **at, const char *end, char stop, size_t *len)
{
	const char *word = *at;
	const char *p = memchr(word, stop, (size_t)(end - word));
	if (!p || p == word)
		return NULL;
	*len = (size_t)(p - word);
	*at = p + 1;
	return word;
}

static int parse_time(const char *word, size_t len, uint64_t *out)
{
	if (!word || len != TIME_DIGITS)
		return RS_EINVAL;
	uint64_t v = 0;
	for (size_t i = 0; i < len; i++) {
		if (word[i] < '0' || word[i] > '9')
			return RS_EINVAL;
		v = v * 10 + (uint64_t)(word[i] - '0');
	}
	*out = v;
	return RS_OK;
}

int record_parse(const void *data, size_t len, struct record *out)
{
	const char *at = data;
	const char *line = len ? memchr(at, '\n', len < RECORD_HEADER_MAX ? len : RECORD_HEADER_MAX) : NULL;
	if (!line)
		return RS_EINVAL;
	const char *end = line + 1;
	struct record r = {0};
	size_t n;
	const char *word = take_word(&at, end, ' ', &n);
	if (!word || n != ULID_TEXT || ulid_parse(word, &r.id))
		return RS_EINVAL;
	r.app = take_word(&at, end, ' ', &r.app_len);
	if (!r.app || name_fault(r.app, r.app_len))
		return RS_EINVAL;
	word = take_word(&at, end, ' ', &n);
	if (parse_time(word, n, &r.sent_ms))
		return RS_EINVAL;
	word = take_word(&at, end, ' ', &n);
	if (parse_time(word, n, &r.expires_ms))
		return RS_EINVAL;
	r.app_id = take_word(&at, end, '\n', &r.app_id_len);
	if (!r.app_id || name_fault(r.app_id, r.app_id_len))
		return RS_EINVAL;
	if (is_none(r.app_id, r.app_id_len))
		r.app_id_len = 0;
	r.body = (const uint8_t *)end;
	r.body_len = len - (size_t)(end - (const char *)data);
	if (r.body_len > RECORD_BODY_MAX)
		return RS_ELIMIT;
	*out = r;
	return RS_OK;
}
