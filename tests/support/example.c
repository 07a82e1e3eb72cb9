/* SPDX-License-Identifier: Apache-2.0 */
#include "support/example.h"

#include "base/buf.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 512, LINE_BYTES_MAX = 1024, NO_ANSWER = LINE_BYTES_MAX };

static const char closed[] = "(closed)";

/* ---- lines ---- */

/* A text that is taken apart from its front; `line` is where it stands in the document. */
struct cursor {
	const char *at;
	unsigned line;
};

static void next_line(struct cursor *c, char out[LINE_BYTES_MAX])
{
	size_t len = strcspn(c->at, "\n");
	snprintf(out, LINE_BYTES_MAX, "%.*s", (int)len, c->at);
	c->at += len + (c->at[len] == '\n');
	c->line++;
}

static void skip_empty_lines(struct cursor *c)
{
	for (; *c->at == '\n'; c->at++)
		c->line++;
}

static void append(struct buf *b, const char *text)
{
	cr_assert_eq(buf_append(b, text, strlen(text)), RS_OK);
}

static char *take_text(struct buf *b)
{
	char *text = strndup(buf_len(b) ? (const char *)buf_head(b) : "", buf_len(b));
	cr_assert_not_null(text);
	buf_deinit(b);
	return text;
}

/* ---- one request or answer ---- */

void example_value(const char *header, const char *name, char *out, size_t cap)
{
	size_t len = strlen(name);
	out[0] = '\0';
	for (const char *at = header; at && *at; at = strchr(at, '\n'), at += at != NULL)
		if (strncmp(at, name, len) == 0 && at[len] == ' ')
			snprintf(out, cap, "%.*s", (int)strcspn(at + len + 1, "\n"), at + len + 1);
}

/* "..." after "x-1 a" and before "x-9 a": the lines between. */
static void expand(struct buf *b, const char *before, const char *after)
{
	char name[LINE_BYTES_MAX], value[LINE_BYTES_MAX], line[2 * LINE_BYTES_MAX + 32];
	unsigned first, last;
	const char *dash = strchr(before, '-');
	cr_assert(dash && sscanf(dash, "-%u %1023s", &first, value) == 2 && sscanf(after, "%*[^-]-%u", &last) == 1,
		  "... must stand between numbered fields");
	snprintf(name, sizeof name, "%.*s", (int)(dash - before), before);
	for (unsigned i = first + 1; i < last; i++) {
		snprintf(line, sizeof line, "%s-%u %s\n", name, i, value);
		append(b, line);
	}
}

static char *take_header(struct cursor *c)
{
	char before[LINE_BYTES_MAX] = "", line[LINE_BYTES_MAX];
	struct buf b = {0};
	while (*c->at && *c->at != '\n') {
		next_line(c, line);
		if (strcmp(line, "...") == 0) {
			expand(&b, before, c->at);
			continue;
		}
		append(&b, line);
		append(&b, "\n");
		memcpy(before, line, sizeof before);
	}
	return take_text(&b);
}

/* Up to the end of its last line in any case: a body need not end in a newline. */
static void take_body(struct cursor *c, struct example_text *t)
{
	size_t there = strlen(c->at);
	t->body_len = t->length < there ? t->length : there;
	t->body = strndup(c->at, t->body_len);
	for (size_t i = 0; i < t->body_len; i++)
		c->line += c->at[i] == '\n';
	c->at += t->body_len;
	t->excess = t->body_len && *c->at && c->at[-1] != '\n' && *c->at != '\n';
	if (*c->at == '\n' && t->body_len) {
		c->at++;
		c->line++;
	}
}

static struct example_text take_example_text(struct cursor *c)
{
	char length[LINE_BYTES_MAX];
	struct example_text t = {.line = c->line, .header = take_header(c)};
	example_value(t.header, "length", length, sizeof length);
	t.length = (size_t)strtoul(length, NULL, 10);
	if (*c->at == '\n') { /* the empty line */
		c->at++;
		c->line++;
	}
	take_body(c, &t);
	return t;
}

/* ---- blocks ---- */

/* Where in a line an answer begins; NO_ANSWER: not here. */
static size_t answer_column(const char *line)
{
	size_t len = strlen(line), word = len;
	if (len < 6 || !isdigit((unsigned char)line[len - 1]) || !isdigit((unsigned char)line[len - 3]))
		return NO_ANSWER;
	if (strncmp(line + len - 6, "OK ", 3) == 0)
		word = len - 6;
	else if (len >= 7 && strncmp(line + len - 7, "ERR ", 4) == 0)
		word = len - 7;
	else
		return NO_ANSWER;
	return word >= 2 && line[word - 1] == ' ' && line[word - 2] == ' ' ? word : NO_ANSWER;
}

