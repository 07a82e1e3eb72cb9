/* SPDX-License-Identifier: Apache-2.0 */
#include "support/word_set.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool word_set_has(const struct word_set *s, const char *text)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->at[i], text) == 0)
			return true;
	return false;
}

void word_set_add(struct word_set *s, const char *fmt, ...)
{
	char text[WORD_SET_TEXT];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	cr_assert(len > 0 && len < WORD_SET_TEXT && s->count < WORD_SET_MAX, "%s", text);
	if (!word_set_has(s, text))
		memcpy(s->at[s->count++], text, sizeof text);
}
