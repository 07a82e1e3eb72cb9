/* SPDX-License-Identifier: Apache-2.0 */
#include "support/redis_server.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
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

enum { READY_MS = 20000, PORT_TRIES = 5, ARGS_MAX = 40 };

static _Noreturn void fail(const struct redis_server *s, const char *what)
{
	fprintf(stderr, "redis_server: %s (port %u, dir %s): %s\n", what, s->port, s->dir,
		strerror(errno));
	abort();
}

/* Free at this moment; another process may take it before Redis does, which is
 * why start tries again. */
static uint16_t free_port(const struct redis_server *s)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof sin) ||
	    getsockname(fd, (struct sockaddr *)&sin, &len))
		fail(s, "no free port");
	close(fd);
	return ntohs(sin.sin_port);
}

static _Noreturn void exec_server(const struct redis_server *s, pid_t parent)
{
	char port[8];
	const struct redis_options *o = &s->options;
	const char *argv[ARGS_MAX] = {
		"redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", s->dir,
		"--logfile", "redis.log", "--save", "", "--daemonize", "no",
		"--appendonly", o->append_always ? "yes" : "no", "--appendfsync", "always",
		"--auto-aof-rewrite-percentage", "0", /* its child would outlive a kill */
	};
	size_t n = 19;
	snprintf(port, sizeof port, "%u", s->port);
	if (o->password) {
		argv[n++] = "--requirepass";
		argv[n++] = o->password;
	}
	for (size_t i = 0; i < sizeof o->extra / sizeof *o->extra && o->extra[i]; i++)
		argv[n++] = o->extra[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126); /* the parent was gone before the line above */
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close_range(3, ~0u, 0); /* a socket of the test must not live on in here */
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* PONG within a moment, also while the server is still loading its file: no. */
static bool answers_ping(const struct redis_server *s)
{
	bool pong = false;
	redisContext *c = redisConnectWithTimeout("127.0.0.1", s->port, (struct timeval){0, 500000});
	redisReply *reply = NULL;
	if (!c || c->err || redisSetTimeout(c, (struct timeval){1, 0}) != REDIS_OK)
		goto out;
	if (s->options.password) {
		reply = redisCommand(c, "AUTH %s", s->options.password);
		freeReplyObject(reply);
	}
	reply = redisCommand(c, "PING");
	pong = reply && reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0;
	if (reply)
		freeReplyObject(reply);
out:
	if (c)
		redisFree(c);
	return pong;
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); }

/* False if the process ended, as it does when the port is taken. */
static bool launch(struct redis_server *s)
{
	uint64_t until = clock_mono_ms() + READY_MS;
	pid_t parent = getpid();
	s->pid = fork();
	if (s->pid < 0)
		fail(s, "fork");
	if (s->pid == 0)
		exec_server(s, parent);
	while (!answers_ping(s)) {
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			return false;
		}
		if (clock_mono_ms() > until)
			fail(s, "no answer to PING");
		nap();
	}
	/* The answer could be another server's that took the port first. */
	return waitpid(s->pid, NULL, WNOHANG) == 0 || (s->pid = 0);
}

void redis_server_start(struct redis_server *s, const struct redis_options *options)
{
	memset(s, 0, sizeof *s);
	if (options)
		s->options = *options;
	temp_template("rs-redis-XXXXXX", s->dir);
	if (!mkdtemp(s->dir))
		fail(s, "mkdtemp");
	for (int i = 0; i < PORT_TRIES; i++) {
		s->port = free_port(s);
		if (launch(s))
			return;
	}
	fail(s, "redis-server does not start, is it installed?");
}

void redis_server_run(struct redis_server *s)
{
	if (!launch(s))
		fail(s, "redis-server does not start again");
}

void redis_server_kill(struct redis_server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

/* Redis keeps files and one folder of files: two levels are enough. */
static void remove_dir(const char *path, int depth)
{
	char name[512];
	DIR *dir = opendir(path);
	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		if (unlink(name) && depth > 0)
			remove_dir(name, depth - 1);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void redis_server_stop(struct redis_server *s)
{
	redis_server_kill(s);
	if (s->dir[0])
		remove_dir(s->dir, 1);
	s->dir[0] = '\0';
}

void redis_server_pause(struct redis_server *s)
{
	int status;
	if (kill(s->pid, SIGSTOP) || waitpid(s->pid, &status, WUNTRACED) != s->pid ||
	    !WIFSTOPPED(status))
		fail(s, "pause");
}

void redis_server_resume(struct redis_server *s)
{
	if (kill(s->pid, SIGCONT))
		fail(s, "resume");
}

struct addr redis_server_addr(const struct redis_server *s)
{
	struct addr a;
	char text[32];
	snprintf(text, sizeof text, "127.0.0.1:%u", s->port);
	if (addr_parse(text, &a))
		fail(s, "addr_parse");
	return a;
}
