/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny daemon is run in a child process; the test reads what it writes, sends
 * it signals and talks to its HTTP port. */
#include "app/daemon.h"
#include "base/clock.h"
#include "base/log.h"
#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_LSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_LSAN 1
#endif
#ifdef WITH_LSAN
#include <sanitizer/lsan_interface.h>
#endif

#define DEADLINE_MS 15000
#define SECRET "a secret of the cluster"

/* --- the daemon, in the child --- */

struct tiny_config {
	struct daemon_config common;
	struct addr listen_tiny;
	int64_t workers;
};

static const struct setting table[] = {
	DAEMON_SETTINGS(struct tiny_config, "tiny1", "127.0.0.1:0"),
	SETTING(struct tiny_config, listen_tiny, SETTING_ADDR, "127.0.0.1:7100", "TCP for nobody"),
	SETTING_RANGE(struct tiny_config, workers, "4", 1, 64, "how many workers"),
};

struct tiny {
	struct ev_loop *loop;
	mode_t umask;
	const char *not_ready;
};

static int tiny_check(const void *config, char *fault, size_t cap)
{
	const struct tiny_config *c = config;
	if (c->workers != 13)
		return RS_OK;
	snprintf(fault, cap, "workers = 13: brings bad luck; write another number");
	return RS_EINVAL;
}

static int tiny_start(struct ev_loop *loop, const void *config, const void *secret, size_t secret_len,
		      void **app, char *fault, size_t cap)
{
	const struct tiny_config *c = config;
	log_info("tiny start", LOG_BYTES("secret", secret, secret_len), LOG_INT("uid", geteuid()));
	if (c->workers == 14) {
		snprintf(fault, cap, "listen_tiny 127.0.0.1:7100: Address already in use");
		return RS_ESYS;
	}
	struct tiny *t = calloc(1, sizeof *t);
	t->loop = loop;
	t->umask = umask(077);
	*app = t;
	return RS_OK;
}

static void tiny_stop(void *app)
{
	struct tiny *t = app;
	log_info("tiny stop");
	daemon_stopped(t->loop);
}

static void tiny_stop_never(void *app)
{
	(void)app;
	log_info("tiny stop");
}

static void tiny_free(void *app)
{
	log_info("tiny free");
	free(app);
}

static void tiny_reload(void *app)
{
	((struct tiny *)app)->not_ready = "was reloaded";
	log_info("tiny reload");
}

static const char *tiny_not_ready(void *app) { return ((struct tiny *)app)->not_ready; }

