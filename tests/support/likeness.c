/* SPDX-License-Identifier: Apache-2.0 */
#include "support/likeness.h"

#include "base/buf.h"
#include "base/ulid.h"

#include <criterion/criterion.h>
#include <string.h>

enum { TIME_DIGITS = 13 };
static const char ends[] = " \n,;:()";

static size_t digits(const char *word, size_t len)
{
	size_t n = 0;
	while (n < len && word[n] >= '0' && word[n] <= '9')
		n++;
	return n;
}

static bool is_time(const char *word, size_t len) { return len == TIME_DIGITS && digits(word, len) == len; }

static bool is_place(const char *word, size_t len)
{
	return len > TIME_DIGITS + 1 && digits(word, len) == TIME_DIGITS && word[TIME_DIGITS] == '-' &&
	       digits(word + TIME_DIGITS + 1, len - TIME_DIGITS - 1) == len - TIME_DIGITS - 1;
}

static bool is_id(const char *word, size_t len)
{
	struct ulid id;
	return len == ULID_TEXT && ulid_parse(word, &id) == RS_OK;
}

static bool is_word(const char *is, const char *word, size_t len)
{
	return strlen(is) == len && memcmp(is, word, len) == 0;
}

static bool remember(struct likeness *l, const char *shown, size_t shown_len, const char *given, size_t given_len)
{
	for (size_t i = 0; i < l->count; i++) {
		bool one = is_word(l->pair[i].shown, shown, shown_len), other = is_word(l->pair[i].given, given, given_len);
		if (one || other)
			return one && other;
	}
	cr_assert(l->count < LIKENESS_PAIRS_MAX && shown_len < LIKENESS_WORD_MAX && given_len < LIKENESS_WORD_MAX);
	struct likeness_pair *p = &l->pair[l->count++];
	*p = (struct likeness_pair){0};
	memcpy(p->shown, shown, shown_len);
	memcpy(p->given, given, given_len);
	return true;
}

static bool word_holds(struct likeness *l, const char *shown, size_t shown_len, const char *given, size_t given_len)
{
	if (is_time(shown, shown_len))
		return is_time(given, given_len);
	if ((is_id(shown, shown_len) && is_id(given, given_len)) ||
	    (is_place(shown, shown_len) && is_place(given, given_len)))
		return remember(l, shown, shown_len, given, given_len);
	if (l->numbers_differ && shown_len && given_len && digits(shown, shown_len) == shown_len)
		return digits(given, given_len) == given_len;
	return shown_len == given_len && memcmp(shown, given, shown_len) == 0;
}

bool likeness_holds(struct likeness *l, const char *shown, const char *given)
{
	for (;;) {
		size_t one = strcspn(shown, ends), other = strcspn(given, ends);
		if (!word_holds(l, shown, one, given, other) || shown[one] != given[other])
			return false;
		if (!shown[one])
			return true;
		shown += one + 1;
		given += other + 1;
	}
}

char *likeness_translate(const struct likeness *l, const char *shown)
{
	struct buf b = {0};
	for (size_t len; *shown; shown += len) {
		len = strcspn(shown, ends);
		const char *word = NULL;
		for (size_t i = 0; i < l->count && !word; i++)
			if (is_word(l->pair[i].shown, shown, len))
				word = l->pair[i].given;
		cr_assert_eq(buf_append(&b, word ? word : shown, word ? strlen(word) : len), RS_OK);
		if (shown[len])
			cr_assert_eq(buf_append(&b, shown + len++, 1), RS_OK);
	}
	char *text = strndup(buf_len(&b) ? (const char *)buf_head(&b) : "", buf_len(&b));
	buf_deinit(&b);
	return text;
}
