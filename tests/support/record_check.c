/* SPDX-License-Identifier: Apache-2.0 */
#include "support/record_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number beyond these is a malformed line, and not gigabytes. */
enum { USERS_MAX = 1 << 20, NUMBERS_MAX = 1 << 20, LINE_SIZE = 256 };

struct record_user {
	uint32_t sent, okd; /* how many: the numbers below were */
	uint32_t next;      /* to be shown: one more than the greatest that was */
	uint8_t *shown;     /* a bit for each number */
	size_t bytes;
};

static __attribute__((format(printf, 3, 4))) void fault(struct record_check *c, enum record_fault what,
							const char *fmt, ...)
{
	va_list ap;
	if (c->count[what]++)
		return;
	int at = snprintf(c->first[what], RECORD_TEXT_MAX, "line %llu: ", (unsigned long long)c->lines);
	va_start(ap, fmt);
	vsnprintf(c->first[what] + at, RECORD_TEXT_MAX - (size_t)at, fmt, ap);
	va_end(ap);
}

static void *grown(void *old, size_t from, size_t to)
{
	char *p = realloc(old, to);
	if (!p)
		abort();
	memset(p + from, 0, to - from);
	return p;
}

static struct record_user *user_of(struct record_check *c, uint32_t number)
{
	if (number >= c->users) {
		size_t users = c->users ? c->users : 64;
		while (users <= number)
			users *= 2;
		c->user = grown(c->user, c->users * sizeof *c->user, users * sizeof *c->user);
		c->users = users;
	}
	return &c->user[number];
}

static bool was_shown(const struct record_user *u, uint32_t number)
{
	return number / 8 < u->bytes && (u->shown[number / 8] >> number % 8 & 1);
}

static void set_shown(struct record_user *u, uint32_t number)
{
	size_t bytes = u->bytes ? u->bytes : 8;
	while (bytes <= number / 8)
		bytes *= 2;
	if (bytes > u->bytes) {
		u->shown = grown(u->shown, u->bytes, bytes);
		u->bytes = bytes;
	}
	u->shown[number / 8] = (uint8_t)(u->shown[number / 8] | 1u << number % 8);
}

/* ---- lines ---- */

static void on_sent(struct record_check *c, uint32_t user, uint32_t number, const char *line)
{
	struct record_user *u = user_of(c, user);
	if (number != u->okd) {
		fault(c, RECORD_MALFORMED, "not the next of its user: %s", line);
	} else if (u->sent == number) {
		u->sent++;
		c->sent++;
	}
}

static void on_ok(struct record_check *c, uint32_t user, uint32_t number, const char *line)
{
	struct record_user *u = user_of(c, user);
	if (number != u->okd || number >= u->sent) {
		fault(c, RECORD_UNKNOWN, "not awaited: %s", line);
	} else {
		u->okd++;
		c->okd++;
	}
}

static void on_shown(struct record_check *c, uint32_t to, uint32_t user, uint32_t number, const char *line)
{
	struct record_user *u = user_of(c, user);
	c->shown++;
	if (to != user) {
		fault(c, RECORD_UNKNOWN, "to another user: %s", line);
	} else if (number >= u->sent) {
		fault(c, RECORD_UNKNOWN, "never sent: %s", line);
	} else if (was_shown(u, number)) {
		fault(c, RECORD_DOUBLED, "again: %s", line);
	} else {
		if (number > u->next)
			fault(c, RECORD_EARLY, "before %u: %s", u->next, line);
		if (number >= u->next)
			u->next = number + 1;
		set_shown(u, number);
	}
}

/* Digits only, and not too many: sscanf would take a sign and much else. */
static bool take_number(const char **at, uint32_t below, uint32_t *out)
{
	const char *p = *at;
	uint32_t n = 0;
	if (*p++ != ' ' || *p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = 10 * n + (uint32_t)(*p - '0');
		if (n >= below)
			return false;
	}
	*at = p;
	*out = n;
	return true;
}

static bool is_ok_state(const char *text)
{
	return strcmp(text, " stored") == 0 || strcmp(text, " pushed") == 0 || strcmp(text, " duplicate") == 0;
}

static bool take_word(const char **at, const char *word)
{
	size_t len = strlen(word);
	if (strncmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool take_line(struct record_check *c, const char *line)
{
	const char *at = line;
	uint32_t to, user, number;
	if (c->ended)
		return false;
	if (strcmp(line, "end") == 0)
		return c->ended = true;
	if (take_word(&at, "shown")) {
		if (!take_number(&at, USERS_MAX, &to) || !take_number(&at, USERS_MAX, &user) ||
		    !take_number(&at, NUMBERS_MAX, &number) || *at)
			return false;
		on_shown(c, to, user, number, line);
		return true;
	}
	bool sent = take_word(&at, "sent");
	if (!sent && !take_word(&at, "ok"))
		return false;
	if (!take_number(&at, USERS_MAX, &user) || !take_number(&at, NUMBERS_MAX, &number) ||
	    (sent ? *at != '\0' : !is_ok_state(at)))
		return false;
	(sent ? on_sent : on_ok)(c, user, number, line);
	return true;
}

void record_check_line(struct record_check *c, const char *line)
{
	c->lines++;
	if (!take_line(c, line))
		fault(c, RECORD_MALFORMED, "%s", line);
}

/* ---- begin and end ---- */

void record_check_init(struct record_check *c) { *c = (struct record_check){0}; }

void record_check_deinit(struct record_check *c)
{
	for (size_t i = 0; i < c->users; i++)
		free(c->user[i].shown);
	free(c->user);
	*c = (struct record_check){0};
}

void record_check_finish(struct record_check *c)
{
	if (!c->ended)
		fault(c, RECORD_TRUNCATED, "no end");
	for (size_t i = 0; i < c->users; i++)
		for (uint32_t k = 0; k < c->user[i].okd; k++)
			if (!was_shown(&c->user[i], k))
				fault(c, RECORD_LOST, "at the end: user %zu, number %u", i, k);
}

bool record_check_file(struct record_check *c, const char *path)
{
	char line[LINE_SIZE];
	FILE *f = fopen(path, "re");
	record_check_init(c);
	if (!f)
		return false;
	while (fgets(line, sizeof line, f)) {
		char *newline = strchr(line, '\n');
		if (newline)
			*newline = '\0';
		else if (strcmp(line, "end") == 0)
			line[0] = '\0'; /* broken off in the last line: that is no end */
		record_check_line(c, line);
	}
	bool ok = !ferror(f);
	fclose(f);
	record_check_finish(c);
	return ok;
}

bool record_check_is_good(const struct record_check *c)
{
	for (size_t i = 0; i < RECORD_FAULTS; i++)
		if (c->count[i])
			return false;
	return true;
}

const char *record_fault_name(enum record_fault fault_kind)
{
	static const char *const name[RECORD_FAULTS] = {"lost",    "doubled",   "early",
							"unknown", "malformed", "truncated"};
	return name[fault_kind];
}
