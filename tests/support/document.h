/* SPDX-License-Identifier: Apache-2.0 */
/* A Markdown document as a test reads it that compares it with the program: its
 * headings, the rows of its tables, its fenced blocks, and comments of the form
 * <!-- replay: ... -->, which nobody sees who reads the page. All in their order.
 *
 *   struct document d;
 *   document_read(&d, "docs/app-protocol.md");
 *   for (size_t i = 0; i < d.count; i++) ... d.parts[i] ...
 *   document_free(&d); */
#ifndef SUPPORT_DOCUMENT_H
#define SUPPORT_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#define DOC_WORD_MAX 128

enum doc_kind { DOC_HEADING, DOC_ROW, DOC_BLOCK, DOC_REPLAY };

struct doc_part {
	enum doc_kind kind;
	unsigned line;   /* of its text, from 1 */
	unsigned level;  /* DOC_HEADING: how many # */
	char *text;      /* without #, fences, comment marks; a row from | to | */
	char *language;  /* DOC_BLOCK: what stands behind the first fence, "" if nothing */
};

struct document {
	const char *path; /* borrowed */
	struct doc_part *parts;
	size_t count;
};

/* A path in the source folder. A failure ends the test with a message. */
void document_read(struct document *d, const char *path);
void document_free(struct document *d);

/* The cell at that place of a row, from 0, without the spaces around it. False: the
 * row has no such cell. */
bool doc_cell(const struct doc_part *row, size_t at, char *out, size_t cap);
/* Gives out the next `word` in backticks of a cell, and moves *at behind it. */
bool doc_next_code(const char **at, char out[DOC_WORD_MAX]);

#endif
