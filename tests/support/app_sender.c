/* SPDX-License-Identifier: Apache-2.0 */
#include "support/app_sender.h"

#include "base/clock.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AGAIN_MS = 100, AGAIN_MAX_MS = 800, CHUNK = 4096 };

void app_sender_open(struct app_sender *a, const struct stack *s, unsigned users, unsigned per_user,
		     unsigned pause_ms)
{
	*a = (struct app_sender){
		.stack = s, .users = users, .per_user = per_user, .pause_ms = pause_ms, .fd = -1};
	a->user = calloc(users, sizeof *a->user);
	a->due = calloc(users, sizeof *a->due);
	cr_assert(a->user && a->due);
	for (unsigned i = 0; i < users; i++)
		a->user[i] = (struct sender_user){.due_ms = clock_mono_ms(), .pause_ms = AGAIN_MS};
}

/* What is not answered goes out again, to the next DC. */
static void hang_up(struct app_sender *a)
{
	close(a->fd);
	a->fd = -1;
	a->authenticated = false;
	buf_deinit(&a->in);
	for (unsigned i = 0; i < a->users; i++)
		a->user[i].under_way = false;
	a->due_count = 0;
	a->breaks++;
	a->again_ms = clock_mono_ms() + AGAIN_MS;
	a->dc = (a->dc + 1) % a->stack->options.dcs;
}

void app_sender_close(struct app_sender *a)
{
	if (!a->user)
		return;
	if (a->fd >= 0)
		hang_up(a);
	free(a->user);
	free(a->due);
	a->user = NULL;
	a->due = NULL;
}

bool app_sender_is_done(const struct app_sender *a) { return a->okd == a->users * a->per_user; }

/* Without waiting: who reads there may have been stopped by the very test. */
static void write_all(struct app_sender *a, const char *text, size_t len)
{
	if (a->fd >= 0 && send(a->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		hang_up(a);
}

static void dial(struct app_sender *a)
{
	static const char auth[] = "AUTH 1\r\napp chat\r\nkey " STACK_KEY "\r\n\r\n";
	struct addr to = net_loopback(a->stack->dc[a->dc].front);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&to, &ss);
	if (clock_mono_ms() < a->again_ms)
		return;
	a->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(a->fd, 0);
	if (connect(a->fd, (struct sockaddr *)&ss, len))
		hang_up(a);
	else
		write_all(a, auth, sizeof auth - 1);
}

static void send_next(struct app_sender *a, unsigned n)
{
	struct sender_user *u = &a->user[n];
	char name[32], text[256];
	snprintf(name, sizeof name, "u%u-%u", n, u->okd);
	int len = snprintf(text, sizeof text, "SEND 1\r\nid %s\r\nto u%u\r\nttl 600\r\nlength %zu\r\n\r\n%s",
			   name, n, strlen(name), name);
	a->sent++;
	u->under_way = true;
	if (a->record)
		fprintf(a->record, "sent %u %u\n", n, u->okd);
	a->due[(a->due_head + a->due_count++) % a->users] = n;
	write_all(a, text, (size_t)len);
}

static void send_all(struct app_sender *a)
{
	uint64_t now_ms = clock_mono_ms();
	for (unsigned i = 0; i < a->users && a->authenticated; i++) {
		const struct sender_user *u = &a->user[i];
		if (!u->under_way && u->okd < a->per_user && now_ms >= u->due_ms && now_ms >= u->again_ms)
			send_next(a, i);
	}
}

void app_sender_hurry(struct app_sender *a)
{
	uint64_t now_ms = clock_mono_ms();
	for (unsigned i = 0; i < a->users; i++) {
		struct sender_user *u = &a->user[i];
		u->due_ms = u->due_ms < now_ms ? u->due_ms : now_ms;
		u->again_ms = 0;
	}
	send_all(a);
}

static void record_ok(struct app_sender *a, unsigned n, const char *text)
{
	const char *state = strstr(text, "\r\nstate ");
	state = state ? state + strlen("\r\nstate ") : "none";
	if (a->record)
		fprintf(a->record, "ok %u %u %.*s\n", n, a->user[n].okd, (int)strcspn(state, "\r"), state);
}

static void take_ok(struct app_sender *a, unsigned n, const char *text)
{
	struct sender_user *u = &a->user[n];
	uint64_t took_ms = clock_mono_ms() - u->due_ms;
	record_ok(a, n, text);
	a->longest_ms = took_ms > a->longest_ms ? took_ms : a->longest_ms;
	u->okd++;
	u->due_ms += a->pause_ms;
	u->pause_ms = AGAIN_MS;
	a->okd++;
	a->duplicates += strstr(text, "state duplicate") != NULL;
}

static void take_answer(struct app_sender *a, const char *text)
{
	int code = atoi(text + (text[0] == 'O' ? 3 : 4));
	if (!a->authenticated) {
		if (code == 200)
			a->authenticated = true;
		else if (code == 503 || code == 504)
			hang_up(a);
		else
			cr_assert_fail("AUTH was answered %s", text);
		return;
	}
	cr_assert_gt(a->due_count, 0, "an answer too many: %s", text);
	unsigned n = a->due[a->due_head];
	struct sender_user *u = &a->user[n];
	a->due_head = (a->due_head + 1) % a->users;
	a->due_count--;
	u->under_way = false;
	if (code == 200) {
		take_ok(a, n, text);
	} else {
		cr_assert(code == 503 || code == 504, "SEND was answered %s", text);
		a->unavailable++;
		u->again_ms = clock_mono_ms() + u->pause_ms;
		u->pause_ms = 2 * u->pause_ms < AGAIN_MAX_MS ? 2 * u->pause_ms : AGAIN_MAX_MS;
	}
}

static void read_answers(struct app_sender *a)
{
	char text[1024];
	const uint8_t *end;
	cr_assert_eq(buf_reserve(&a->in, CHUNK), RS_OK);
	ssize_t n = recv(a->fd, buf_tail(&a->in), CHUNK, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		hang_up(a);
		return;
	}
	buf_commit(&a->in, n > 0 ? (size_t)n : 0);
	while (a->fd >= 0 && buf_len(&a->in) &&
	       (end = memmem(buf_head(&a->in), buf_len(&a->in), "\r\n\r\n", 4))) {
		size_t len = (size_t)(end - buf_head(&a->in));
		snprintf(text, sizeof text, "%.*s", (int)len, (const char *)buf_head(&a->in));
		buf_consume(&a->in, len + 4);
		take_answer(a, text);
	}
}

void app_sender_turn(struct app_sender *a)
{
	if (a->fd < 0)
		dial(a);
	if (a->fd >= 0)
		read_answers(a);
	if (a->fd >= 0)
		send_all(a);
}
