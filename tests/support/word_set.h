/* SPDX-License-Identifier: Apache-2.0 */
/* A set of short texts, in the order in which they came. All zeros: empty. */
#ifndef SUPPORT_WORD_SET_H
#define SUPPORT_WORD_SET_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { WORD_SET_MAX = 512, WORD_SET_TEXT = 128 };

struct word_set {
	char at[WORD_SET_MAX][WORD_SET_TEXT];
	size_t count;
};

/* Adds a text that is not there yet. */
void word_set_add(struct word_set *s, const char *fmt, ...) RS_PRINTF(2, 3);
bool word_set_has(const struct word_set *s, const char *text);

#endif
