/* SPDX-License-Identifier: Apache-2.0 */
/* `restante doctor` on a stack that is well, and on one with a fault: it names what is
 * wrong, and nothing that is right. */
#include "base/clock.h"
#include "support/cli_run.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct stack s;

static void stop(void) { stack_stop(&s); }
TestSuite(doctor, .fini = stop, .timeout = 120);

static const char *file_with(const char *name, const char *text, char path[TEMP_PATH_MAX])
{
	temp_file(&s.dir, name, text, 0600, path);
	return path;
}

static struct cli_result doctor(const char *app_key, const char *balancer_key)
{
	char dcs[128] = "", path[TEMP_PATH_MAX];
	for (unsigned i = 0; i < s.options.dcs; i++)
		snprintf(dcs + strlen(dcs), sizeof dcs - strlen(dcs), "%s127.0.0.1:%u", i ? "," : "",
			 (unsigned)s.dc[i].front);
	struct cli_result r = cli_run(&s.redis,
				      "--dc %s --app chat --app-key-file %s --balancers %s --balancer-keys %s doctor", dcs,
				      file_with("chat.key", app_key, path), stack_balancers(&s), balancer_key);
	fprintf(stderr, "%s", r.out);
	return r;
}

/* The registry hears of it a little later than /readyz. */
static struct cli_result doctor_when_ready(const char *balancer_key)
{
	uint64_t until = clock_mono_ms() + STACK_WAIT_MS;
	struct cli_result r;
	do {
		cr_assert_lt(clock_mono_ms(), until, "not all are ready");
		r = doctor(STACK_KEY, balancer_key);
	} while (strstr(r.out, "is not ready"));
	return r;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;
	for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
		n++;
	return n;
}

static void expect(const struct cli_result *r, int code, unsigned fails, unsigned warns)
{
	cr_expect_eq(r->code, code);
	cr_expect_eq(count(r->out, "\nFAIL "), fails);
	cr_expect_eq(count(r->out, "\nwarn "), warns);
}

TestThen(stop, doctor, all_is_well)
{
	stack_start(&s, &(struct stack_options){.dcs = 2, .mbs = 3, .lbs = 2});
	struct cli_result r = doctor_when_ready(stack_balancer_key(&s));
	expect(&r, 0, 0, 0);
	cr_expect(strstr(r.out, "2 dcs: dc1, dc2\n"));
	cr_expect(strstr(r.out, "3 brokers: mb1, mb2, mb3\n"));
	cr_expect(strstr(r.out, "2 lbs: lb1, lb2\n"));
	cr_expect_eq(count(r.out, "knows the App \"chat\"\n"), 2);
	cr_expect_eq(count(r.out, "shakes hands\n"), 2);
}

TestThen(stop, doctor, a_dead_broker_and_a_wrong_key_of_an_app)
{
	stack_start(&s, &(struct stack_options){.in_memory = true});
	stack_kill(&s.mb[0]);
	uint64_t until = clock_mono_ms() + STACK_WAIT_MS;
	while (!strstr(cli_run(&s.redis, "brokers").out, "silent"))
		cr_assert_lt(clock_mono_ms(), until, "the broker counts as alive");
	struct cli_result r = doctor("another key of sufficient length", stack_balancer_key(&s));
	expect(&r, 1, 3, 1 + count(r.out, "warn broker mb1 is silent") + /* some seconds later it is forgotten */
			 count(r.out, "warn lb lb1 is not ready: no broker is alive"));
	cr_expect(strstr(r.out, "warn Redis keeps no append-only file"));
	cr_expect(strstr(r.out, "FAIL no broker is alive: start restante-mb"));
	cr_expect(strstr(r.out, "401"));
	cr_expect(strstr(r.out, "answers, but has no broker to name"));
}

/* The second broker gets the id of the first; the third speaks without TLS, and so has no
 * link. */
TestThen(stop, doctor, who_is_not_ready)
{
	struct cli_result r;
	uint64_t until = clock_mono_ms() + STACK_WAIT_MS;
	stack_start(&s, &(struct stack_options){.mbs = 3});
	stack_kill(&s.mb[1]);
	strcpy(s.mb[1].id, "mb1");
	stack_restart(&s.mb[1]);
	stack_kill(&s.mb[2]);
	s.options.plaintext = true;
	stack_restart(&s.mb[2]);
	do {
		cr_assert_lt(clock_mono_ms(), until);
		r = doctor(STACK_KEY, stack_balancer_key(&s));
	} while (!strstr(r.out, "warn broker mb1 is not ready: another daemon has this id, too: give each its own\n") ||
		 !strstr(r.out, "warn broker mb3 is not ready: no link to a DC\n"));
	cr_expect_eq(count(r.out, "\nFAIL "), 0);
	cr_expect_not(stack_is_ready(&s.mb[0]));
	cr_expect_not(stack_is_ready(&s.mb[1]));
}

TestThen(stop, doctor, balancers_with_keys_of_their_own)
{
	char path[TEMP_PATH_MAX], key[80];
	stack_start(&s, &(struct stack_options){.lbs = 2});
	snprintf(key, sizeof key, "%s", stack_balancer_key(&s));
	stack_kill(&s.lb[1]);
	cr_assert_eq(unlink(temp_path(&s.dir, "lb.key", path)), 0);
	stack_restart(&s.lb[1]);
	stack_wait_ready(&s.lb[1]);
	struct cli_result r = doctor_when_ready(key);
	expect(&r, 1, 1, 1);
	cr_expect(strstr(r.out, "warn lbs lb1 and lb2 have different keys"));
	cr_expect(strstr(r.out, "has another key than balancer_keys"));
	cr_expect_eq(count(r.out, "shakes hands\n"), 1);
}
