/* SPDX-License-Identifier: Apache-2.0 */
/* Forged handshakes, 50,000 a second, at a broker and at a balancer, from a
 * million addresses, the clients' own among them. Clients that are online lose
 * nothing, a new one gets in, and what is flooded answers with less than it gets
 * and does not grow.
 *
 * Each flood prints a line of figures. CTest keeps it, also when all is well:
 *   ./run test --compiler gcc integration/flood
 *   grep '^flood ' build-gcc/Testing/Temporary/LastTest.log */
#include "support/flood.h"

#include "base/bytes.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <criterion/hooks.h>
#include <criterion/options.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif

#ifdef WITH_ASAN /* slower, and keeps what was freed for a while: no growth can be seen */
enum { LOGIN_MOST_MS = 15000, GROWTH_MOST = 1 << 30 };
#else
enum { LOGIN_MOST_MS = 3000, GROWTH_MOST = 4 << 20 };
#endif

enum {
	OLD = 10, NEW = 4, ALL = OLD + NEW, /* online before, coming while it lasts */
	PER_S = 50000,
	WARM_UP_MS = 2500, /* a first flood, that fills the tables */
	FLOOD_MS = 6000,
	SEND_EVERY_MS = 20,
};

static struct stack s;
static struct receiver r[ALL];
static struct flood flood;
static struct text_client app = {.fd = -1};
static unsigned sent; /* message n goes to user n % OLD */
static uint64_t send_ms;

/* What is measured of the flooded daemon, now or as the difference of two times. */
struct load {
	double cpu_s, memory, in, lost, cookies, shed;
};

/* One flood at a time: each is to have the machine. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	(void)tests;
	criterion_options.jobs = 1;
}

static void stop(void)
{
	flood_kill(&flood);
	text_client_close(&app);
	for (unsigned i = 0; i < ALL; i++)
		if (r[i].client)
			receiver_close(&r[i]);
	stack_stop(&s);
}
TestSuite(flood, .fini = stop, .timeout = 120);

static void open_user(unsigned i)
{
	char session[STACK_SESSION], user[8];
	snprintf(user, sizeof user, "u%u", i);
	receiver_open(&r[i], &s, user, stack_session(&s, user, 600, session));
}

static bool are_online(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		if (!r[i].client || !receiver_is_online(&r[i]))
			return false;
	return true;
}

static void start(void)
{
	stack_start(&s, &(struct stack_options){0});
	for (unsigned i = 0; i < OLD; i++)
		open_user(i);
	RECEIVERS_UNTIL(r, OLD, are_online(0, OLD));
	stack_client(&s, &app);
}

/* ---- what goes on meanwhile ---- */

static void send_one(void)
{
	char body[16];
	int len = snprintf(body, sizeof body, "%u", sent / OLD);
	struct text_answer a = text_client_ask(&app, "SEND 1\r\nto u%u\r\nlength %d\r\n\r\n%s", sent % OLD, len,
					       body);
	cr_assert_eq(a.code, 200, "%s", a.text);
	sent++;
}

static void turn(unsigned clients)
{
	uint64_t now = clock_mono_ms();
	if (now >= send_ms) {
		send_one();
		send_ms = now + SEND_EVERY_MS;
	}
	receivers_turn(r, clients, 5);
}

/* How long one that comes now takes to get online. */
static unsigned log_in(unsigned i)
{
	uint64_t began = clock_mono_ms();
	open_user(i);
	while (!receiver_is_online(&r[i]) && clock_mono_ms() < began + LOGIN_MOST_MS)
		turn(i + 1);
	return (unsigned)(clock_mono_ms() - began);
}

/* Of NEW clients, the one that took longest. */
static unsigned log_in_all(void)
{
	unsigned worst = 0;
	for (unsigned i = OLD; i < ALL; i++) {
		uint64_t next = clock_mono_ms() + FLOOD_MS / NEW;
		while (clock_mono_ms() < next)
			turn(i);
		unsigned ms = log_in(i);
		worst = ms > worst ? ms : worst;
	}
	return worst;
}

static void close_new(void)
{
	for (unsigned i = OLD; i < ALL; i++)
		receiver_close(&r[i]);
}

/* ---- what came of it ---- */

static double metric(const struct stack_daemon *d, const char *name)
{
	char full[64];
	snprintf(full, sizeof full, "%s_%s", d->kind, name);
	return stack_metric(d, full);
}

static struct load load_of(const struct stack_daemon *d)
{
	return (struct load){
		.cpu_s = stack_metric(d, "cpu_seconds_total"), .memory = stack_metric(d, "resident_bytes"),
		.in = metric(d, "udp_received_total"), .lost = metric(d, "udp_lost_total"),
		.cookies = metric(d, "cookies_sent_total"),
		.shed = metric(d, strcmp(d->kind, "lb") == 0 ? "asks_shed_total" : "handshakes_shed_total")};
}

