/* SPDX-License-Identifier: Apache-2.0 */
/* What is alike in the three daemons, on the programs themselves: usage, HTTP,
 * the orderly stop, key files, privileges. (The parts: unit/app/.) */
#include "support/http_get.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/receiver.h"
#include "support/stack.h"
#include "wire/packet.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUT_MAX = 32768 };

static const char *const kinds[] = {"dc", "mb", "lb"};
static struct stack s;
static struct receiver r;
static struct temp_dir dir;
static char out[OUT_MAX];

static void stop(void)
{
	if (r.client)
		receiver_close(&r);
	stack_stop(&s);
}

static void make_dir(void) { temp_dir_make(&dir); }
static void remove_dir(void) { temp_dir_remove(&dir); }
TestSuite(usage, .init = make_dir, .fini = remove_dir, .timeout = 60);
TestSuite(daemons, .fini = stop, .timeout = 120);

/* ---- usage ---- */

/* Runs restante-<kind> with these arguments; all it says is in `out`. */
static int run(const char *kind, const char *arguments)
{
	char command[1024];
	snprintf(command, sizeof command, "cd %s && exec %s/restante-%s %s 2>&1", dir.path, RESTANTE_BIN_DIR,
		 kind, arguments);
	FILE *f = popen(command, "re");
	cr_assert_not_null(f);
	out[fread(out, 1, OUT_MAX - 1, f)] = '\0';
	int status = pclose(f);
	cr_assert(WIFEXITED(status), "%s: %s", command, out);
	return WEXITSTATUS(status);
}

Test(usage, help)
{
	static const char *const says[] = {
		"--help",    "--version",     "--check-config",        "--config FILE",
		"--redis",   "--listen-http", "--cluster-secret-file", "--run-as",
		"Exit codes"};
	char first[64];
	for (size_t k = 0; k < 3; k++) {
		cr_expect_eq(run(kinds[k], "--help"), 0);
		snprintf(first, sizeof first, "Usage: restante-%s", kinds[k]);
		cr_expect(strstr(out, first), "%s", out);
		for (size_t i = 0; i < sizeof says / sizeof *says; i++)
			cr_expect(strstr(out, says[i]), "%s does not tell of %s", kinds[k], says[i]);
	}
}

Test(usage, version)
{
	char is[64];
	for (size_t k = 0; k < 3; k++) {
		cr_expect_eq(run(kinds[k], "--version"), 0);
		snprintf(is, sizeof is, "restante-%s " RESTANTE_VERSION "\n", kinds[k]);
		cr_expect_str_eq(out, is);
	}
}

Test(usage, check_config_of_a_good_one)
{
	for (size_t k = 0; k < 3; k++) {
		cr_expect_eq(run(kinds[k], "--check-config --cluster-plaintext yes"), 0);
		cr_expect_str_eq(out, "configuration ok\n");
	}
	cr_expect_eq(rmdir(dir.path), 0, "a check makes nothing");
}

/* What is wrong is named, and what would be right. */
static const struct {
	const char *kinds, *arguments, *names, *right;
} wrong[] = {
	{"dc mb lb", "--redis=nonsense", "--redis", "127.0.0.1:"},
	{"dc mb lb", "--listen-http=127.0.0.1:99999", "--listen-http", "127.0.0.1:"},
	{"dc mb lb", "--log-level=loud", "--log-level", "debug"},
	{"dc mb lb", "--log-format=xml", "--log-format", "json"},
	{"dc mb lb", "'--id=a b'", "--id", "space"},
	{"dc mb lb", "--cluster-plaintext=perhaps", "--cluster-plaintext", "yes"},
	{"dc mb lb", "--cluster-secret-file=/nonexistent/file", "cluster_secret_file", "/nonexistent/file"},
	{"dc mb lb", "--redis-password-file=/nonexistent/file", "redis_password_file", "/nonexistent/file"},
	{"dc mb lb", "--run-as=no-such-user", "run_as", "no-such-user"},
	{"dc mb lb", "--listen-htp 127.0.0.1:1", "--listen-htp", "--listen-http"},
	{"dc mb lb", "--config=/nonexistent/file", "/nonexistent/file", "No such file"},
	{"dc mb lb", "extra", "extra", "--help"},
	{"dc mb lb", "--redis-timeout-ms=1", "--redis-timeout-ms", "60000"},
	{"dc", "--durability=often", "--durability", "fsync"},
	{"dc", "--queue-max-messages=0", "--queue-max-messages", "1"},
	{"dc", "--listen-apps=7100", "--listen-apps", "127.0.0.1:"},
	{"mb", "--heartbeat-s=0", "--heartbeat-s", "3600"},
	{"mb", "--lease-s=x", "--lease-s", "86400"},
	{"mb lb", "--advertise-clients=0.0.0.0:1", "advertise_clients", "address"},
};