/* "PRESENCE 1", and nothing else but spaces before it: what a stream brings. */
static bool begins_stream(const char *line)
{
	size_t spaces = strspn(line, " "), word = strspn(line + spaces, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
	return word > 1 && strcspn(line + spaces + word, "\n") == 2 && strncmp(line + spaces + word, " 1", 2) == 0;
}

size_t examples_expected(const struct doc_part *block)
{
	size_t answers = 0, streamed = 0;
	for (const char *at = block->text; *at; at++) {
		answers += (strncmp(at, "OK ", 3) == 0 && isdigit((unsigned char)at[3])) ||
			   (strncmp(at, "ERR ", 4) == 0 && isdigit((unsigned char)at[4]));
		streamed += (at == block->text || at[-1] == '\n') && begins_stream(at);
	}
	return answers ? answers : streamed;
}

static struct example *add_example(struct examples *out)
{
	struct example *more = realloc(out->at, (out->count + 1) * sizeof *more);
	cr_assert_not_null(more);
	out->at = more;
	more += out->count++;
	*more = (struct example){.closes = false};
	return more;
}

static bool take_closed(struct cursor *c)
{
	char line[LINE_BYTES_MAX];
	skip_empty_lines(c);
	if (strncmp(c->at, closed, sizeof closed - 1) != 0)
		return false;
	next_line(c, line);
	skip_empty_lines(c);
	return true;
}

static void read_typed(struct examples *out, const struct doc_part *block)
{
	char line[LINE_BYTES_MAX];
	struct cursor c = {block->text, block->line};
	next_line(&c, line);
	out->typed = true;
	while (skip_empty_lines(&c), *c.at) {
		struct example *e = add_example(out);
		e->request = take_example_text(&c);
		e->answer = take_example_text(&c);
		e->closes = take_closed(&c);
	}
}

/* What stands left or right of the column in some lines, without spaces at the ends. */
static char *column_text(char (*lines)[LINE_BYTES_MAX], size_t count, size_t column, bool right)
{
	struct buf b = {0};
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(lines[i]), from = right ? (column < len ? column : len) : 0;
		if (!right && column < len)
			len = column;
		while (len > from && lines[i][len - 1] == ' ')
			len--;
		cr_assert_eq(buf_printf(&b, "%.*s\n", (int)(len - from), lines[i] + from), RS_OK);
	}
	return take_text(&b);
}

/* The lines from an answer's first one to the next one's. */
static void read_columns(struct examples *out, char (*lines)[LINE_BYTES_MAX], size_t count, unsigned line)
{
	size_t column = begins_stream(lines[0]) ? strspn(lines[0], " ") : answer_column(lines[0]);
	char *left = column_text(lines, count, column, false), *right = column_text(lines, count, column, true);
	struct cursor asks = {left, line}, says = {right, line};
	do {
		struct example *e = add_example(out);
		e->request = take_example_text(&asks);
		skip_empty_lines(&asks);
		e->request.excess = e->request.excess || *asks.at;
		e->answer = take_example_text(&says);
		e->closes = take_closed(&says);
	} while (*says.at);
	free(left);
	free(right);
}

void examples_read(struct examples *out, const struct doc_part *block)
{
	static char lines[LINES_MAX][LINE_BYTES_MAX];
	struct cursor c = {block->text, block->line};
	size_t count = 0, first = LINES_MAX;
	*out = (struct examples){0};
	if (strncmp(block->text, "$ nc ", 5) == 0) {
		read_typed(out, block);
		return;
	}
	for (; *c.at; count++) {
		cr_assert_lt(count, LINES_MAX - 1);
		next_line(&c, lines[count]);
		bool first_of_stream = count == 0 && begins_stream(lines[0]);
		if (!first_of_stream && answer_column(lines[count]) == NO_ANSWER)
			continue;
		if (first != LINES_MAX)
			read_columns(out, lines + first, count - first, block->line + (unsigned)first);
		first = count;
	}
	if (first != LINES_MAX)
		read_columns(out, lines + first, count - first, block->line + (unsigned)first);
}

static void free_text(struct example_text *t)
{
	free(t->header);
	free(t->body);
}

void examples_free(struct examples *e)
{
	for (size_t i = 0; i < e->count; i++) {
		free_text(&e->at[i].request);
		free_text(&e->at[i].answer);
	}
	free(e->at);
	*e = (struct examples){0};
}
