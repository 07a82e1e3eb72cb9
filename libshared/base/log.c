/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/err.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, LINE_TAIL = 3 };

/* text[0 .. len) is written. The last LINE_TAIL bytes are kept for what must
 * end a line: a quote, a brace, the newline. */
struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	bool cut; /* something did not fit; nothing is added after it */
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static struct {
	const char *prog;
	enum log_level level;
	enum log_format format;
} conf = {"restante", LOG_INFO, LOG_LOGFMT};

void log_setup(const char *prog, enum log_level level, enum log_format format)
{
	conf.prog = prog;
	conf.level = level;
	conf.format = format;
}

bool log_enabled(enum log_level level) { return level >= conf.level; }

/* All of it or nothing. */
static void put(struct line *l, const char *s, size_t len)
{
	if (!l->cut && len > sizeof l->text - LINE_TAIL - l->len)
		l->cut = true;
	if (l->cut)
		return;
	memcpy(l->text + l->len, s, len);
	l->len += len;
}

static void put_str(struct line *l, const char *s) { put(l, s, strlen(s)); }

/* Length of the next character; *code its code point, or the byte itself where
 * it is not UTF-8; *shown: it may stand in a line as it is. */
static size_t next_char(const char *s, size_t left, uint32_t *code, bool *shown)
{
	size_t len = utf8_next((const uint8_t *)s, left, code);
	if (len == 0)
		*code = (uint8_t)*s;
	*shown = len && (*code == ' ' || !(utf8_is_space(*code) || utf8_is_control(*code)));
	return len ? len : 1;
}

/* What is not shown is below U+10000, see utf8_is_control(). */
static void put_escaped(struct line *l, const char *s, size_t len)
{
	for (size_t i = 0, n; i < len && !l->cut; i += n) {
		uint32_t code;
		bool shown;
		char esc[8];
		n = next_char(s + i, len - i, &code, &shown);
		if (code == '"' || code == '\\')
			put(l, (char[]){'\\', s[i]}, 2);
		else if (shown)
			put(l, s + i, n);
		else
			put(l, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", (unsigned)code & 0xffffu));
	}
}

static bool is_plain(const char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t code;
		bool shown;
		n = next_char(s + i, len - i, &code, &shown);
		if (!shown || code == ' ' || code == '"' || code == '=' || code == '\\')
			return false;
	}
	return len > 0;
}

static void put_key(struct line *l, const char *key)
{
	if (conf.format == LOG_JSON) {
		put_str(l, l->len > 1 ? ",\"" : "\"");
		put_str(l, key);
		put_str(l, "\":");
	} else {
		if (l->len)
			put(l, " ", 1);
		put_str(l, key);
		put(l, "=", 1);
	}
}

/* A value that is too long is cut; a field of which nothing fits is left out. */
static void put_text(struct line *l, const char *key, const char *s, size_t len)
{
	bool quoted = conf.format == LOG_JSON || !is_plain(s, len);
	size_t mark = l->len;
	put_key(l, key);
	if (quoted)
		put(l, "\"", 1);
	if (l->cut) {
		l->len = mark;
		return;
	}
	put_escaped(l, s, len);
	if (quoted)
		l->text[l->len++] = '"'; /* may be in the tail */
	if (l->len > sizeof l->text - LINE_TAIL)
		l->cut = true;
}

static void put_int(struct line *l, const char *key, int64_t v)
{
	char num[24];
	size_t mark = l->len;
	put_key(l, key);
	put(l, num, (size_t)snprintf(num, sizeof num, "%lld", (long long)v));
	if (l->cut)
		l->len = mark;
}

static void put_field(struct line *l, const struct log_field *f)
{
	switch (f->kind) {
	case LOG_KIND_STR:
		put_text(l, f->key, f->str ? f->str : "", f->str ? strlen(f->str) : 0);
		break;
	case LOG_KIND_BYTES:
		put_text(l, f->key, f->str, f->len);
		break;
	case LOG_KIND_INT:
		put_int(l, f->key, f->num);
		break;
	case LOG_KIND_END:
		break;
	}
}

static void put_time(struct line *l)
{
	struct timespec ts;
	struct tm tm;
	char text[40], whole[32];
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof text, "%s.%03uZ", whole, (unsigned)(ts.tv_nsec / 1000000) % 1000u);
	put_text(l, "ts", text, strlen(text));
}

void log_emit(enum log_level level, const char *msg, const struct log_field *fields)
{
	struct line l = {.len = 0};
	if (conf.format == LOG_JSON)
		put(&l, "{", 1);
	put_time(&l);
	put_text(&l, "level", level_names[level], strlen(level_names[level]));
	put_text(&l, "prog", conf.prog, strlen(conf.prog));
	put_text(&l, "msg", msg, strlen(msg));
	for (const struct log_field *f = fields; f->kind != LOG_KIND_END; f++)
		put_field(&l, f);
	if (conf.format == LOG_JSON)
		l.text[l.len++] = '}';
	l.text[l.len++] = '\n';
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		return; /* there is nowhere left to complain to */
}

int log_level_parse(const char *name, enum log_level *out)
{
	for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++)
		if (strcmp(name, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return RS_OK;
		}
	return RS_EINVAL;
}

int log_format_parse(const char *name, enum log_format *out)
{
	if (strcmp(name, "logfmt") == 0)
		*out = LOG_LOGFMT;
	else if (strcmp(name, "json") == 0)
		*out = LOG_JSON;
	else
		return RS_EINVAL;
	return RS_OK;
}
