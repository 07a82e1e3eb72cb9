/* SPDX-License-Identifier: Apache-2.0 */
#include "support/document.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char fence[] = "```", comment[] = "<!-- replay:";

static struct doc_part *add_part(struct document *d, enum doc_kind kind, unsigned line, const char *text, size_t len)
{
	struct doc_part *more = realloc(d->parts, (d->count + 1) * sizeof *more);
	cr_assert_not_null(more);
	d->parts = more;
	more += d->count++;
	*more = (struct doc_part){.kind = kind, .line = line, .text = strndup(text, len), .language = strdup("")};
	cr_assert(more->text && more->language);
	return more;
}

static void add_heading(struct document *d, unsigned line, const char *text, size_t len)
{
	size_t level = strspn(text, "#");
	size_t skip = level + strspn(text + level, " ");
	add_part(d, DOC_HEADING, line, text + skip, len - skip)->level = (unsigned)level;
}

static void add_replay(struct document *d, unsigned line, const char *text, size_t len)
{
	const char *from = text + sizeof comment - 1, *end = memmem(text, len, "-->", 3);
	cr_assert_not_null(end, "%s:%u: the comment must end on its line", d->path, line);
	from += strspn(from, " ");
	while (end > from && end[-1] == ' ')
		end--;
	add_part(d, DOC_REPLAY, line, from, (size_t)(end - from));
}

/* From the line of the opening fence; returns where the line after the closing one begins. */
static const char *add_block(struct document *d, unsigned *line, const char *text, size_t len)
{
	const char *body = text + len + 1, *end = strstr(body, "\n```\n");
	cr_assert_not_null(end, "%s:%u: the block has no end", d->path, *line);
	struct doc_part *p = add_part(d, DOC_BLOCK, *line + 1, body, (size_t)(end + 1 - body));
	free(p->language);
	p->language = strndup(text + sizeof fence - 1, len - (sizeof fence - 1));
	for (const char *at = text; at < end + 5; at++)
		*line += *at == '\n';
	return end + 5;
}

static void take_lines(struct document *d, const char *at)
{
	for (unsigned line = 1; *at; ) {
		size_t len = strcspn(at, "\n");
		if (strncmp(at, fence, sizeof fence - 1) == 0) {
			at = add_block(d, &line, at, len);
			continue;
		}
		if (*at == '#')
			add_heading(d, line, at, len);
		else if (*at == '|')
			add_part(d, DOC_ROW, line, at, len);
		else if (strncmp(at, comment, sizeof comment - 1) == 0)
			add_replay(d, line, at, len);
		at += len + (at[len] == '\n');
		line++;
	}
}

void document_read(struct document *d, const char *path)
{
	enum { TEXT_MAX = 1 << 20 };
	char whole[512], *text = malloc(TEXT_MAX);
	snprintf(whole, sizeof whole, "%s/%s", RESTANTE_SOURCE_DIR, path);
	FILE *f = fopen(whole, "re");
	cr_assert(f && text, "%s: %s", whole, strerror(errno));
	size_t len = fread(text, 1, TEXT_MAX - 1, f);
	fclose(f);
	cr_assert(len > 0 && len < TEXT_MAX - 1, "%s", whole);
	text[len] = '\0';
	*d = (struct document){.path = path};
	take_lines(d, text);
	free(text);
}

void document_free(struct document *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->parts[i].text);
		free(d->parts[i].language);
	}
	free(d->parts);
	*d = (struct document){0};
}

bool doc_cell(const struct doc_part *row, size_t at, char *out, size_t cap)
{
	const char *from = row->text;
	for (size_t i = 0; i <= at; i++, from++)
		if (!(from = strchr(from, '|')))
			return false;
	const char *end = strchr(from, '|');
	if (!end)
		return false;
	from += strspn(from, " ");
	while (end > from && end[-1] == ' ')
		end--;
	snprintf(out, cap, "%.*s", end > from ? (int)(end - from) : 0, from);
	return true;
}

bool doc_next_code(const char **at, char out[DOC_WORD_MAX])
{
	const char *from = strchr(*at, '`'), *end = from ? strchr(from + 1, '`') : NULL;
	if (!end)
		return false;
	snprintf(out, DOC_WORD_MAX, "%.*s", (int)(end - from - 1), from + 1);
	*at = end + 1;
	return true;
}
