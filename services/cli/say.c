/* SPDX-License-Identifier: Apache-2.0 */
#include "say.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void say(const char *fmt, ...)
{
	char text[SAY_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	utf8_mend_end(text);
	fprintf(stderr, "restante: %s\n", text);
}

const char *say_word(const char *word, char out[SAY_WORD_MAX])
{
	size_t len = strlen(word), at = 0, n;
	for (size_t i = 0; i < len; i += n) {
		uint32_t cp = 0;
		n = utf8_next((const uint8_t *)word + i, len - i, &cp);
		bool good = n > 0 && !utf8_is_control(cp);
		if (n == 0)
			n = 1;
		if (at + (good ? n : 1) > SAY_WORD_MAX - 4) {
			memcpy(out + at, "...", 3);
			at += 3;
			break;
		}
		memcpy(out + at, good ? word + i : "?", good ? n : 1);
		at += good ? n : 1;
	}
	out[at] = '\0';
	return out;
}
