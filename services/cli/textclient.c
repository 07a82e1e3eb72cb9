/* SPDX-License-Identifier: Apache-2.0 */
#include "textclient.h"

#include "probe.h"
#include "say.h"

#include "app/keyfile.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 3000, ANSWER_MS = 15000, READ_MAX = 4096, BODY_MAX = 1024 * 1024 };

static int fail(struct textclient *t, int err, const char *fmt, ...) RS_PRINTF(3, 4);
static int fail(struct textclient *t, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(t->fault, sizeof t->fault, fmt, ap);
	va_end(ap);
	utf8_mend_end(t->fault);
	if (!t->quiet)
		say("%s", t->fault);
	return err;
}

void textclient_init(struct textclient *t, const struct settings *s, bool quiet)
{
	*t = (struct textclient){.settings = s, .fd = -1, .quiet = quiet};
}

void textclient_close(struct textclient *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	buf_deinit(&t->in);
}

int textclient_connect(struct textclient *t, const struct addr *dc)
{
	char at[ADDR_TEXT_MAX];
	textclient_close(t);
	t->dc = *dc;
	int err = probe_connect(dc, CONNECT_MS, &t->fd);
	if (err)
		return fail(t, RS_EDOWN, "DC at %s cannot be reached: %s; is it running, and the setting dc right?",
			    addr_format(dc, at), probe_reason(err));
	return RS_OK;
}

/* ---- one request, one answer ---- */

static int send_all(int fd, const uint8_t *data, size_t len, uint64_t deadline_ms)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, data + at, len - at, MSG_NOSIGNAL);
		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return RS_ELOST;
		else if (probe_wait(fd, POLLOUT, deadline_ms))
			return RS_ETIMEOUT;
	}
	return RS_OK;
}

static int receive_some(struct textclient *t, uint64_t deadline_ms)
{
	if (probe_wait(t->fd, POLLIN, deadline_ms))
		return RS_ETIMEOUT;
	if (buf_reserve(&t->in, READ_MAX))
		return RS_ENOMEM;
	ssize_t n = recv(t->fd, buf_tail(&t->in), READ_MAX, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return RS_OK;
	if (n <= 0)
		return RS_ELOST;
	buf_commit(&t->in, (size_t)n);
	return RS_OK;
}

/* What a DC says goes to a terminal: what that might obey is replaced. A CR overwrites
 * the line; those at the ends of header lines are not printed. */
static void make_harmless(char *text, size_t len, bool header)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t cp = 0;
		n = utf8_next((uint8_t *)text + i, len - i, &cp);
		if (n > 0 && ((cp == '\r' && header) || cp == '\n' || !utf8_is_control(cp)))
			continue;
		text[i] = '?';
		n = 1;
	}
}

/* "PRESENCE 1", as a block of a stream begins. */
static bool is_block(const char *text)
{
	size_t word = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return word > 0 && strncmp(text + word, " 1\r\n", 4) == 0;
}

/* "OK 200", "ERR 401" or the first line of a block, and the lines up to the empty one. */
static int take_apart(struct text_answer *a, const uint8_t *data, size_t len)
{
	*a = (struct text_answer){.code = 0};
	if (len >= sizeof a->text)
		return RS_EINVAL;
	memcpy(a->text, data, len);
	a->len = len;
	make_harmless(a->text, len, true);
	a->text[len] = '\0';
	bool ok = strncmp(a->text, "OK ", 3) == 0, block = is_block(a->text);
	if (!ok && !block && strncmp(a->text, "ERR ", 4) != 0)
		return RS_EINVAL;
	if (!block)
		a->code = (unsigned)strtoul(a->text + (ok ? 3 : 4), NULL, 10);
	for (size_t i = 0; i < len; i++)
		if (a->text[i] == '\r' || a->text[i] == '\n')
			a->text[i] = '\0';
	return ok || block ? RS_OK : RS_EREMOTE;
}

static int receive_answer(struct textclient *t, struct text_answer *out, uint64_t deadline_ms)
{
	for (;;) {
		const uint8_t *head = buf_head(&t->in);
		const uint8_t *end = head ? memmem(head, buf_len(&t->in), "\r\n\r\n", 4) : NULL;
		if (end) {
			size_t len = (size_t)(end - head) + 2;
			int err = take_apart(out, head, len);
			buf_consume(&t->in, len + 2);
			return err;
		}
		if (buf_len(&t->in) >= TEXT_ANSWER_MAX)
			return RS_EINVAL;
		int err = receive_some(t, deadline_ms);
		if (err)
			return err;
	}
}

