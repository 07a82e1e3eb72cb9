/* SPDX-License-Identifier: Apache-2.0 */
/* What Redis answers to the commands of `restante` that read or write it. The first
 * byte says which; the rest is the stream that Redis sends. What goes to the terminal
 * is harmless, but for the body that `queue peek` is asked for. */
#include "fake_loop.h"
#include "fake_redis.h"
#include "run_command.h"

#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/probe.h"

#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_start(void) {}

/* ---- in place of libev, cli/probe.c and cli/cmd_doctor.c ---- */

struct ev_loop *ev_loop_new(unsigned flags) EV_NOEXCEPT
{
	(void)flags;
	return fake_loop;
}

void ev_loop_destroy(struct ev_loop *loop) { (void)loop; }
void ev_now_update(struct ev_loop *loop) EV_NOEXCEPT { (void)loop; }

int ev_run(struct ev_loop *loop, int flags)
{
	(void)loop, (void)flags;
	if (!fake_redis_next())
		fake_loop_advance(200);
	return 0;
}

int probe_redis(const struct addr *at, bool have_password, char why[PROBE_WHY_MAX])
{
	(void)at, (void)have_password, (void)why;
	return RS_OK;
}

/* No DC is there: what is asked for is in Redis. */
int probe_connect(const struct addr *to, unsigned timeout_ms, int *fd)
{
	(void)to, (void)timeout_ms, (void)fd;
	return RS_ETIMEOUT;
}

int probe_wait(int fd, short events, uint64_t deadline_ms)
{
	(void)fd, (void)events, (void)deadline_ms;
	return RS_ETIMEOUT;
}

const char *probe_reason(int err) { return err_str(err); }

static void print(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static void print(const char *fmt, va_list ap)
{
	vprintf(fmt, ap);
	printf("\n");
}

void doctor_ok(struct doctor *d, const char *fmt, ...)
{
	va_list ap;
	(void)d;
	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
}

void doctor_warn(struct doctor *d, const char *fmt, ...)
{
	va_list ap;
	d->warned++;
	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
}

void doctor_fail(struct doctor *d, const char *fmt, ...)
{
	va_list ap;
	d->failed++;
	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
}

/* ---- ---- */

static void examine(const struct settings *s)
{
	struct doctor *d = calloc(1, sizeof *d);
	fuzz_check(d != NULL, "out of memory");
	d->settings = s;
	if (doctor_check_redis(d))
		doctor_check_registry(d);
	operator_close(&d->op);
	free(d);
}

void fuzz_one(struct fuzz *in)
{
	static const struct ask {
		const struct command *command; /* NULL: doctor */
		const char *words[6];
	} asks[] = {
		{&cmd_queue, {"queue", "ls", "alice"}},
		{&cmd_queue, {"queue", "peek", "alice"}},
		{&cmd_queue, {"queue", "peek", "alice", "01JDCF3K7Q9R8W2ZT5XV6YB4NM"}},
		{&cmd_brokers, {"brokers"}},
		{&cmd_brokers, {"brokers", "--json"}},
		{&cmd_session, {"session", "create", "alice", "--ttl", "60"}},
		{&cmd_app, {"app", "create", "chat"}},
		{NULL, {NULL}},
		{&cmd_app, {"app", "ls"}},
		{&cmd_app, {"app", "set", "chat", "--rate=5", "--burst=none"}},
		{&cmd_app, {"app", "rotate", "chat"}},
		{&cmd_app, {"app", "rm", "chat"}},
		{&cmd_broadcast, {"broadcast", "ls"}},
		{&cmd_broadcast, {"broadcast", "withdraw", "01JDCF3K7Q9R8W2ZT5XV6YB4NM"}},
		{&cmd_queue, {"queue", "purge", "alice"}},
		{&cmd_queue, {"queue", "purge", "alice", "--from=chat"}},
		{&cmd_topics, {"topics"}},
		{&cmd_topics, {"topics", "alice"}},
	};
	unsigned which = fuzz_byte(in) % (sizeof asks / sizeof *asks);
	const struct ask *a = &asks[which];
	struct settings s;
	size_t len;
	memset(&s, 0, sizeof s);
	fake_redis_reset();
	fake_loop_reset();
	struct piece p = fuzz_rest(in);
	fake_redis_feed(p.data, p.len);
	fuzz_capture();
	if (a->command)
		run_command(a->command, &s, a->words);
	else
		examine(&s);
	const char *said = fuzz_captured(&len);
	if (which != 1 && which != 2)
		fuzz_check_printable(said, len);
	fuzz_check(fake_redis_open() == 0 && fake_loop_timers() == 0, "something is left");
	fake_redis_reset();
}
