/* SPDX-License-Identifier: Apache-2.0 */
#include "support/text_client.h"

#include "base/clock.h"
#include "support/net_support.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "text_client: %s: %s\n", what, strerror(errno));
	abort();
}

void text_client_open(struct text_client *c, const struct addr *to)
{
	*c = (struct text_client){.fd = net_raw_connect(to)};
}

void text_client_close(struct text_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	buf_deinit(&c->in);
}

void text_client_write(struct text_client *c, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* closed by the other side, which the reader will see */
		if (n < 0)
			fail("send");
		at += n;
		len -= (size_t)n;
	}
}

static void RS_PRINTF(2, 0) write_formatted(struct text_client *c, const char *fmt, va_list ap)
{
	char *text = NULL;
	int len = vasprintf(&text, fmt, ap);
	if (len < 0)
		fail("vasprintf");
	text_client_write(c, text, (size_t)len);
	free(text);
}

void text_client_printf(struct text_client *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	write_formatted(c, fmt, ap);
	va_end(ap);
}

/* 1: something came; 0: nothing in that time; -1: closed by the other side. */
static int read_some(struct text_client *c, int wait_ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	if (buf_reserve(&c->in, 4096))
		fail("buf_reserve");
	if (poll(&p, 1, wait_ms) <= 0)
		return 0;
	ssize_t n = recv(c->fd, buf_tail(&c->in), buf_room(&c->in), 0);
	if (n < 0 && errno != ECONNRESET)
		fail("recv");
	if (n <= 0)
		return -1;
	buf_commit(&c->in, (size_t)n);
	return 1;
}

/* False: closed by the other side. */
static bool read_more(struct text_client *c)
{
	int got = read_some(c, TEXT_CLIENT_WAIT_MS);
	if (got == 0)
		fail("no answer in time");
	return got > 0;
}

static int parse_code(const char *text)
{
	int code = 0;
	if (sscanf(text, "OK %d\r\n", &code) == 1 && code == 200)
		return code;
	if (sscanf(text, "ERR %d\r\n", &code) == 1 && code >= 400)
		return code;
	size_t word = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	if (word > 2 && strncmp(text + word, " 1\r\n", 4) == 0)
		return 0;
	fprintf(stderr, "text_client: not an answer: %s\n", text);
	abort();
}

/* False: it is not whole yet. */
static bool take_answer(struct text_client *c, struct text_answer *out)
{
	const uint8_t *end = buf_len(&c->in) ? memmem(buf_head(&c->in), buf_len(&c->in), "\r\n\r\n", 4) : NULL;
	if (!end)
		return false;
	size_t len = (size_t)(end - buf_head(&c->in)) + 2;
	if (len >= sizeof out->text)
		fail("answer too long");
	memcpy(out->text, buf_head(&c->in), len);
	out->text[len] = '\0';
	buf_consume(&c->in, len + 2);
	out->code = parse_code(out->text);
	return true;
}

bool text_client_read(struct text_client *c, struct text_answer *out)
{
	while (!take_answer(c, out))
		if (!read_more(c))
			return false;
	return true;
}

bool text_client_read_within(struct text_client *c, struct text_answer *out, int wait_ms)
{
	uint64_t until = clock_mono_ms() + (uint64_t)wait_ms;
	while (!take_answer(c, out)) {
		uint64_t now = clock_mono_ms();
		if (now >= until || read_some(c, (int)(until - now)) < 0)
			return false;
	}
	return true;
}

bool text_client_try(struct text_client *c, struct text_answer *out)
{
	if (take_answer(c, out))
		return true;
	if (read_some(c, 0) < 0)
		fail("closed instead of an answer");
	return take_answer(c, out);
}

char *text_client_body(struct text_client *c, const struct text_answer *a)
{
	size_t len = strtoul(text_answer_value(a, "length"), NULL, 10);
	char *body = malloc(len + 1);
	if (!body)
		fail("malloc");
	while (buf_len(&c->in) < len)
		if (!read_more(c))
			fail("closed within a body");
	if (len)
		memcpy(body, buf_head(&c->in), len);
	body[len] = '\0';
	buf_consume(&c->in, len);
	return body;
}

struct text_answer text_client_ask(struct text_client *c, const char *fmt, ...)
{
	struct text_answer a;
	va_list ap;
	va_start(ap, fmt);
	write_formatted(c, fmt, ap);
	va_end(ap);
	if (!text_client_read(c, &a))
		fail("closed instead of an answer");
	return a;
}

bool text_client_is_closed(struct text_client *c)
{
	return buf_len(&c->in) == 0 && !read_more(c);
}

const char *text_answer_value(const struct text_answer *a, const char *name)
{
	static char values[8][TEXT_ANSWER_MAX];
	static unsigned next;
	char mark[64], *out = values[next++ % 8];
	snprintf(mark, sizeof mark, "\r\n%s ", name);
	const char *at = strstr(a->text, mark);
	out[0] = '\0';
	if (!at)
		return out;
	at += strlen(mark);
	size_t len = strcspn(at, "\r");
	memcpy(out, at, len);
	out[len] = '\0';
	return out;
}

void text_client_auth(struct text_client *c, const char *app, const char *key)
{
	struct text_answer a = text_client_ask(c, "AUTH 1\r\napp %s\r\nkey %s\r\n\r\n", app, key);
	if (a.code != 200)
		fail(a.text);
}
