/* SPDX-License-Identifier: Apache-2.0 */
/* docs/app-protocol.md says what is. Each of its examples is sent to a real DC, with a
 * real Redis, broker and clients behind it, and the answer must be the one that is
 * shown. Each verb, field, answer, state and error in its tables must have an example,
 * and each that the DC knows must be in its tables.
 *
 * An example may build on those before it in its section. What else it needs is said by
 * a comment before its block, which does not show on the page:
 *
 *   <!-- replay: alice is online; restante app set chat --rate 1 -->
 *
 * support/replay.c lists what there is. Where the DC's words change, this test shows the
 * line of the document, what stands there and what came instead. */
#include "support/document.h"
#include "support/http_get.h"
#include "support/replay.h"
#include "support/word_set.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PATH "docs/app-protocol.md"
#define KEY "correct horse battery staple" /* of the App chat, in the document */

/* What the words in the first column of a table are, by its heading. */
static const struct {
	const char *heading, *kind;
} tables[] = {{"Field", "field"}, {"Answer", "answer"}, {"State", "state"}, {"Block", "block"}, {"Code", "error"}, {"What", "setting"}};

static struct document doc;
static struct replay world;
static struct word_set told, shown, known; /* by the tables, the examples, the DC: "SEND field ttl" */
static unsigned failures;
static size_t replayed, expected;
static char verb[64];                      /* whose section it is, "" in others */
static const char *kind;                   /* of the table, NULL: none that counts */
static bool fresh;                         /* the section has had no example yet */

static void start(void)
{
	document_read(&doc, PATH);
	replay_start(&world, KEY);
}

static void stop(void)
{
	replay_stop(&world);
	document_free(&doc);
}
TestSuite(app_protocol, .init = start, .fini = stop, .timeout = 280);