Test(usage, check_config_names_what_is_wrong)
{
	char arguments[256];
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		for (size_t k = 0; k < 3; k++) {
			if (!strstr(wrong[i].kinds, kinds[k]))
				continue;
			const char *plain =
				strstr(wrong[i].arguments, "cluster") ? "" : "--cluster-plaintext=yes";
			snprintf(arguments, sizeof arguments, "--check-config %s %s", plain,
				 wrong[i].arguments);
			cr_expect_eq(run(kinds[k], arguments), 2, "%s %s: %s", kinds[k], arguments, out);
			cr_expect(strstr(out, wrong[i].names) && strstr(out, wrong[i].right), "%s %s: %s",
				  kinds[k], arguments, out);
		}
	}
}

Test(usage, without_a_cluster_secret_none_starts)
{
	for (size_t k = 0; k < 3; k++) {
		cr_expect_eq(run(kinds[k], ""), 2);
		cr_expect(strstr(out, "cluster_secret_file"), "%s", out);
	}
}

/* ---- HTTP ---- */

static struct stack_daemon *of_kind(size_t k) { return k == 0 ? &s.dc[0] : k == 1 ? &s.mb[0] : &s.lb[0]; }

TestThen(stop, daemons, speak_http)
{
	static char page[HTTP_PAGE_MAX];
	char mark[32];
	stack_start(&s, &(struct stack_options){0});
	for (size_t k = 0; k < 3; k++) {
		struct addr at = stack_http(of_kind(k));
		cr_expect_eq(http_get(&at, "/healthz", page), 200);
		cr_expect_eq(http_get(&at, "/readyz", page), 200);
		cr_expect_eq(http_get(&at, "/metrics", page), 200);
		snprintf(mark, sizeof mark, "\nrestante_%s_", kinds[k]);
		cr_expect(strstr(page, mark), "%s", page);
		cr_expect(strstr(page, "# HELP ") && strstr(page, "# TYPE "));
		cr_expect_eq(http_get(&at, "/elsewhere", page), 404);
	}
}

TestThen(stop, daemons, say_why_they_are_not_ready)
{
	static char page[HTTP_PAGE_MAX];
	stack_start(&s, &(struct stack_options){0});
	struct addr dc = stack_http(&s.dc[0]), mb = stack_http(&s.mb[0]), lb = stack_http(&s.lb[0]);
	stack_kill(&s.dc[0]);
	RECEIVERS_UNTIL(&r, 0, http_get(&mb, "/readyz", page) == 503);
	cr_expect(strstr(page, "DC"), "%s", page);
	stack_restart(&s.dc[0]);
	RECEIVERS_UNTIL(&r, 0, http_get(&mb, "/readyz", page) == 200);
	redis_server_kill(&s.redis);
	RECEIVERS_UNTIL(&r, 0, http_get(&mb, "/readyz", page) == 503);
	cr_expect(strstr(page, "Redis"), "%s", page);
	RECEIVERS_UNTIL(&r, 0, http_get(&dc, "/readyz", page) == 503);
	cr_expect(strstr(page, "Redis"), "%s", page);
	cr_expect_eq(http_get(&mb, "/healthz", page), 200);
	redis_server_run(&s.redis);
	stack_wait_ready(&s.mb[0]);
	stack_kill(&s.mb[0]);
	RECEIVERS_UNTIL(&r, 0, http_get(&lb, "/readyz", page) == 503);
	cr_expect(strstr(page, "broker"), "%s", page);
}

/* ---- the stop ---- */

static unsigned stop_ms(struct stack_daemon *d)
{
	uint64_t began = clock_mono_ms();
	cr_assert_eq(kill(d->process.pid, SIGTERM), 0);
	cr_expect_eq(daemon_process_wait(&d->process, 5000), 0, "%s", d->id);
	return (unsigned)(clock_mono_ms() - began);
}

TestThen(stop, daemons, stop_in_order)
{
	stack_start(&s, &(struct stack_options){0});
	for (size_t k = 0; k < 3; k++) {
		unsigned ms = stop_ms(of_kind(k));
		cr_expect_leq(ms, 5000);
	}
	cr_expect_str_eq(redis_text(s.c, "KEYS rs:[bdl]*"), "[]", "what they said of themselves is gone");
}