/* What cannot be seen from outside goes out as metrics. */
static void tiny_metrics(void *app, struct metrics *m)
{
	struct tiny *t = app;
	struct sigaction pipe_action;
	sigaction(SIGPIPE, NULL, &pipe_action);
	metrics_gauge(m, "tiny_uid", "Uid.", geteuid());
	metrics_gauge(m, "tiny_gid", "Gid.", getegid());
	metrics_gauge(m, "tiny_groups", "Groups.", getgroups(0, NULL));
	metrics_gauge(m, "tiny_root_again", "Whether root can be had back.", seteuid(0) == 0 || setuid(0) == 0);
	metrics_gauge(m, "tiny_no_new_privs", "No new privileges.", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	metrics_gauge(m, "tiny_dumpable", "Dumpable.", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	metrics_gauge(m, "tiny_umask", "Umask in start().", t->umask);
	metrics_gauge(m, "tiny_sigpipe_ignored", "SIGPIPE.", pipe_action.sa_handler == SIG_IGN);
}

static struct daemon tiny = {
	.prog = "restante-tiny",
	.summary = "does nothing, in order",
	.settings = table,
	.setting_count = sizeof table / sizeof *table,
	.config_size = sizeof(struct tiny_config),
	.check = tiny_check,
	.start = tiny_start,
	.stop = tiny_stop,
	.free = tiny_free,
	.reload = tiny_reload,
	.not_ready = tiny_not_ready,
	.metrics = tiny_metrics,
};

/* --- the child, seen from the test --- */

static struct temp_dir dir;
static pid_t child;
static int out_fd = -1, err_fd = -1;
static char out[16384], err[16384];
static size_t out_len, err_len;

static _Noreturn void be_child(int out_to, int err_to, char **args)
{
	int argc = 0;
	char *argv[20] = {(char *)(uintptr_t)tiny.prog};
	for (argc = 1; args[argc - 1]; argc++)
		argv[argc] = args[argc - 1];
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* lost when the daemon gives up root ... */
	alarm(60);                        /* ... but this is not */
	dup2(out_to, STDOUT_FILENO);
	dup2(err_to, STDERR_FILENO);
	int code = daemon_main(&tiny, argc, argv);
	fflush(stdout);
#ifdef WITH_LSAN
	/* 99: leaks. Its remarks must not mix with what the test compares. */
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	if (__lsan_do_recoverable_leak_check())
		code = 99;
#endif
	_exit(code);
}

static void launch_args(char **args)
{
	int o[2], e[2];
	cr_assert_eq(pipe2(o, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(e, O_CLOEXEC), 0);
	fflush(NULL);
	out_len = err_len = 0;
	out[0] = err[0] = '\0';
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0)
		be_child(o[1], e[1], args);
	close(o[1]);
	close(e[1]);
	out_fd = o[0];
	err_fd = e[0];
}
#define LAUNCH(...) launch_args((char *[]){__VA_ARGS__ __VA_OPT__(,) NULL})
/* As most tests want it. */
#define PLAIN "--cluster-plaintext", "yes", "--run-as", "root"

static void take(int *fd, char *text, size_t cap, size_t *len)
{
	ssize_t n = read(*fd, text + *len, cap - 1 - *len);
	if (n > 0) {
		*len += (size_t)n;
		text[*len] = '\0';
		return;
	}
	close(*fd);
	*fd = -1;
}

/* Reads until `what` stands in the log (NULL: until the child is gone). */
static bool hear(const char *what)
{
	uint64_t until = clock_mono_ms() + DEADLINE_MS;
	while (!what || !strstr(err, what)) {
		uint64_t now = clock_mono_ms();
		struct pollfd p[2] = {{.fd = out_fd, .events = POLLIN}, {.fd = err_fd, .events = POLLIN}};
		if (out_fd < 0 && err_fd < 0)
			return !what;
		if (now >= until || poll(p, 2, (int)(until - now)) <= 0)
			return false;
		if (p[0].revents)
			take(&out_fd, out, sizeof out, &out_len);
		if (p[1].revents)
			take(&err_fd, err, sizeof err, &err_len);
	}
	return true;
}

/* The exit code; -1: it did not end by itself in time, or by a signal. */
static int wait_end(void)
{
	int status;
	if (!hear(NULL))
		return -1;
	cr_assert_eq(waitpid(child, &status, 0), child);
	child = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void await_start(void) { cr_assert(hear("msg=started"), "did not start: %s", err); }

static void set_up(void) { temp_dir_make(&dir); }

static void tear_down(void)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	temp_dir_remove(&dir);
}

TestSuite(daemon, .init = set_up, .fini = tear_down);

/* GET from the daemon's HTTP port, which stands in its log. */
static const char *get(const char *path)
{
	static char answer[16384];
	char request[128], text[ADDR_TEXT_MAX];
	struct addr a;
	struct sockaddr_storage ss;
	const char *at = strstr(err, "http listening\" address=");
	cr_assert_not_null(at, "%s", err);
	cr_assert_eq(sscanf(strchr(at, '='), "=%55s", text), 1);
	cr_assert_eq(addr_parse(text, &a), RS_OK);
	socklen_t ss_len = addr_to_sockaddr(&a, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = 10};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	cr_assert_eq(connect(fd, (struct sockaddr *)&ss, ss_len), 0, "%s: %s", text, strerror(errno));
	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	size_t len = 0;
	for (ssize_t n; (n = recv(fd, answer + len, sizeof answer - 1 - len, 0)) > 0;)
		len += (size_t)n;
	answer[len] = '\0';
	close(fd);
	return answer;
}

/* --- tests --- */

Test(daemon, help_tells_all)
{
	static const char *const wanted[] = {
		"restante-tiny: does nothing, in order\n", "Usage: restante-tiny ", "--check-config",
		"  --workers NUMBER\n      how many workers, 1 to 64\n      default 4; RESTANTE_WORKERS\n",
		"  --log-format logfmt|json\n", "RESTANTE_REDIS_PASSWORD_FILE",
		"Ports (defaults):", "127.0.0.1:7100         TCP for nobody (listen_tiny)\n",
		"Exit codes: 0 stopped in order, 1 failure, 2 wrong usage or configuration.\n",
	};
	setenv("RESTANTE_WORKERS", "nonsense", 1); /* help must help then, too */
	LAUNCH("--workers", "--help");
	cr_expect_eq(wait_end(), 0);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		cr_expect(strstr(out, wanted[i]), "lacks: %s\n%s", wanted[i], out);
	cr_expect_str_empty(err);
}

Test(daemon, version_is_one_line)
{
	LAUNCH("--version");
	cr_expect_eq(wait_end(), 0);
	cr_expect_str_eq(out, "restante-tiny " RESTANTE_VERSION "\n");
	cr_expect_str_empty(err);
}

Test(daemon, check_config_says_ok_and_starts_nothing)
{
	LAUNCH("--check-config", PLAIN);
	cr_expect_eq(wait_end(), 0);
	cr_expect_str_eq(out, "configuration ok\n");
	cr_expect_str_empty(err);
}

/* arguments (besides plaintext) -> what is said, exit code 2 */
static const struct {
	const char *args[4], *said;
} refusals[] = {
	{{"--workers", "65"}, "restante-tiny: --workers 65: out of range; must be from 1 to 64\n"},
	{{"--workers", "13"}, "restante-tiny: workers = 13: brings bad luck; write another number\n"},
	{{"now"}, "restante-tiny: unexpected argument \"now\"; --help lists what there is\n"},
	{{"--wrokers", "3"}, "restante-tiny: unexpected argument \"--wrokers\"; did you mean --workers?\n"},
	{{"--listen-htp", "3"}, "restante-tiny: unexpected argument \"--listen-htp\"; did you mean --listen-http?\n"},
	{{"--config", "/nonexistent/x.conf"}, "restante-tiny: /nonexistent/x.conf: No such file or directory\n"},
	{{"--config=/nonexistent/x.conf"}, "restante-tiny: /nonexistent/x.conf: No such file or directory\n"},
	{{"--config"}, "restante-tiny: --config: needs the name of a file\n"},
	{{"--log-level", "loud"}, "restante-tiny: --log-level loud: must be one of debug, info, warn, error\n"},
	{{"--id", ""}, "restante-tiny: --id \"\": is empty; write 1 to 64 bytes of printable UTF-8 without spaces or "
		       "braces\n"},
};

Test(daemon, a_wrong_configuration_is_refused_with_2)
{
	for (size_t i = 0; i < 2 * (sizeof refusals / sizeof *refusals); i++) {
		char *args[10] = {"--cluster-plaintext", "yes"};
		size_t n = 2;
		if (i % 2)
			args[n++] = "--check-config";
		for (size_t k = 0; k < 4 && refusals[i / 2].args[k]; k++)
			args[n++] = (char *)(uintptr_t)refusals[i / 2].args[k];
		launch_args(args);
		cr_expect_eq(wait_end(), 2, "%s", refusals[i / 2].said);
		cr_expect_str_eq(err, refusals[i / 2].said);
		cr_expect_str_empty(out);
	}
}

Test(daemon, the_file_is_named_by_flag_or_variable)
{
	char path[TEMP_PATH_MAX], other[TEMP_PATH_MAX], want[512];
	temp_file(&dir, "a.conf", "cluster_plaintext = true;\nworkers = 99;\n", 0644, path);
	temp_file(&dir, "b.conf", "cluster_plaintext = true;\n", 0644, other);
	snprintf(want, sizeof want, "restante-tiny: %s:2: workers = 99: out of range; must be from 1 to 64\n", path);
	LAUNCH("--check-config", "--config", path);
	cr_expect_eq(wait_end(), 2);
	cr_expect_str_eq(err, want);
	setenv("RESTANTE_CONFIG", path, 1);
	LAUNCH("--check-config");
	cr_expect_eq(wait_end(), 2);
	cr_expect_str_eq(err, want);
	LAUNCH("--check-config", "--config", other);
	cr_expect_eq(wait_end(), 0, "%s", err);
}

Test(daemon, the_cluster_secret_must_be_there_long_enough_and_private)
{
	char path[TEMP_PATH_MAX], want[512];
	LAUNCH("--check-config");
	cr_expect_eq(wait_end(), 2);
	cr_expect(strstr(err, "cluster_secret_file is not given; name a file"), "%s", err);
	temp_file(&dir, "short", "fifteen letters\n", 0600, path);
	LAUNCH("--check-config", "--cluster-secret-file", path);
	cr_expect_eq(wait_end(), 2);
	snprintf(want, sizeof want, "restante-tiny: cluster_secret_file: %s: the secret is too short; it needs at least 16 "
		 "characters\n", path);
	cr_expect_str_eq(err, want);
	temp_file(&dir, "open", SECRET "\n", 0644, path);
	LAUNCH("--check-config", "--cluster-secret-file", path);
	cr_expect_eq(wait_end(), 2);
	cr_expect(strstr(err, "others may use this file (mode 0644); run: chmod 600 "), "%s", err);
}

Test(daemon, the_secret_is_handed_to_start)
{
	char path[TEMP_PATH_MAX];
	temp_file(&dir, "secret", SECRET "\n", 0600, path);
	LAUNCH("--cluster-secret-file", path, "--run-as", "root");
	await_start();
	cr_expect(strstr(err, "secret=\"" SECRET "\""), "%s", err);
	cr_expect_null(strstr(err, "cluster_plaintext"));
}

Test(daemon, plaintext_links_are_warned_of)
{
	LAUNCH(PLAIN);
	await_start();
	cr_expect(strstr(err, "level=warn prog=restante-tiny msg=\"links inside the cluster are neither encrypted"), "%s",
		  err);
	cr_expect(strstr(err, "msg=started version=" RESTANTE_VERSION " id=tiny1"), "%s", err);
}

Test(daemon, a_signal_stops_it_in_order)
{
	static const int signals[] = {SIGTERM, SIGINT};
	for (size_t i = 0; i < 2; i++) {
		LAUNCH(PLAIN);
		await_start();
		uint64_t from = clock_mono_ms();
		kill(child, signals[i]);
		cr_expect_eq(wait_end(), 0, "%s", err);
		cr_expect_lt(clock_mono_ms() - from, 4000);
		const char *stop = strstr(err, "tiny stop"), *end = stop ? strstr(stop, "tiny free") : NULL;
		cr_expect_not_null(end, "%s", err);
		cr_expect_null(stop ? strstr(stop + 1, "tiny stop") : NULL);
	}
}

Test(daemon, without_stop_it_ends_at_once)
{
	tiny.stop = NULL;
	LAUNCH(PLAIN);
	await_start();
	kill(child, SIGTERM);
	cr_expect_eq(wait_end(), 0, "%s", err);
}

/* The one slow test here. */
Test(daemon, a_stop_that_never_ends_is_ended)
{
	tiny.stop = tiny_stop_never;
	LAUNCH(PLAIN);
	await_start();
	uint64_t from = clock_mono_ms();
	kill(child, SIGTERM);
	cr_assert(hear("tiny stop"));
	cr_expect(strstr(get("/readyz"), "503"), "a daemon that stops must not be ready");
	cr_expect_eq(wait_end(), 1, "%s", err);
	cr_expect_geq(clock_mono_ms() - from, 4900);
	cr_expect(strstr(err, "took too long"), "%s", err);
	cr_expect(strstr(err, "tiny free"), "%s", err);
}

Test(daemon, a_second_signal_ends_it_at_once)
{
	tiny.stop = tiny_stop_never;
	LAUNCH(PLAIN);
	await_start();
	uint64_t from = clock_mono_ms();
	kill(child, SIGTERM);
	cr_assert(hear("tiny stop"));
	kill(child, SIGINT);
	cr_expect_eq(wait_end(), 1, "%s", err);
	cr_expect_lt(clock_mono_ms() - from, 4000);
	cr_expect(strstr(err, "tiny free"), "%s", err);
}

Test(daemon, hangup_reloads)
{
	LAUNCH(PLAIN);
	await_start();
	cr_expect(strstr(get("/readyz"), "\r\n\r\nready\n"));
	kill(child, SIGHUP);
	cr_assert(hear("tiny reload"));
	cr_expect(strstr(get("/readyz"), "\r\n\r\nwas reloaded\n"));
	kill(child, SIGTERM);
	cr_expect_eq(wait_end(), 0);
}

Test(daemon, hangup_is_harmless_where_nothing_can_be_reloaded)
{
	tiny.reload = NULL;
	LAUNCH(PLAIN);
	await_start();
	kill(child, SIGHUP);
	cr_assert(hear("hangup ignored"));
	kill(child, SIGTERM);
	cr_expect_eq(wait_end(), 0);
}

Test(daemon, a_service_may_leave_out_what_it_does_not_have)
{
	tiny.check = NULL;
	tiny.not_ready = NULL;
	tiny.metrics = NULL;
	LAUNCH(PLAIN);
	await_start();
	cr_expect(strstr(get("/readyz"), "\r\n\r\nready\n"));
	cr_expect(strstr(get("/metrics"), "restante_build_info"));
}

Test(daemon, metrics_tell_of_the_process_and_the_service)
{
	static const char *const wanted[] = {
		"restante_build_info{version=\"" RESTANTE_VERSION "\"} 1\n", "\nrestante_uptime_seconds ",
		"\nrestante_resident_bytes ", "\nrestante_open_fds ", "\nrestante_loop_lag_seconds ",
		"\nrestante_tiny_umask 63\n", "\nrestante_tiny_sigpipe_ignored 1\n",
		"\nrestante_tiny_no_new_privs 1\n", "\nrestante_tiny_dumpable 0\n",
	};
	LAUNCH(PLAIN);
	await_start();
	const char *page = get("/metrics");
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		cr_expect(strstr(page, wanted[i]), "lacks: %s\n%s", wanted[i], page);
	double bytes = 0, fds = 0;
	sscanf(strstr(page, "\nrestante_resident_bytes "), "\nrestante_resident_bytes %lf", &bytes);
	sscanf(strstr(page, "\nrestante_open_fds "), "\nrestante_open_fds %lf", &fds);
	cr_expect_gt(bytes, 100000);
	cr_expect_gt(fds, 4);
}

Test(daemon, root_is_given_up_for_good)
{
	if (geteuid() != 0)
		cr_skip_test("only root can give up root");
	LAUNCH("--cluster-plaintext", "yes");
	await_start();
	cr_expect(strstr(err, "uid=0"), "start() must run while privileged: %s", err);
	cr_expect_null(strstr(err, "running as root"));
	const char *page = get("/metrics");
	cr_expect(strstr(page, "\nrestante_tiny_uid 65534\n"), "%s", page);
	cr_expect(strstr(page, "\nrestante_tiny_gid 65534\n"), "%s", page);
	cr_expect(strstr(page, "\nrestante_tiny_groups 1\n"), "%s", page);
	cr_expect(strstr(page, "\nrestante_tiny_root_again 0\n"), "%s", page);
	cr_expect_null(strstr(page, "\nrestante_open_fds 0\n"), "%s", page);
	kill(child, SIGTERM);
	cr_expect_eq(wait_end(), 0, "%s", err);
}

Test(daemon, staying_root_is_warned_of_and_an_unknown_user_refused)
{
	if (geteuid() != 0)
		cr_skip_test("only root has the choice");
	LAUNCH("--cluster-plaintext", "yes", "--run-as", "");
	await_start();
	cr_expect(strstr(err, "running as root"), "%s", err);
	kill(child, SIGTERM);
	cr_expect_eq(wait_end(), 0);
	LAUNCH("--cluster-plaintext", "yes", "--run-as", "no-such-user", "--check-config");
	cr_expect_eq(wait_end(), 2);
	cr_expect_str_eq(err, "restante-tiny: run_as = \"no-such-user\": no such user; write a user of this host, or root "
			      "to stay root\n");
}

Test(daemon, a_port_in_use_is_named)
{
	struct sockaddr_storage ss;
	struct addr a;
	char text[ADDR_TEXT_MAX], want[256];
	cr_assert_eq(addr_parse("127.0.0.1:0", &a), RS_OK);
	socklen_t len = addr_to_sockaddr(&a, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, 1) == 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	cr_assert_eq(addr_from_sockaddr(&ss, &a), RS_OK);
	LAUNCH(PLAIN, "--listen-http", (char *)(uintptr_t)addr_format(&a, text));
	cr_expect_eq(wait_end(), 1);
	snprintf(want, sizeof want, "msg=\"cannot start\" reason=\"listen_http %s: Address already in use\"", text);
	cr_expect(strstr(err, want), "%s", err);
	cr_expect_null(strstr(err, "tiny start"));
	close(fd);
}

Test(daemon, a_start_that_fails_ends_with_1)
{
	LAUNCH(PLAIN, "--workers", "14");
	cr_expect_eq(wait_end(), 1);
	cr_expect(strstr(err, "msg=\"cannot start\" reason=\"listen_tiny 127.0.0.1:7100: Address already in use\""), "%s",
		  err);
	cr_expect_null(strstr(err, "msg=started"));
	cr_expect_null(strstr(err, "tiny free"));
}

Test(daemon, logs_as_it_is_told)
{
	LAUNCH(PLAIN, "--log-format", "json", "--log-level", "info");
	cr_assert(hear("\"msg\":\"started\""), "%s", err);
	cr_expect_eq(err[0], '{');
	kill(child, SIGTERM);
	cr_expect_eq(wait_end(), 0);
	LAUNCH(PLAIN, "--log-level", "error", "--workers", "14");
	cr_expect_eq(wait_end(), 1);
	cr_expect_null(strstr(err, "level=info"));
}

Test(daemon, boot_numbers_differ)
{
	uint64_t a = daemon_boot(), b = daemon_boot();
	cr_expect_neq(a, 0);
	cr_expect_neq(a, b);
}
