/* SPDX-License-Identifier: Apache-2.0 */
#include "resp.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MAX = 4 };

size_t resp_sane(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t n = 1;
		while (data[i] == '*' && i + n < len && data[i + n] != '\r' && n <= DIGITS_MAX + 1)
			n++;
		if (n > DIGITS_MAX + 1)
			return i;
	}
	return len;
}

/* ---- from words ---- */

struct word {
	const char *at;
	size_t len;
};

static bool next_word(const char **at, struct word *w)
{
	*at += strspn(*at, " ");
	*w = (struct word){*at, strcspn(*at, " ")};
	*at += w->len;
	return w->len > 0;
}

static bool is(struct word w, const char *text) { return w.len == strlen(text) && memcmp(w.at, text, w.len) == 0; }

/* Elements up to the ] that ends this array. */
static size_t count_elements(const char *at)
{
	struct word w;
	size_t n = 0, depth = 0;
	while (next_word(&at, &w)) {
		if (is(w, "]")) {
			if (depth-- == 0)
				break;
			continue;
		}
		n += depth == 0;
		depth += is(w, "[");
	}
	return n;
}

static int put_string(struct word w, char *out, size_t cap)
{
	if (is(w, "''"))
		w.len = 0;
	int head = snprintf(out, cap, "$%zu\r\n", w.len), all = head;
	all += snprintf(out + head, cap - (size_t)head, "%.*s\r\n", (int)w.len, w.at);
	for (char *p = out + head; p < out + all - 2 && (size_t)all < cap; p++)
		*p = *p == '_' ? ' ' : *p == '~' ? '\n' : *p;
	return all;
}

size_t resp_of(const char *words, char *out, size_t cap)
{
	struct word w;
	size_t len = 0;
	for (int n = 0; next_word(&words, &w); len += (size_t)n) {
		char *to = out + len;
		size_t room = cap - len;
		if (is(w, "["))
			n = snprintf(to, room, "*%zu\r\n", count_elements(words));
		else if (is(w, "]"))
			n = 0;
		else if (is(w, "-"))
			n = snprintf(to, room, "$-1\r\n");
		else if (*w.at == ':')
			n = snprintf(to, room, "%.*s\r\n", (int)w.len, w.at);
		else if (*w.at == '!')
			n = snprintf(to, room, "-ERR %.*s\r\n", (int)w.len - 1, w.at + 1);
		else
			n = put_string(w, to, room);
		if (n < 0 || (size_t)n >= room)
			abort();
	}
	return len;
}