/* Its clients are told, and go to the other broker at once. */
TestThen(stop, daemons, a_broker_that_stops_tells_its_clients)
{
	char session[STACK_SESSION], first[ADDR_TEXT_MAX];
	stack_start(&s, &(struct stack_options){.mbs = 2,
						.heartbeat_s = 60}); /* they hear of it in no other way */
	receiver_open(&r, &s, "alice", stack_session(&s, "alice", 600, session));
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
	snprintf(first, sizeof first, "%s", restante_broker(r.client));
	struct addr a = net_loopback(s.mb[0].front);
	char text[ADDR_TEXT_MAX];
	struct stack_daemon *its = strcmp(first, addr_format(&a, text)) == 0 ? &s.mb[0] : &s.mb[1];
	uint64_t began = clock_mono_ms();
	stop_ms(its);
	RECEIVERS_UNTIL(&r, 1, r.onlines == 2);
	cr_expect_eq(r.codes[CLOSE_SHUTDOWN], 1);
	cr_expect_neq(strcmp(restante_broker(r.client), first), 0);
	cr_expect_lt(clock_mono_ms() - began, 10000);
	const char *now = its == &s.mb[0] ? "mb2" : "mb1";
	cr_expect_str_eq(redis_text(s.c, "HGET rs:{alice}:presence broker"), now);
}

/* The last broker: presence is cleared, not left to expire. */
TestThen(stop, daemons, a_broker_that_stops_clears_presence)
{
	char session[STACK_SESSION];
	stack_start(&s, &(struct stack_options){.lease_s = 600});
	receiver_open(&r, &s, "alice", stack_session(&s, "alice", 600, session));
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
	stop_ms(&s.mb[0]);
	cr_expect_str_eq(redis_text(s.c, "HEXISTS rs:{alice}:presence broker"), "0");
	cr_expect_str_eq(redis_text(s.c, "HEXISTS rs:{alice}:presence seen"), "1");
	stack_restart(&s.mb[0]);
	RECEIVERS_UNTIL(&r, 1, r.onlines == 2);
}

/* ---- keys and privileges ---- */

static void read_key(const char *name, char text[80])
{
	char path[TEMP_PATH_MAX];
	FILE *f = fopen(temp_path(&s.dir, name, path), "re");
	cr_assert(f && fgets(text, 80, f), "%s", path);
	fclose(f);
}

static unsigned mode_of(const char *name)
{
	struct stat st;
	char path[TEMP_PATH_MAX];
	cr_assert_eq(stat(temp_path(&s.dir, name, path), &st), 0);
	return st.st_mode & 07777;
}

TestThen(stop, daemons, keep_their_keys)
{
	char mb[80], lb[80], now[80];
	stack_start(&s, &(struct stack_options){0});
	cr_expect_eq(mode_of("mb1.key"), 0600);
	cr_expect_eq(mode_of("lb.key"), 0600);
	read_key("mb1.key.pub", mb);
	read_key("lb.key.pub", lb);
	stack_kill(&s.mb[0]);
	stack_kill(&s.lb[0]);
	stack_restart(&s.mb[0]);
	stack_restart(&s.lb[0]);
	stack_wait_ready(&s.mb[0]);
	stack_wait_ready(&s.lb[0]);
	read_key("mb1.key.pub", now);
	cr_expect_str_eq(now, mb);
	read_key("lb.key.pub", now);
	cr_expect_str_eq(now, lb);
	cr_expect_neq(strcmp(mb, lb), 0);
}

static void expect_not_root(const struct stack_daemon *d)
{
	char path[64], line[256] = "";
	unsigned id[4] = {0}, lines = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)d->process.pid);
	FILE *f = fopen(path, "re");
	cr_assert_not_null(f);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%*[UG]id: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]) == 4) {
			cr_expect(id[0] && id[1] && id[2] && id[3], "%s: %s", d->id, line);
			lines++;
		}
	fclose(f);
	cr_expect_eq(lines, 2);
}

TestThen(stop, daemons, give_up_root)
{
	char session[STACK_SESSION];
	if (geteuid() != 0)
		return; /* there is nothing to give up */
	stack_start(&s, &(struct stack_options){.run_as = "nobody"});
	for (size_t k = 0; k < 3; k++)
		expect_not_root(of_kind(k));
	receiver_open(&r, &s, "alice", stack_session(&s, "alice", 600, session));
	RECEIVERS_UNTIL(&r, 1, receiver_is_online(&r));
}
