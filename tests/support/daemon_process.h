/* SPDX-License-Identifier: Apache-2.0 */
/* A program of this project as a child process of a test, its standard error in
 * a file. It dies with the process that started it. Whatever goes wrong here
 * ends the test with a message and the log.
 *
 *   struct daemon_process d;
 *   const char *argv[] = {"restante-dc", "--listen-apps", "127.0.0.1:0", NULL};
 *   daemon_process_start(&d, argv, NULL);
 *   daemon_process_log_value(&d, "listening", "apps", text, sizeof text);
 *   daemon_process_stop(&d);
 */
#ifndef SUPPORT_DAEMON_PROCESS_H
#define SUPPORT_DAEMON_PROCESS_H

#include "base/addr.h"
#include "support/temp_dir.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DAEMON_WAIT_MS 20000 /* for a log line; long, for sanitizers on a busy machine */

struct daemon_process {
	pid_t pid;      /* 0: not running */
	char log[TEMP_PATH_MAX]; /* the file that holds its standard error */
	const char *name;
	int code;       /* how it ended */
};

/* argv[0]: a program of RESTANTE_BIN_DIR; NULL-terminated. env: "NAME=value", NULL-
 * terminated, added to what the test has; may be NULL. Returns at once. */
void daemon_process_start(struct daemon_process *d, const char *const *argv, const char *const *env);

/* Waits until the log has a line with msg=... `msg`; with `key` also its value,
 * unquoted. Fails the test after DAEMON_WAIT_MS, or when the process ends first. */
void daemon_process_wait_log(struct daemon_process *d, const char *msg);
void daemon_process_log_value(struct daemon_process *d, const char *msg, const char *key, char *out,
			      size_t cap);
struct addr daemon_process_log_addr(struct daemon_process *d, const char *msg, const char *key);
/* Whether the log has `text` anywhere now. */
bool daemon_process_logged(const struct daemon_process *d, const char *text);
/* Waits until somebody listens on a TCP port of 127.0.0.1. */
void daemon_process_wait_port(struct daemon_process *d, uint16_t port);

/* Still there? */
bool daemon_process_runs(struct daemon_process *d);
/* Waits for the end; the exit code, or 128 and the signal. Fails after timeout_ms. */
int daemon_process_wait(struct daemon_process *d, unsigned timeout_ms);
/* SIGTERM and daemon_process_wait(): the exit code, also of an earlier
 * daemon_process_wait(). The log is removed if it is 0, else shown and then removed. */
int daemon_process_stop(struct daemon_process *d);
/* The same, and the test fails if it is not 0 (a sanitizer's leak, for one). To
 * be called in the test: what fails in .fini is not counted by Criterion. */
void daemon_process_stop_clean(struct daemon_process *d);
/* SIGKILL; the log is removed. */
void daemon_process_kill(struct daemon_process *d);

#endif