int textclient_ask(struct textclient *t, const struct buf *request, struct text_answer *out)
{
	char at[ADDR_TEXT_MAX];
	uint64_t deadline_ms = clock_mono_ms() + ANSWER_MS;
	*out = (struct text_answer){.code = 0};
	if (t->fd < 0)
		return RS_EDOWN;
	int err = send_all(t->fd, buf_head(request), buf_len(request), deadline_ms);
	/* A DC that closes has often said why before. */
	if (!err || err == RS_ELOST)
		err = receive_answer(t, out, deadline_ms);
	if (err == RS_EINVAL || (!err && out->code == 0))
		return fail(t, RS_ELOST, "DC at %s gave an answer that makes no sense; is the address right?",
			    addr_format(&t->dc, at));
	if (err && err != RS_EREMOTE)
		return fail(t, err, "DC at %s did not answer: %s", addr_format(&t->dc, at), err_str(err));
	return err;
}

int textclient_next(struct textclient *t, struct text_answer *out, uint64_t deadline_ms)
{
	int err = receive_answer(t, out, deadline_ms);
	return !err && out->code ? RS_EINVAL : err;
}

int textclient_body(struct textclient *t, const struct text_answer *a, struct buf *out)
{
	char at[ADDR_TEXT_MAX];
	uint64_t deadline_ms = clock_mono_ms() + ANSWER_MS, len = 0;
	const char *text = text_answer_value(a, "length");
	int err = text ? text_number((struct text_span){text, strlen(text)}, 0, BODY_MAX, &len) : RS_EINVAL;
	while (!err && buf_len(&t->in) < len)
		err = receive_some(t, deadline_ms);
	if (!err)
		err = buf_reserve(out, (size_t)len + 1);
	if (err)
		return fail(t, err, "DC at %s did not answer as it should: %s", addr_format(&t->dc, at), err_str(err));
	if (len)
		memcpy(buf_tail(out), buf_head(&t->in), (size_t)len);
	make_harmless((char *)buf_tail(out), (size_t)len, false);
	buf_tail(out)[len] = '\0';
	buf_commit(out, (size_t)len);
	buf_consume(&t->in, (size_t)len);
	return RS_OK;
}

const char *text_answer_value(const struct text_answer *a, const char *name)
{
	size_t name_len = strlen(name);
	for (const char *line = a->text; line < a->text + a->len; line += strlen(line) + 1)
		if (strncmp(line, name, name_len) == 0 && line[name_len] == ' ')
			return line + name_len + 1;
	return NULL;
}

/* ---- AUTH ---- */

static int check_app(struct textclient *t)
{
	const struct settings *s = t->settings;
	if (s->app[0] && s->app_key_file[0])
		return RS_OK;
	return fail(t, RS_EINVAL, "%s is not set: the DC answers known Apps only; `restante app create NAME` makes one",
		    s->app[0] ? "app_key_file" : "app");
}

static int read_key(struct textclient *t, char key[SECRET_MAX + 1])
{
	const struct settings *s = t->settings;
	char why[400];
	size_t len;
	if (check_app(t))
		return RS_EINVAL;
	if (keyfile_read_secret(s->app_key_file, key, SECRET_MAX + 1, &len, why, sizeof why))
		return fail(t, RS_EINVAL, "app_key_file: %s", why);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)key[i] < ' ' || key[i] == 0x7f)
			return fail(t, RS_EINVAL, "app_key_file %s: holds no key: a control character is in its first line",
				    s->app_key_file);
	return RS_OK;
}

static int refused(struct textclient *t, const struct text_answer *a)
{
	char at[ADDR_TEXT_MAX];
	const char *reason = text_answer_value(a, "reason");
	addr_format(&t->dc, at);
	if (a->code == 401)
		return fail(t, RS_EAUTH, "DC at %s refuses the App \"%s\": 401 %s; see app and app_key_file", at,
			    t->settings->app, reason ? reason : "");
	return fail(t, RS_EREMOTE, "DC at %s cannot serve: %u %s%s", at, a->code, reason ? reason : "",
		    a->code == 503 ? "; does it reach its Redis?" : "");
}

int textclient_auth(struct textclient *t)
{
	char key[SECRET_MAX + 1] = "";
	struct buf request = {0};
	struct text_answer answer;
	int err = read_key(t, key);
	if (err)
		goto done;
	err = buf_printf(&request, "AUTH 1\r\napp %s\r\nkey %s\r\n\r\n", t->settings->app, key);
	if (!err)
		err = textclient_ask(t, &request, &answer);
	if (err == RS_EREMOTE)
		err = refused(t, &answer);
done:
	explicit_bzero(key, sizeof key);
	if (request.data)
		explicit_bzero(request.data, request.cap);
	buf_deinit(&request);
	return err;
}

int textclient_open(struct textclient *t)
{
	const struct addr_set *dc = &t->settings->dc;
	int err = check_app(t);
	if (!err)
		err = dc->count ? RS_EDOWN : fail(t, RS_EINVAL, "the setting dc is empty; name a Data Center");
	for (size_t i = 0; i < dc->count && err == RS_EDOWN; i++)
		err = textclient_connect(t, &dc->at[i]);
	return err ? err : textclient_auth(t);
}
