/* SPDX-License-Identifier: Apache-2.0 */
#include "support/daemon_process.h"

#include "base/clock.h"
#include "support/net_support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, STOP_MS = 10000, LIFE_MAX_S = 600 };

static void show_log(const struct daemon_process *d)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(d->log, "re");
	while (f && fgets(line, sizeof line, f))
		fprintf(stderr, "  %s| %s", d->name, line);
	if (f)
		fclose(f);
}

static _Noreturn void fail(struct daemon_process *d, const char *what, const char *detail)
{
	fprintf(stderr, "daemon_process: %s: %s %s\n", d->name, what, detail);
	show_log(d);
	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		waitpid(d->pid, NULL, 0);
	}
	unlink(d->log);
	abort();
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); }

static _Noreturn void exec_program(const char *const *argv, const char *const *env, int log, pid_t parent)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", RESTANTE_BIN_DIR, argv[0]);
	/* Lost when the daemon gives up root, so it is told not to; the alarm stays. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("RESTANTE_RUN_AS", "root", 0);
	alarm(LIFE_MAX_S);
	if (getppid() != parent)
		_exit(126); /* the parent was gone before the line above */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, 0);
	dup2(log, 1); /* a daemon writes nothing there; if it does, the test should see it */
	dup2(log, 2);
	close_range(3, ~0u, 0); /* a socket of the test must not live on in here */
	for (size_t i = 0; env && env[i]; i++)
		putenv((char *)(uintptr_t)env[i]);
	execv(path, (char *const *)(uintptr_t)argv);
	dprintf(2, "msg=\"cannot run %s: %s\"\n", path, strerror(errno));
	_exit(127);
}

void daemon_process_start(struct daemon_process *d, const char *const *argv, const char *const *env)
{
	pid_t parent = getpid();
	*d = (struct daemon_process){.name = argv[0]};
	temp_template("rs-daemon-XXXXXX", d->log);
	int log = mkostemp(d->log, O_CLOEXEC | O_APPEND);
	if (log < 0)
		fail(d, "mkstemp", strerror(errno));
	d->pid = fork();
	if (d->pid < 0)
		fail(d, "fork", strerror(errno));
	if (d->pid == 0)
		exec_program(argv, env, log, parent);
	close(log);
}

bool daemon_process_runs(struct daemon_process *d)
{
	siginfo_t info = {0};
	if (d->pid <= 0)
		return false;
	return waitid(P_PID, (id_t)d->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

/* Where the value of ` key=` begins in the line, or NULL; *len without quotes. */
static const char *find_value(const char *line, const char *key, size_t *len)
{
	char mark[64];
	snprintf(mark, sizeof mark, " %s=", key);
	const char *at = strstr(line, mark);
	if (!at)
		return NULL;
	at += strlen(mark);
	bool quoted = *at == '"';
	at += quoted;
	*len = strcspn(at, quoted ? "\"\n" : " \n");
	return at;
}

static bool find_line(const struct daemon_process *d, const char *msg, char line[LINE_MAX_BYTES])
{
	bool found = false;
	FILE *f = fopen(d->log, "re");
	while (f && !found && fgets(line, LINE_MAX_BYTES, f)) {
		size_t len = 0;
		const char *value = find_value(line, "msg", &len);
		found = value && strchr(line, '\n') && len == strlen(msg) && memcmp(value, msg, len) == 0;
	}
	if (f)
		fclose(f);
	return found;
}

static void wait_line(struct daemon_process *d, const char *msg, char line[LINE_MAX_BYTES])
{
	uint64_t until = clock_mono_ms() + DAEMON_WAIT_MS;
	for (;;) {
		bool runs = daemon_process_runs(d);
		if (find_line(d, msg, line))
			return;
		if (!runs)
			fail(d, "ended before it logged", msg);
		if (clock_mono_ms() > until)
			fail(d, "did not log in time:", msg);
		nap();
	}
}

void daemon_process_wait_log(struct daemon_process *d, const char *msg)
{
	char line[LINE_MAX_BYTES];
	wait_line(d, msg, line);
}

void daemon_process_log_value(struct daemon_process *d, const char *msg, const char *key, char *out,
			      size_t cap)
{
	char line[LINE_MAX_BYTES];
	size_t len = 0;
	wait_line(d, msg, line);
	const char *value = find_value(line, key, &len);
	if (!value || len >= cap)
		fail(d, "logged no such value:", key);
	memcpy(out, value, len);
	out[len] = '\0';
}

struct addr daemon_process_log_addr(struct daemon_process *d, const char *msg, const char *key)
{
	char text[ADDR_TEXT_MAX];
	struct addr a = {0};
	daemon_process_log_value(d, msg, key, text, sizeof text);
	if (addr_parse(text, &a))
		fail(d, "logged no address:", text);
	return a;
}

bool daemon_process_logged(const struct daemon_process *d, const char *text)
{
	char line[LINE_MAX_BYTES];
	bool found = false;
	FILE *f = fopen(d->log, "re");
	while (f && !found && fgets(line, sizeof line, f))
		found = strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return found;
}

void daemon_process_wait_port(struct daemon_process *d, uint16_t port)
{
	struct addr to = net_loopback(port);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&to, &ss);
	for (uint64_t until = clock_mono_ms() + DAEMON_WAIT_MS; clock_mono_ms() < until; nap()) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int err = connect(fd, (struct sockaddr *)&ss, len);
		close(fd);
		if (!err)
			return;
		if (!daemon_process_runs(d))
			fail(d, "ended before it listened", "");
	}
	fail(d, "does not listen", "");
}

int daemon_process_wait(struct daemon_process *d, unsigned timeout_ms)
{
	uint64_t until = clock_mono_ms() + timeout_ms;
	int status = 0;
	while (waitpid(d->pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > until)
			fail(d, "does not end", "");
		nap();
	}
	d->pid = 0;
	d->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return d->code;
}

int daemon_process_stop(struct daemon_process *d)
{
	if (d->pid > 0) {
		kill(d->pid, SIGTERM);
		daemon_process_wait(d, STOP_MS);
	}
	if (d->code != 0)
		show_log(d);
	unlink(d->log);
	return d->code;
}

void daemon_process_stop_clean(struct daemon_process *d)
{
	if (daemon_process_stop(d) == 0)
		return;
	fprintf(stderr, "daemon_process: %s did not end in order: %d\n", d->name, d->code);
	abort();
}

void daemon_process_kill(struct daemon_process *d)
{
	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		waitpid(d->pid, NULL, 0);
	}
	d->pid = 0;
	unlink(d->log);
}