/* line 0: of the whole. */
static void RS_PRINTF(2, 3) complain(unsigned line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fprintf(stderr, PATH ":");
	if (line)
		fprintf(stderr, "%u:", line);
	fputc(' ', stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	failures++;
}

/* A command's output and exit code. */
static int RS_PRINTF(3, 4) run(char *out, size_t cap, const char *fmt, ...)
{
	char command[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	FILE *f = popen(command, "re");
	cr_assert_not_null(f);
	out[fread(out, 1, cap - 1, f)] = '\0';
	int status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- what the tables tell ---- */

/* "SEND 1: a message for a user" */
static void take_heading(const struct doc_part *p)
{
	if (p->level <= 3) {
		size_t len = strspn(p->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
		bool is_verb = p->level == 3 && len > 1 && strncmp(p->text + len, " 1: ", 4) == 0;
		snprintf(verb, sizeof verb, "%.*s", is_verb ? (int)len : 0, p->text);
		if (is_verb)
			word_set_add(&told, "verb %s", verb);
	}
	fresh = true;
	kind = NULL;
}

/* "| messages that wait for a user | 10,000 | `queue_max_messages` |": what --help says. */
static void check_setting(const struct doc_part *p)
{
	static char help[32768];
	char limit[256], setting[256], name[DOC_WORD_MAX], flag[DOC_WORD_MAX + 16];
	const char *at = setting;
	size_t len = 0;
	if (!doc_cell(p, 1, limit, sizeof limit) || !doc_cell(p, 2, setting, sizeof setting) ||
	    !doc_next_code(&at, name) || strchr(name, ' '))
		return;
	if (!*help)
		run(help, sizeof help, RESTANTE_BIN_DIR "/restante-dc --help");
	for (const char *c = limit; *c; c++) /* 10,000 is 10000 */
		if (*c != ',')
			limit[len++] = *c;
	limit[len] = '\0';
	snprintf(flag, sizeof flag, "  --%s NUMBER\n", name);
	for (char *c = flag; *c; c++)
		if (*c == '_')
			*c = '-';
	const char *there = strstr(help, flag), *value = there ? strstr(there, "default ") : NULL;
	if (!value)
		complain(p->line, "the DC has no setting %s", name);
	else if (strtoull(value + strlen("default "), NULL, 10) != strtoull(limit, NULL, 10))
		complain(p->line, "%s is not %s but %.*s", name, limit, (int)strcspn(value, ";"), value);
}

/* "`user`; `state`, below": the fields of a block of a stream. */
static void take_block_fields(const char *cell)
{
	char word[DOC_WORD_MAX];
	for (const char *at = cell; doc_next_code(&at, word);)
		word_set_add(&told, "%s answer %s", verb, word);
}

static void take_row(const struct doc_part *p)
{
	char cell[1024], word[DOC_WORD_MAX];
	const char *at = cell;
	if (!doc_cell(p, 0, cell, sizeof cell))
		return;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		if (strcmp(cell, tables[i].heading) == 0)
			kind = tables[i].kind;
	if (!kind)
		return;
	if (strcmp(kind, "setting") == 0)
		check_setting(p);
	if (isdigit((unsigned char)*cell))
		word_set_add(&told, "%s %s", kind, cell);
	while (*verb && doc_next_code(&at, word))
		word_set_add(&told, "%s %s %s", verb, kind, word);
	if (strcmp(kind, "block") == 0 && doc_cell(p, 1, cell, sizeof cell))
		take_block_fields(cell);
}

/* ---- examples ---- */

/* The name of the field in a header line; false: it has none, or one that any may have. */
static bool field_name(const char *line, char name[64])
{
	size_t len = strcspn(line, " \n");
	snprintf(name, 64, "%.*s", (int)len, line);
	return len > 0 && len < 64 && line[len] == ' ';
}

static void note_fields(const char *of, const char *what, const char *header)
{
	char name[64], value[64];
	for (const char *at = strchr(header, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
		if (field_name(at + 1, name))
			word_set_add(&shown, "%s %s %s", of, what, name);
	example_value(header, "state", value, sizeof value);
	if (*value && strcmp(what, "answer") == 0)
		word_set_add(&shown, "%s state %s", of, value);
}

static void note_example(const struct example *e)
{
	char of[64];
	unsigned code;
	snprintf(of, sizeof of, "%.*s", (int)strcspn(e->request.header, " \n"), e->request.header);
	if (sscanf(e->answer.header, "ERR %u", &code) == 1)
		word_set_add(&shown, "error %u", code);
	else if (!*of) {
		word_set_add(&shown, "%s block %.*s", verb, (int)strcspn(e->answer.header, " "), e->answer.header);
		note_fields(verb, "answer", e->answer.header);
	} else {
		word_set_add(&shown, "verb %s", of);
		note_fields(of, "field", e->request.header);
		note_fields(of, "answer", e->answer.header);
	}
}

static bool check_form(const struct example *e)
{
	const struct example_text *t = &e->request;
	char count[16];
	example_value(t->header, "count", count, sizeof count);
	bool newline = t->body_len && t->body[t->body_len - 1] == '\n' && !*count;
	if (t->excess || (!world.headless && (newline || t->body_len != t->length)))
		complain(t->line, "the body is not as long as `length` says");
	else if (e->answer.excess || e->answer.body_len != e->answer.length)
		complain(e->answer.line, "the body is not as long as `length` says");
	else
		return true;
	return false;
}

static void check_answer(const struct example *e, const char *given)
{
	char text[REPLAY_TEXT_MAX];
	const struct example_text *t = &e->answer;
	snprintf(text, sizeof text, "%s%s%.*s", t->header, t->length ? "\n" : "", (int)t->body_len, t->body);
	if (!given)
		complain(t->line, "no answer came. Expected:\n%s", text);
	else if (!likeness_holds(&world.ids, text, given))
		complain(t->line, "another answer came. Expected:\n%sGot:\n%s", text, given);
	else
		note_example(e);
}

static void check_end(const struct example *e)
{
	bool is_error = strncmp(e->answer.header, "ERR", 3) == 0;
	if (e->closes && !replay_is_closed(&world))
		complain(e->answer.line, "the connection was not closed");
	else if (!e->closes && is_error && !replay_is_open(&world))
		complain(e->answer.line, "the connection is closed, and (closed) is not below the answer");
}

static void replay(const struct example *e)
{
	unsigned before = failures;
	replayed++;
	if (!check_form(e))
		return;
	check_answer(e, replay_ask(&world, e));
	if (failures == before)
		check_end(e);
}

static void begin_examples(void)
{
	if (fresh)
		replay_begin_section(&world);
	fresh = false;
}

static void prepare(const struct doc_part *p)
{
	char what[256];
	begin_examples();
	if (!replay_prepare(&world, p->text, what, sizeof what))
		complain(p->line, "nothing is known of \"%s\"", what);
}

/* ---- programs ---- */

static void replace_word(char *text, size_t cap, const char *word, const char *by)
{
	char *at = strstr(text, word);
	cr_assert(at && strlen(text) + strlen(by) < cap, "%s", word);
	memmove(at + strlen(by), at + strlen(word), strlen(at + strlen(word)) + 1);
	memcpy(at, by, strlen(by));
}

/* A program that says what it prints: "print(...)  # stored" in its last line. */
static void run_python(const struct doc_part *p)
{
	char text[8192], port[8], path[TEMP_PATH_MAX], out[256], wants[64] = "";
	const char *mark = strrchr(p->text, '#');
	begin_examples();
	if (!mark || sscanf(mark, "# %63[^\n]", wants) != 1)
		complain(p->line, "the program does not say in its last line what it prints");
	snprintf(text, sizeof text, "%s", p->text);
	snprintf(port, sizeof port, "%u", world.s.dc[0].front);
	replace_word(text, sizeof text, "7100", port);
	temp_file(&world.s.dir, "example.py", text, 0600, path);
	int code = run(out, sizeof out, "exec python3 %s 2>&1", path);
	out[strcspn(out, "\n")] = '\0';
	if (code != 0 || strcmp(out, wants) != 0)
		complain(p->line, "the program printed \"%s\" and not \"%s\"", out, wants);
}

static void take_block(const struct doc_part *p)
{
	struct examples e;
	size_t answers = examples_expected(p);
	if (strcmp(p->language, "python") == 0) {
		run_python(p);
		return;
	}
	if (answers == 0)
		return;
	expected += answers;
	begin_examples();
	examples_read(&e, p);
	size_t before = replayed;
	if (e.typed)
		replay_use_nc(&world);
	for (size_t i = 0; i < e.count; i++)
		replay(&e.at[i]);
	if (replayed - before < answers)
		complain(p->line, "%zu answers stand in this block, %zu were replayed", answers, replayed - before);
	examples_free(&e);
}

/* ---- what the DC knows ---- */

/* The words behind "there are " in a reason, each after `before`. */
static void take_words(struct word_set *s, const char *before, const struct text_answer *a)
{
	const char *at = strstr(text_answer_value(a, "reason"), "there are ");
	cr_assert_not_null(at, "%s", a->text);
	for (at += strlen("there are "); *at; at += strspn(at, ", ")) {
		word_set_add(s, "%s %.*s", before, (int)strcspn(at, ","), at);
		at += strcspn(at, ",");
	}
}

/* It says which verbs and fields there are when it is asked for one that is not. */
static void ask_verbs(void)
{
	struct text_answer a = text_client_ask(&world.app, "NONE 1\r\n\r\n");
	char before[80];
	take_words(&known, "verb", &a);
	for (size_t i = 0, verbs = known.count; i < verbs; i++) {
		const char *name = known.at[i] + strlen("verb ");
		a = text_client_ask(&world.app, "%s 1\r\nnone x\r\n\r\n", name);
		snprintf(before, sizeof before, "%s field", name);
		take_words(&known, before, &a);
	}
}

static void ask_codes(void)
{
	static char page[HTTP_PAGE_MAX];
	static const char mark[] = "restante_dc_answers_error_total{code=\"";
	struct addr at = stack_http(&world.s.dc[0]);
	cr_assert_eq(http_get(&at, "/metrics", page), 200);
	for (const char *p = page; (p = strstr(p, mark)) != NULL; p++)
		word_set_add(&known, "error %.3s", p + sizeof mark - 1);
}

/* The App's own id may be on any request and answer, so a section need not name it. */
static bool goes_without_saying(const char *word)
{
	const char *last = strrchr(word, ' ');
	return last && strcmp(last, " id") == 0;
}

static void expect_in(const struct word_set *all, const struct word_set *in, const char *complaint)
{
	for (size_t i = 0; i < all->count; i++)
		if (!word_set_has(in, all->at[i]) && !goes_without_saying(all->at[i]))
			complain(0, "%s: %s", all->at[i], complaint);
}

static void compare_sets(void)
{
	struct word_set claims = {0}; /* what the DC can say of itself */
	for (size_t i = 0; i < told.count; i++)
		if (strstr(told.at[i], " field ") || strncmp(told.at[i], "verb ", 5) == 0 ||
		    strncmp(told.at[i], "error ", 6) == 0)
			word_set_add(&claims, "%s", told.at[i]);
	replay_begin_section(&world);
	ask_verbs();
	ask_codes();
	expect_in(&told, &shown, "stands in a table, but no example has it");
	expect_in(&shown, &told, "stands in an example, but in no table");
	expect_in(&known, &told, "the DC has it, but the document does not");
	expect_in(&claims, &known, "the document has it, but the DC does not");
}

TestThen(stop, app_protocol, says_what_is)
{
	for (size_t i = 0; i < doc.count; i++) {
		const struct doc_part *p = &doc.parts[i];
		switch (p->kind) {
		case DOC_HEADING: take_heading(p); break;
		case DOC_ROW: take_row(p); break;
		case DOC_BLOCK: take_block(p); break;
		case DOC_REPLAY: prepare(p); break;
		}
	}
	compare_sets();
	printf("%zu examples of %s replayed\n", replayed, PATH);
	cr_expect_geq(replayed, expected);
	cr_expect_eq(failures, 0, "%u places of %s are not as the DC is", failures, PATH);
}
