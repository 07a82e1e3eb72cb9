/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_sender.h"

#include "bench_redis.h"
#include "say.h"

#include "base/clock.h"
#include "wire/record.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static size_t whole_answer(const uint8_t *data, size_t len)
{
	const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
	return end ? (size_t)(end - data) + 4 : 0;
}

void sender_write_body(void *body, size_t len, uint64_t i)
{
	static const char hex[] = "0123456789abcdef";
	memset(body, '.', len);
	for (int d = BENCH_BODY_MIN - 1; d >= 0; d--, i >>= 4)
		((char *)body)[d] = hex[i & 15];
}

bool sender_read_body(const void *body, size_t len, uint64_t *i)
{
	char text[BENCH_BODY_MIN + 1], *end;
	if (len < BENCH_BODY_MIN)
		return false;
	memcpy(text, body, BENCH_BODY_MIN);
	text[BENCH_BODY_MIN] = '\0';
	*i = strtoull(text, &end, 16);
	return !*end;
}

static int make_send(void *ctx, uint64_t i, struct buf *out)
{
	struct sender *s = ctx;
	char user[BENCH_USER_MAX];
	uint8_t body[RECORD_BODY_MAX];
	bench_user(s->bench, s->first_user + (uint32_t)(i % s->users), user);
	sender_write_body(body, s->size, i);
	if (s->sent_us)
		s->sent_us[i] = clock_mono_us();
	int err = buf_printf(out, "SEND 1\r\nto %s\r\nttl %d\r\nlength %zu\r\n\r\n", user,
			     BENCH_TTL_S, s->size);
	return err ? err : buf_append(out, body, s->size);
}

static int take_answer(void *ctx, uint64_t i, const uint8_t *data, size_t len)
{
	struct sender *s = ctx;
	(void)i;
	if (len > 6 && memcmp(data, "OK 200", 6) == 0) {
		s->taken++;
		s->pushed += memmem(data, len, "\r\nstate pushed", 14) != NULL;
		return RS_OK;
	}
	say("the DC refuses a message: %.*s", (int)strcspn((const char *)data, "\r\n"), (const char *)data);
	const uint8_t *why = memmem(data, len, "reason ", 7);
	if (why)
		say("it says: %.*s", (int)strcspn((const char *)why + 7, "\r\n"), (const char *)why + 7);
	return RS_EREMOTE;
}

static const struct pipe_handler handler = {whole_answer, make_send, take_answer};

int sender_open(struct sender *s, const struct bench *b, uint32_t users, uint64_t count, size_t size,
		unsigned depth)
{
	int one = 1;
	*s = (struct sender){.bench = b, .users = users, .size = size};
	textclient_init(&s->dc, b->settings, false);
	int err = textclient_open(&s->dc);
	if (err)
		return err;
	setsockopt(s->dc.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return pipe_init(&s->pipe, s->dc.fd, &handler, s, count, depth);
}

int sender_restart(struct sender *s, uint32_t first_user, uint64_t count, unsigned depth)
{
	pipe_deinit(&s->pipe);
	s->first_user = first_user;
	s->taken = s->pushed = 0;
	return pipe_init(&s->pipe, s->dc.fd, &handler, s, count, depth);
}

void sender_close(struct sender *s)
{
	pipe_deinit(&s->pipe);
	textclient_close(&s->dc);
	free(s->sent_us);
	s->sent_us = NULL;
}

int sender_say(const struct sender *s, int err)
{
	char at[ADDR_TEXT_MAX];
	if (err && err != RS_EREMOTE)
		say("the DC at %s cannot be used for the benchmark: %s", addr_format(&s->dc.dc, at), err_str(err));
	return err;
}

int sender_run(struct sender *s) { return sender_say(s, pipe_run(&s->pipe, 1)); }
