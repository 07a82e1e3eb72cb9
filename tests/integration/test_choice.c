/* SPDX-License-Identifier: Apache-2.0 */
/* How the balancer chooses, on the real programs: prefixes from a file that is read
 * again on SIGHUP, zones, addresses for an ISP, and what `restante brokers --explain`
 * says of it. (The rule by cases: unit/lb/choose.) */
#include "support/cli_run.h"
#include "support/lone_client.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct stack s;
static struct temp_dir dir;
static char path[TEMP_PATH_MAX], prefixes_flag[TEMP_PATH_MAX + 16];

static void stop(void)
{
	stack_stop(&s);
	temp_dir_remove(&dir);
}
TestSuite(choice, .fini = stop, .timeout = 120);

static void write_prefixes(const char *text)
{
	unlink(path);
	temp_file(&dir, "prefixes", text, 0644, path);
}

static void start(const char *text)
{
	static const char *const eu[] = {"--zone=eu1", NULL};
	static const char *const us[] = {"--zone=us1", "--advertise-isp=home=127.0.0.7:7777", NULL};
	static const char *lb[] = {prefixes_flag, NULL};
	temp_dir_make(&dir);
	temp_path(&dir, "prefixes", path);
	write_prefixes(text);
	snprintf(prefixes_flag, sizeof prefixes_flag, "--prefixes=%s", path);
	stack_start(&s, &(struct stack_options){.mbs = 2, .own_flags = {eu, us}, .lb_flags = lb});
	RECEIVERS_UNTIL(NULL, 0, lone_client_ask(&s).count == 2);
}

static void hang_up(void) { cr_assert_eq(kill(s.lb[0].process.pid, SIGHUP), 0); }

static const char *explained(const char *address)
{
	static struct cli_result c;
	c = cli_run(&s.redis, "brokers --explain %s", address);
	cr_expect_eq(c.code, 0, "%s", c.out);
	return c.out;
}

/* The first that a client on this host is told. */
static struct addr first(void)
{
	struct frame_brokers all = lone_client_ask(&s);
	cr_assert_eq(all.count, 2);
	return all.at[0].address;
}

TestThen(stop, choice, by_prefixes_that_are_read_again)
{
	struct addr here, there;
	start("127.0.0.0/8 home eu1\n203.0.113.0/24 away us1\n");
	here = net_loopback(s.mb[0].front);
	cr_assert_eq(addr_parse("127.0.0.7:7777", &there), 0);
	for (int i = 0; i < 3; i++) {
		struct addr a = first();
		cr_expect(addr_equal(&a, &here));
	}
	const char *text = explained("127.0.0.1");
	cr_expect(strstr(text, "balancer lb1\naddress 127.0.0.1\nisp home\nzone eu1\n"), "%s", text);
	cr_expect(strstr(text, "\nmb1\n  verdict good"), "%s", text);
	cr_expect(strstr(text, "\nmb2\n  verdict far"), "%s", text);
	cr_expect(strstr(text, "told 127.0.0.7:7777"), "%s", text);
	text = explained("203.0.113.9");
	cr_expect(strstr(text, "\nisp away\nzone us1\n"), "%s", text);
	cr_expect(strstr(text, "\nmb1\n  verdict far"), "%s", text);
	text = explained("2001:db8::1");
	cr_expect(strstr(text, "address [2001:db8::1]\nisp - (in no prefix)\nzone -\n"), "%s", text);

	write_prefixes("127.0.0.0/8 home us1\n");
	hang_up();
	RECEIVERS_UNTIL(NULL, 0, stack_metric(&s.lb[0], "lb_prefix_reloads_total") == 1);
	cr_expect_eq(stack_metric(&s.lb[0], "lb_prefixes"), 1);
	struct addr a = first();
	cr_expect(addr_equal(&a, &there), "the address in its ISP");
}

TestThen(stop, choice, wrong_prefixes_leave_the_former_in_force)
{
	char says[TEMP_PATH_MAX + 64];
	start("127.0.0.0/8 home eu1\n");
	write_prefixes("127.0.0.0/8 home us1\n10.0.0.0/33 away\n");
	hang_up();
	RECEIVERS_UNTIL(NULL, 0, stack_metric(&s.lb[0], "lb_prefix_reload_failed_total") == 1);
	snprintf(says, sizeof says, "%s: line 2: ", path);
	cr_expect(daemon_process_logged(&s.lb[0].process, says));
	cr_expect_eq(stack_metric(&s.lb[0], "lb_prefixes"), 1);
	cr_expect(strstr(explained("127.0.0.1"), "\nisp home\nzone eu1\n"));
}

/* Brokers that have the same file measure, and tell the balancer. */
TestThen(stop, choice, by_what_brokers_measure)
{
	enum { CLIENTS = 10 };
	static struct receiver r[CLIENTS];
	static const char *flags[] = {prefixes_flag, NULL};
	char user[16], session[STACK_SESSION];
	unsigned shown = 0;
	temp_dir_make(&dir);
	temp_path(&dir, "prefixes", path);
	write_prefixes("127.0.0.0/8 home\n");
	snprintf(prefixes_flag, sizeof prefixes_flag, "--prefixes=%s", path);
	stack_start(&s, &(struct stack_options){.mb_flags = flags, .lb_flags = flags});
	for (size_t i = 0; i < CLIENTS; i++) {
		snprintf(user, sizeof user, "user%zu", i);
		receiver_open(&r[i], &s, user, stack_session(&s, user, 600, session));
		RECEIVERS_UNTIL(r, i + 1, receiver_is_online(&r[i]));
		stack_send(&s, user, "hello");
	}
	for (size_t i = 0; i < CLIENTS; i++)
		RECEIVERS_UNTIL(r, CLIENTS, r[i].count == 1);
	RECEIVERS_UNTIL(r, CLIENTS, stack_metric(&s.mb[0], "mb_prefixes") == 1);
	RECEIVERS_UNTIL(r, CLIENTS, strstr(explained("127.0.0.1"), "(measured)"));
	for (size_t i = 0; i < CLIENTS; i++) {
		shown += (unsigned)r[i].count;
		receiver_close(&r[i]);
	}
	cr_expect_eq(shown, CLIENTS);
}

TestThen(stop, choice, wrong_prefixes_do_not_start)
{
	char command[1024], out[1024];
	temp_dir_make(&dir);
	temp_path(&dir, "prefixes", path);
	write_prefixes("# table\n10.0.0.0/8\n");
	snprintf(command, sizeof command, "exec %s/restante-lb --cluster-plaintext yes --check-config --prefixes %s 2>&1",
		 RESTANTE_BIN_DIR, path);
	FILE *f = popen(command, "re");
	cr_assert_not_null(f);
	out[fread(out, 1, sizeof out - 1, f)] = '\0';
	cr_expect_neq(pclose(f), 0);
	snprintf(command, sizeof command, "prefixes: %s: line 2: the ISP is missing", path);
	cr_expect(strstr(out, command), "%s", out);
}

TestThen(stop, choice, explained_by_nobody)
{
	temp_dir_make(&dir);
	stack_start(&s, &(struct stack_options){0});
	struct cli_result c = cli_run(&s.redis, "brokers --explain nowhere");
	cr_expect_eq(c.code, 2, "%s", c.out);
	stack_kill(&s.lb[0]);
	c = cli_run(&s.redis, "brokers --explain 127.0.0.1");
	cr_expect_eq(c.code, 1, "%s", c.out);
	cr_expect(strstr(c.out, "no balancer could be asked"), "%s", c.out);
}
