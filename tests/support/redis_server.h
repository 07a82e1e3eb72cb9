/* SPDX-License-Identifier: Apache-2.0 */
/* A private redis-server for a test, on a free port of 127.0.0.1, its files in
 * a folder of its own. It dies with the process that started it. Whatever goes
 * wrong here ends the test with a message: there is no point in going on.
 *
 *   struct redis_server s;
 *   redis_server_start(&s, NULL);
 *   ... s.port, s.pid ...
 *   redis_server_stop(&s);
 */
#ifndef SUPPORT_REDIS_SERVER_H
#define SUPPORT_REDIS_SERVER_H

#include "base/addr.h"
#include "support/temp_dir.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_options {
	bool append_always;   /* AOF with appendfsync always; else nothing is kept */
	const char *password; /* NULL: none; borrowed until stop */
	const char *extra[8]; /* more arguments, "--maxmemory", "4mb", ...; borrowed until stop */
};

struct redis_server {
	pid_t pid; /* 0: not running */
	uint16_t port;
	struct redis_options options;
	char dir[TEMP_PATH_MAX];
};

/* options NULL: no password, nothing kept. Returns when PING is answered. */
void redis_server_start(struct redis_server *s, const struct redis_options *options);
/* Kills it if it runs, and removes its files. */
void redis_server_stop(struct redis_server *s);
/* SIGKILL; the port and the files stay for redis_server_run(). */
void redis_server_kill(struct redis_server *s);
/* Starts it again after redis_server_kill(), same port, same files. */
void redis_server_run(struct redis_server *s);
/* Stops the process in its tracks (SIGSTOP): connections stay, nothing answers. */
void redis_server_pause(struct redis_server *s);
void redis_server_resume(struct redis_server *s);

struct addr redis_server_addr(const struct redis_server *s);

#endif
