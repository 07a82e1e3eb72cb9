/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a text that a program gave is what a document shows, but for what differs
 * from run to run: message ids (26 characters), times (13 digits), and places in a
 * stream (a time, "-", a number). An id or a place in the document stands for the same
 * one of the run wherever it comes again, and two of them never for the same. */
#ifndef SUPPORT_LIKENESS_H
#define SUPPORT_LIKENESS_H

#include <stdbool.h>
#include <stddef.h>

#define LIKENESS_WORD_MAX 40
#define LIKENESS_PAIRS_MAX 256

struct likeness {
	struct likeness_pair {
		char shown[LIKENESS_WORD_MAX], given[LIKENESS_WORD_MAX];
	} pair[LIKENESS_PAIRS_MAX];
	size_t count;
	bool numbers_differ; /* any number is like any other; to be set for a while */
};

/* Compares word by word. Ids that are met for the first time are remembered. */
bool likeness_holds(struct likeness *l, const char *shown, const char *given);
/* A text of the document with what the run has in place of its ids; those never met stay.
 * The caller frees it. */
char *likeness_translate(const struct likeness *l, const char *shown);

#endif