static void report(const char *what, const struct flood_counts *c, const struct load *a, const struct load *b,
		   unsigned login_ms)
{
	double seconds = (double)c->ms / 1000;
	fprintf(stderr,
		"flood %s: %.0f/s for %.1f s; login %u ms; cpu %.0f %%; in %.0f kB/s, out to the forger %.0f kB/s;"
		" %.0f read, %.0f dropped by the kernel, %.0f cookies asked, %.0f shed; memory %.1f to %.1f MiB\n",
		what, (double)c->sent / seconds, seconds, login_ms, 100 * (b->cpu_s - a->cpu_s) / seconds,
		(double)c->sent_bytes / seconds / 1000, (double)c->back_bytes / seconds / 1000, b->in - a->in,
		b->lost - a->lost, b->cookies - a->cookies, b->shed - a->shed, a->memory / 1048576, b->memory / 1048576);
}

static bool all_shown(void)
{
	for (unsigned i = 0; i < OLD; i++)
		if (r[i].count < sent / OLD + (i < sent % OLD))
			return false;
	return true;
}

static void expect_no_loss(void)
{
	char body[16];
	RECEIVERS_UNTIL(r, OLD, all_shown());
	for (unsigned i = 0; i < OLD; i++) {
		cr_expect_eq(r[i].count, sent / OLD + (i < sent % OLD), "u%u was shown some twice", i);
		cr_expect_eq(r[i].onlines, 1, "u%u was online %u times", i, r[i].onlines);
		for (unsigned n = 0; n < r[i].count; n++)
			cr_assert(receiver_was_shown(&r[i], n, body,
						     (size_t)snprintf(body, sizeof body, "%u", n)),
				  "u%u, message %u: %s", i, n, (const char *)r[i].shown[n].body);
	}
	cr_expect_eq(stack_metric(&s.mb[0], "mb_timeouts_total"), 0);
}

/* ---- floods ---- */

static void begin(const struct stack_daemon *d, enum flood_kind kind)
{
	struct flood_plan p = {.kind = kind, .port = d->front, .per_s = PER_S, .asks = strcmp(d->kind, "lb") == 0};
	const char *kind_name = p.asks ? "lb" : "broker";
	cr_assert_eq(hex_decode(redis_text(s.c, "HGET rs:%s:%s key", kind_name, d->id), p.key, sizeof p.key), RS_OK);
	flood_start(&flood, &p);
}

static void warm_up(const struct stack_daemon *d, enum flood_kind kind)
{
	begin(d, kind);
	for (uint64_t until = clock_mono_ms() + WARM_UP_MS; clock_mono_ms() < until;)
		turn(OLD);
	flood_end(&flood);
	RECEIVERS_UNTIL(r, OLD, all_shown());
}

/* One flood; how long the slowest login took. */
static unsigned play_once(const struct stack_daemon *d, const char *what, enum flood_kind kind)
{
	struct load before = load_of(d);
	begin(d, kind);
	unsigned login_ms = log_in_all();
	struct flood_counts c = flood_end(&flood);
	struct load after = load_of(d);
	report(what, &c, &before, &after, login_ms);
	cr_expect_gt(c.sent, 0);
	double read = (after.in - before.in) / (double)c.sent; /* the rest never reached it */
	cr_expect_lt((double)c.back_bytes, read * (double)c.sent_bytes, "%s: more goes out than comes in", what);
	cr_expect_lt(after.memory - before.memory, GROWTH_MOST, "%s: memory grew", what);
	expect_no_loss();
	close_new();
	return login_ms;
}

/* A machine that has other things to do may take the broker's core away for seconds,
 * but not three times in a row. */
static void play(const struct stack_daemon *d, const char *what, enum flood_kind kind)
{
	unsigned login_ms = UINT_MAX;
	warm_up(d, kind);
	for (int tries = 0; tries < 3 && login_ms >= LOGIN_MOST_MS; tries++)
		login_ms = play_once(d, what, kind);
	cr_expect_lt(login_ms, LOGIN_MOST_MS, "%s: nobody could log in within %u ms", what, login_ms);
}

TestThen(stop, flood, of_a_broker_with_what_costs_a_key_agreement)
{
	start();
	play(&s.mb[0], "broker, random", FLOOD_RANDOM);
}

TestThen(stop, flood, of_a_broker_with_handshakes_made_ahead)
{
	start();
	play(&s.mb[0], "broker, made ahead", FLOOD_MADE_AHEAD);
}

TestThen(stop, flood, of_a_broker_with_cookies)
{
	start();
	play(&s.mb[0], "broker, cookies", FLOOD_COOKIES);
}

TestThen(stop, flood, of_a_balancer)
{
	start();
	play(&s.lb[0], "balancer, random", FLOOD_RANDOM);
	play(&s.lb[0], "balancer, made ahead", FLOOD_MADE_AHEAD);
	play(&s.lb[0], "balancer, cookies", FLOOD_COOKIES);
}
