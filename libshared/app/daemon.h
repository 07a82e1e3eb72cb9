/* SPDX-License-Identifier: Apache-2.0 */
/* What every daemon does the same way: --help, --version, --check-config,
 * --config; logging; signals; HTTP for /metrics, /healthz and /readyz; drop of
 * privileges; an orderly stop within five seconds, or as many more as it asks for. A daemon's main() is one
 * call of daemon_main() with its table. */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "app/config.h"
#include "app/http.h"
#include "app/metrics.h"

#include <stdbool.h>
#include <sys/types.h>

struct ev_loop;

/* The settings all daemons share: the first member of each settings struct.
 * DAEMON_SETTINGS(type) goes into its table; the member must be named `common`. */
struct daemon_config {
	char id[CONFIG_TEXT_MAX];
	struct addr redis;
	char redis_password_file[CONFIG_TEXT_MAX];
	char cluster_secret_file[CONFIG_TEXT_MAX];
	bool cluster_plaintext;
	struct addr listen_http;
	char log_level[CONFIG_TEXT_MAX], log_format[CONFIG_TEXT_MAX];
	char run_as[CONFIG_TEXT_MAX];
};

#define DAEMON_SETTING(type, member, k, d, help) \
	{.name = #member, .kind = (k), .offset = offsetof(type, common.member), .def = (d), .doc = (help)}
#define DAEMON_SETTINGS(type, default_id, default_http) \
	DAEMON_SETTING(type, id, SETTING_NAME, default_id, "name of this daemon, unique among its kind"), \
	DAEMON_SETTING(type, redis, SETTING_ADDR, "127.0.0.1:6379", "Redis server"), \
	DAEMON_SETTING(type, redis_password_file, SETTING_PATH, NULL, "file that holds the Redis password"), \
	DAEMON_SETTING(type, cluster_secret_file, SETTING_PATH, NULL, "file that holds the cluster secret"), \
	DAEMON_SETTING(type, cluster_plaintext, SETTING_FLAG, "no", "run the links inside without TLS (for tests)"), \
	DAEMON_SETTING(type, listen_http, SETTING_ADDR, default_http, "HTTP: /metrics, /healthz, /readyz"), \
	{.name = "log_level", .kind = SETTING_CHOICE, .offset = offsetof(type, common.log_level), .def = "info", \
	 .choices = "debug|info|warn|error", .doc = "least level that is logged"}, \
	{.name = "log_format", .kind = SETTING_CHOICE, .offset = offsetof(type, common.log_format), .def = "logfmt", \
	 .choices = "logfmt|json", .doc = "form of the log lines on standard error"}, \
	DAEMON_SETTING(type, run_as, SETTING_TEXT, "nobody", "user to become when started as root")

struct daemon {
	const char *prog;             /* "restante-dc" */
	const char *summary;          /* one line for --help */
	const struct setting *settings;
	size_t setting_count;
	size_t config_size;           /* of the settings struct */
	/* Checks what the table cannot (files, combinations); also for --check-config,
	 * so it must change nothing. May be NULL. */
	int (*check)(const void *config, char *fault, size_t fault_cap);
	/* Opens sockets and files while still privileged; *app is handed to the rest.
	 * `secret` is the cluster secret (secret_len 0 when cluster_plaintext). */
	int (*start)(struct ev_loop *loop, const void *config, const void *secret, size_t secret_len,
		     void **app, char *fault, size_t fault_cap);
	/* SIGTERM or SIGINT: begin to stop; call daemon_stopped() when done. After five
	 * seconds it ends anyway. NULL: stop at once. */
	void (*stop)(void *app);
	/* Seconds beyond the five that its settings allow a stop to take. NULL: none. */
	unsigned (*stop_extra_s)(const void *config);
	void (*free)(void *app);
	void (*reload)(void *app);              /* SIGHUP; may be NULL */
	const char *(*not_ready)(void *app);    /* NULL: ready, else why not, for /readyz */
	void (*metrics)(void *app, struct metrics *m);
	struct http_page page;                  /* over HTTP, with the app for its ctx; path NULL: none */
};

/* Exit codes: 0 stopped in order, 1 failure, 2 wrong usage or configuration. */
int daemon_main(const struct daemon *d, int argc, char **argv);
/* Ends the loop of daemon_main(); from inside it only. */
void daemon_stopped(struct ev_loop *loop);
/* Makes a random boot number for this start of a daemon; never 0. */
uint64_t daemon_boot(void);

#endif
