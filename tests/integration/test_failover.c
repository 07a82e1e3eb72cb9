/* SPDX-License-Identifier: Apache-2.0 */
/* A broker with a share of many clients is killed while messages come at an even
 * pace: `restante bench failover` says when its clients are served elsewhere and what
 * the others notice. The environment makes it large: docs/testing.md. */
#include "support/chance.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { CLIENTS = 300, HEARTBEAT_S = 1, PACE = 100, SECONDS = 5, SERVED_S = 60, IN_FLIGHT = 4096 };

static struct stack s;
static FILE *bench;
static json_t *figures;

static void stop(void)
{
	stack_stop(&s);
	if (bench)
		pclose(bench);
	bench = NULL;
	json_decref(figures);
	figures = NULL;
}
TestSuite(failover, .fini = stop, .timeout = 900);

/* RESTANTE_FAILOVER_APART=1, on a machine of two cores: the clients and the balancers,
 * which in life stand elsewhere, share a core; Redis, the DC and the brokers the other. */
static void pin(pid_t pid, int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	cr_assert_eq(sched_setaffinity(pid, sizeof set, &set), 0);
}

static void set_apart(void)
{
	pin(0, 1); /* the benchmark, too, which is started by this */
	for (unsigned i = 0; i < s.options.lbs; i++)
		pin(s.lb[i].process.pid, 1);
	for (unsigned i = 0; i < s.options.mbs; i++)
		pin(s.mb[i].process.pid, 0);
	pin(s.dc[0].process.pid, 0);
	pin(s.redis.pid, 0);
}

static double figure(const char *name)
{
	json_t *v = json_object_get(figures, name);
	cr_assert(json_is_number(v), "no figure %s", name);
	return json_number_value(v);
}

static void start_bench(unsigned clients, const struct stack_daemon *victim)
{
	char command[1024], path[TEMP_PATH_MAX];
	temp_file(&s.dir, "chat.key", STACK_KEY, 0600, path);
	snprintf(command, sizeof command,
		 "exec chrt --idle 0 %s/restante --redis 127.0.0.1:%u --dc 127.0.0.1:%u --app chat --app-key-file %s "
		 "bench failover --json --broker %s --metrics 127.0.0.1:%u --count %u --pace %u --seconds %u 2>&1",
		 RESTANTE_BIN_DIR, (unsigned)s.redis.port, (unsigned)s.dc[0].front, path, victim->id,
		 (unsigned)victim->http, clients, (unsigned)from_env("RESTANTE_LOAD_RATE", PACE),
		 (unsigned)from_env("RESTANTE_FAILOVER_SECONDS", SECONDS));
	bench = popen(command, "re");
	cr_assert_not_null(bench);
}

static void wait_for_line(char *line, int cap, const char *text)
{
	do
		cr_assert(fgets(line, cap, bench), "it ends without \"%s\"", text);
	while (fputs(line, stderr), !strstr(line, text));
}

static unsigned peak_in_flight(void)
{
	double most = 0;
	for (unsigned i = 1; i < s.options.mbs; i++) {
		double peak = stack_metric(&s.mb[i], "redis_in_flight_peak");
		most = peak > most ? peak : most;
	}
	double dc = stack_metric(&s.dc[0], "dc_redis_in_flight_peak");
	fprintf(stderr, "requests under way to Redis at most: a broker %.0f, the DC %.0f\n", most, dc);
	cr_expect(most > 0 && dc > 0);
	return (unsigned)(most > dc ? most : dc);
}

TestThen(stop, failover, clients_of_a_dead_broker_are_served_elsewhere)
{
	char line[2048];
	unsigned clients = (unsigned)from_env("RESTANTE_LOAD_USERS", CLIENTS);
	unsigned heartbeat_s = (unsigned)from_env("RESTANTE_FAILOVER_HEARTBEAT", HEARTBEAT_S);
	stack_start(&s, &(struct stack_options){
		.mbs = 3, .lbs = 2, .heartbeat_s = heartbeat_s, .lease_s = 10 * heartbeat_s /* as is the default */});
	if (from_env("RESTANTE_FAILOVER_APART", 0))
		set_apart();
	start_bench(clients, &s.mb[0]);
	wait_for_line(line, sizeof line, "kill it now");
	stack_kill(&s.mb[0]);
	wait_for_line(line, sizeof line, "{");
	figures = json_loads(strchr(line, '{'), 0, NULL);
	cr_assert_not_null(figures);
	cr_expect_gt(figure("moved"), clients / 6);
	cr_expect_eq(figure("served"), figure("moved"));
	cr_expect_lt(figure("served_p99_s"), SERVED_S);
	cr_expect_eq(figure("reconnected_others"), 0);
	cr_expect_gt(figure("sent"), 0);
	cr_expect_eq(figure("lost"), 0);
	cr_expect_leq(peak_in_flight(), IN_FLIGHT);
	cr_expect_eq(pclose(bench), 0);
	bench = NULL;
}
