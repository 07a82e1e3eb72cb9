/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/record.h"

#include "wire/cursor.h"

#include <stdio.h>
#include <string.h>

const char *const priority_words[PRIORITIES] = {
	[PRIORITY_NORMAL] = "normal", [PRIORITY_HIGH] = "high", [PRIORITY_LOW] = "low",
};
const enum priority priority_first_to_last[PRIORITIES] = {PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW};

enum { TIME_DIGITS = 13 };
#define TIME_MAX 9999999999999u /* the year 2286 */

/* "-" stands for "none" and so cannot be an id. */
static bool is_none(const char *app_id, size_t len) { return len == 1 && app_id[0] == '-'; }

static bool is_name_or_none(const char *name, size_t len) { return len == 0 || !name_fault(name, len); }

static bool is_well_formed(const struct record *r)
{
	return !name_fault(r->app, r->app_len) && is_name_or_none(r->app_id, r->app_id_len) &&
	       !is_none(r->app_id, r->app_id_len) && is_name_or_none(r->collapse, r->collapse_len) &&
	       is_name_or_none(r->topic, r->topic_len) && r->sent_ms <= TIME_MAX && r->expires_ms <= TIME_MAX &&
	       (r->body_elsewhere || r->elsewhere_len == 0);
}

static void write_word(struct writer *w, const char *lead, const char *word, size_t len)
{
	write_bytes(w, lead, strlen(lead));
	write_bytes(w, word, len);
}

static void write_time(struct writer *w, uint64_t ms)
{
	char text[TIME_DIGITS + 2];
	snprintf(text, sizeof text, " %0*llu", TIME_DIGITS, (unsigned long long)ms);
	write_bytes(w, text, TIME_DIGITS + 1);
}

static void write_elsewhere(struct writer *w, size_t bytes)
{
	char text[16];
	if (bytes)
		write_bytes(w, text, (size_t)snprintf(text, sizeof text, " f=%u", (unsigned)bytes));
	else
		write_word(w, " f", "", 0);
}

static void write_tokens(struct writer *w, const struct record *r)
{
	static const char *const priority[] = {"", " p=high", " p=low"};
	write_word(w, priority[r->priority], "", 0);
	if (r->collapse_len)
		write_word(w, " c=", r->collapse, r->collapse_len);
	if (r->topic_len)
		write_word(w, " t=", r->topic, r->topic_len);
	write_word(w, r->receipt ? " r" : "", "", 0);
	if (r->body_elsewhere)
		write_elsewhere(w, r->elsewhere_len);
}

int record_format(const struct record *r, uint8_t *out, size_t cap)
{
	struct writer w = writer_over(out, cap);
	char id[ULID_TEXT + 1];
	if (!is_well_formed(r))
		return RS_EINVAL;
	if (r->body_len > RECORD_BODY_MAX || r->elsewhere_len > RECORD_BODY_MAX)
		return RS_ELIMIT;
	write_word(&w, "", ulid_format(&r->id, id), ULID_TEXT);
	write_word(&w, " ", r->app, r->app_len);
	write_time(&w, r->sent_ms);
	write_time(&w, r->expires_ms);
	write_word(&w, " ", r->app_id_len ? r->app_id : "-", r->app_id_len ? r->app_id_len : 1);
	write_tokens(&w, r);
	write_word(&w, "\n", (const char *)r->body, r->body_len);
	return w.failed ? RS_ELIMIT : (int)writer_len(&w);
}

/* The next word of a header line that ends at `end`; a space follows it. */
static const char *take_word(const char **at, const char *end, size_t *len)
{
	const char *word = *at;
	const char *p = memchr(word, ' ', (size_t)(end - word));
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

static bool is_word(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(at, word, len) == 0;
}

/* "c=key": lead and a name. */
static bool take_named(const char *at, size_t len, const char *lead, const char **name, size_t *name_len)
{
	size_t n = strlen(lead);
	if (len <= n || memcmp(at, lead, n) != 0 || name_fault(at + n, len - n))
		return false;
	*name = at + n;
	*name_len = len - n;
	return true;
}

/* "f", or "f=" and a number from 1 on, as write_elsewhere() writes it. */
static bool take_elsewhere(const char *at, size_t len, size_t *bytes)
{
	enum { DIGITS_MAX = 5 };
	size_t v = 0;
	if (is_word(at, len, "f"))
		return true;
	if (len < 3 || len > 2 + DIGITS_MAX || memcmp(at, "f=", 2) != 0 || at[2] == '0')
		return false;
	for (size_t i = 2; i < len; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		v = v * 10 + (size_t)(at[i] - '0');
	}
	*bytes = v;
	return v <= RECORD_BODY_MAX;
}

/* One of the words after the App's id: its place in their order, 0 if it is none. */
static int parse_token(const char *at, size_t len, struct record *r)
{
	if (is_word(at, len, "p=high") || is_word(at, len, "p=low")) {
		r->priority = at[2] == 'h' ? PRIORITY_HIGH : PRIORITY_LOW;
		return 1;
	}
	if (take_named(at, len, "c=", &r->collapse, &r->collapse_len))
		return 2;
	if (take_named(at, len, "t=", &r->topic, &r->topic_len))
		return 3;
	if (is_word(at, len, "r")) {
		r->receipt = true;
		return 4;
	}
	if (take_elsewhere(at, len, &r->elsewhere_len)) {
		r->body_elsewhere = true;
		return 5;
	}
	return 0;
}

/* Up to the newline; each at most once. */
static int parse_tokens(const char *at, const char *end, struct record *r)
{
	int last = 0;
	for (size_t n; at < end; at += n + 1) {
		const char *stop = memchr(at, ' ', (size_t)(end - at));
		n = (size_t)((stop ? stop : end) - at);
		int place = parse_token(at, n, r);
		if (place <= last)
			return RS_EINVAL;
		last = place;
	}
	return at == end + 1 ? RS_OK : RS_EINVAL; /* no space before the newline */
}

/* The App's id, and behind it the words there are. `end`: the newline. */
static int parse_rest(const char *at, const char *end, struct record *r)
{
	const char *space = memchr(at, ' ', (size_t)(end - at));
	const char *stop = space ? space : end;
	r->app_id = at;
	r->app_id_len = (size_t)(stop - at);
	if (name_fault(r->app_id, r->app_id_len))
		return RS_EINVAL;
	if (is_none(r->app_id, r->app_id_len))
		r->app_id_len = 0;
	return space ? parse_tokens(space + 1, end, r) : RS_OK;
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
	const char *word = take_word(&at, end, &n);
	if (!word || n != ULID_TEXT || ulid_parse(word, &r.id))
		return RS_EINVAL;
	r.app = take_word(&at, end, &r.app_len);
	if (!r.app || name_fault(r.app, r.app_len))
		return RS_EINVAL;
	word = take_word(&at, end, &n);
	if (parse_time(word, n, &r.sent_ms))
		return RS_EINVAL;
	word = take_word(&at, end, &n);
	if (parse_time(word, n, &r.expires_ms))
		return RS_EINVAL;
	if (parse_rest(at, line, &r))
		return RS_EINVAL;
	r.body = (const uint8_t *)end;
	r.body_len = len - (size_t)(end - (const char *)data);
	if (r.body_len > RECORD_BODY_MAX)
		return RS_ELIMIT;
	*out = r;
	return RS_OK;
}
