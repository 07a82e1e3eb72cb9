/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a daemon:
 *
 *   usage     --help, --version; exits
 *   configure settings, secret, user; --check-config exits
 *   open      HTTP, then the service's start(), still privileged
 *   drop      privileges
 *   run       the loop; SIGTERM or SIGINT begins the stop, its timer ends it
 *   close     in reverse
 */
#include "app/daemon.h"

#include "app/keyfile.h"
#include "app/privileges.h"
#include "app/vitals.h"
#include "base/log.h"
#include "crypto/random.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { FAULT_MAX = 512 };

static const double stop_s = 5.0;

struct run {
	const struct daemon *d;
	void *config; /* the service's settings, the common ones first */
	const struct daemon_config *common;
	char secret[SECRET_MAX + 1];
	size_t secret_len;
	struct privileges privileges;
	char fault[FAULT_MAX];

	struct ev_loop *loop;
	struct http *http;
	struct http_handler http_events;
	struct vitals vitals;
	void *app;
	ev_signal term, interrupt, hangup;
	ev_timer stop_timer;
	bool stopping, forced;
};

/* What the command line asks for beside settings. */
struct usage {
	bool help, version, check;
	const char *file;
};

uint64_t daemon_boot(void)
{
	uint64_t boot = 0;
	while (boot == 0)
		random_bytes(&boot, sizeof boot);
	return boot;
}

void daemon_stopped(struct ev_loop *loop) { ev_break(loop, EVBREAK_ALL); }

/* --- usage --- */

static void print_ports(const struct daemon *d)
{
	printf("\nPorts (defaults):\n");
	for (size_t i = 0; i < d->setting_count; i++) {
		const struct setting *s = &d->settings[i];
		if (s->kind == SETTING_ADDR && strncmp(s->name, "listen", 6) == 0)
			printf("  %-22s %s (%s)\n", s->def ? s->def : "none", s->doc, s->name);
	}
}

static void print_help(const struct daemon *d)
{
	printf("%s: %s\n\n", d->prog, d->summary);
	printf("Usage: %s [--config FILE] [--check-config] [SETTING]...\n"
	       "       %s --help | --version\n\n"
	       "  --config FILE   read settings from FILE; RESTANTE_CONFIG does the same\n"
	       "  --check-config  check the settings, say whether they are good, and exit\n"
	       "  --help          this text\n"
	       "  --version       name and version\n\n", d->prog, d->prog);
	printf("A setting is a flag (--log-level warn), an environment variable\n"
	       "(RESTANTE_LOG_LEVEL=warn) or a line of the file (log_level = \"warn\";). Flags win over\n"
	       "the environment, the environment over the file.\n\nSettings:\n");
	config_print_help(d->settings, d->setting_count, stdout);
	print_ports(d);
	printf("\nSignals: TERM or INT stops in order (within 5 s%s; a second one ends at once)%s.\n",
	       d->stop_extra_s ? " and drain_s" : "", d->reload ? "; HUP reloads" : "");
	printf("Exit codes: 0 stopped in order, 1 failure, 2 wrong usage or configuration.\n");
}

/* Takes the daemon's own flags out of argv; the settings stay. False: a flag
 * lacks its value. */
static bool take_usage(struct usage *u, int *argc, char **argv)
{
	int left = 1;
	*u = (struct usage){.file = getenv("RESTANTE_CONFIG")};
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			u->help = true;
		else if (strcmp(argv[i], "--version") == 0)
			u->version = true;
		else if (strcmp(argv[i], "--check-config") == 0)
			u->check = true;
		else if (strncmp(argv[i], "--config=", 9) == 0)
			u->file = argv[i] + 9;
		else if (strcmp(argv[i], "--config") != 0)
			argv[left++] = argv[i];
		else if (i + 1 < *argc)
			u->file = argv[++i];
		else
			return false;
	}
	*argc = left;
	argv[left] = NULL;
	return true;
}

/* --- configuration --- */

static int refuse_argument(struct run *r, const char *arg)
{
	char name[CONFIG_TEXT_MAX] = "", flag[64] = "";
	if (strncmp(arg, "--", 2) == 0)
		snprintf(name, sizeof name, "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
	const char *nearest = *name ? config_nearest(r->d->settings, r->d->setting_count, name) : NULL;
	if (nearest)
		snprintf(flag, sizeof flag, "; did you mean --%s?", nearest);
	for (char *c = flag; *c; c++)
		if (*c == '_')
			*c = '-';
	snprintf(r->fault, sizeof r->fault, "unexpected argument \"%.100s\"%s", arg,
		 *flag ? flag : "; --help lists what there is");
	return RS_EINVAL;
}

static int read_cluster_secret(struct run *r)
{
	const struct daemon_config *c = r->common;
	if (c->cluster_plaintext)
		return RS_OK;
	if (!*c->cluster_secret_file) {
		snprintf(r->fault, sizeof r->fault, "cluster_secret_file is not given; name a file that holds one line of at "
			 "least %d characters, the same for all daemons (for tests only: cluster_plaintext yes)", SECRET_MIN);
		return RS_EINVAL;
	}
	char why[FAULT_MAX - 32];
	int err = keyfile_read_secret(c->cluster_secret_file, r->secret, sizeof r->secret, &r->secret_len, why,
				      sizeof why);
	if (err) {
		snprintf(r->fault, sizeof r->fault, "cluster_secret_file: %s", why);
	} else if (r->secret_len < SECRET_MIN) {
		snprintf(r->fault, sizeof r->fault, "cluster_secret_file: %s: the secret is too short; it needs at least "
			 "%d characters", c->cluster_secret_file, SECRET_MIN);
		err = RS_EINVAL;
	}
	return err;
}

static int configure(struct run *r, const struct usage *u, int argc, char **argv)
{
	const struct config_source src = {r->d->settings, r->d->setting_count, u->file};
	int err = config_load(&src, &argc, argv, r->config, r->fault, sizeof r->fault);
	if (!err && argc > 1)
		err = refuse_argument(r, argv[1]);
	if (!err)
		err = read_cluster_secret(r);
	if (!err)
		err = privileges_find(r->common->run_as, &r->privileges, r->fault, sizeof r->fault);
	if (!err && r->d->check)
		err = r->d->check(r->config, r->fault, sizeof r->fault);
	return err;
}

static void set_up_log(const struct run *r)
{
	enum log_level level = LOG_INFO;
	enum log_format format = LOG_LOGFMT;
	if (log_level_parse(r->common->log_level, &level) || log_format_parse(r->common->log_format, &format))
		level = LOG_INFO; /* cannot be: the table allows no other words */
	log_setup(r->d->prog, level, format);
}

/* --- HTTP --- */

static const char *not_ready(void *ctx)
{
	const struct run *r = ctx;
	if (r->stopping)
		return "stopping";
	return r->d->not_ready ? r->d->not_ready(r->app) : NULL;
}

static void write_metrics(void *ctx, struct metrics *m)
{
	const struct run *r = ctx;
	vitals_metrics(&r->vitals, m);
	if (r->d->metrics)
		r->d->metrics(r->app, m);
}

static int write_page(void *ctx, const char *value, struct buf *out)
{
	const struct run *r = ctx;
	return r->d->page.write(r->app, value, out);
}

static int open_http(struct run *r)
{
	static const struct addr none;
	char text[ADDR_TEXT_MAX];
	const struct addr *at = &r->common->listen_http;
	r->http_events = (struct http_handler){write_metrics, not_ready,
					       {r->d->page.path, r->d->page.argument, write_page}};
	if (addr_equal(at, &none))
		return RS_OK;
	int err = http_open(&r->http, r->loop, at, &r->http_events, r);
	if (err) {
		snprintf(r->fault, sizeof r->fault, "listen_http %s: %s", addr_format(at, text),
			 err == RS_ESYS ? strerror(errno) : err_str(err));
		return err;
	}
	struct addr local = http_local(r->http);
	log_info("http listening", LOG_STR("address", addr_format(&local, text)));
	return RS_OK;
}

/* --- signals --- */

static void end_at_once(struct run *r, const char *why)
{
	log_warn(why);
	r->forced = true;
	ev_break(r->loop, EVBREAK_ALL);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop, (void)revents;
	end_at_once(w->data, "the stop took too long; ending anyway");
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct run *r = w->data;
	(void)revents;
	if (r->stopping) {
		end_at_once(r, "second signal; ending at once");
		return;
	}
	r->stopping = true;
	log_info("stopping", LOG_STR("signal", strsignal(w->signum)));
	ev_timer_start(loop, &r->stop_timer);
	if (r->d->stop)
		r->d->stop(r->app);
	else
		daemon_stopped(loop);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct run *r = w->data;
	(void)loop, (void)revents;
	log_info(r->d->reload ? "reloading" : "hangup ignored; there is nothing to reload");
	if (r->d->reload)
		r->d->reload(r->app);
}

static void watch_signal(struct run *r, ev_signal *w, void (*cb)(struct ev_loop *, ev_signal *, int),
			 int signum)
{
	ev_signal_init(w, cb, signum);
	w->data = r;
	ev_signal_start(r->loop, w);
}

static void watch_signals(struct run *r)
{
	watch_signal(r, &r->term, on_stop, SIGTERM);
	watch_signal(r, &r->interrupt, on_stop, SIGINT);
	watch_signal(r, &r->hangup, on_hangup, SIGHUP);
	ev_timer_init(&r->stop_timer, on_late, stop_s + (r->d->stop_extra_s ? r->d->stop_extra_s(r->config) : 0), 0.0);
	r->stop_timer.data = r;
}

static void unwatch_signals(struct run *r)
{
	ev_signal_stop(r->loop, &r->term);
	ev_signal_stop(r->loop, &r->interrupt);
	ev_signal_stop(r->loop, &r->hangup);
	ev_timer_stop(r->loop, &r->stop_timer);
}

/* --- life --- */

static int start(struct run *r)
{
	int err = open_http(r);
	if (!err)
		err = r->d->start(r->loop, r->config, r->secret, r->secret_len, &r->app, r->fault, sizeof r->fault);
	explicit_bzero(r->secret, sizeof r->secret);
	if (!err)
		err = privileges_drop(&r->privileges, r->fault, sizeof r->fault);
	return err;
}

static void say_started(const struct run *r)
{
	if (r->privileges.is_root)
		log_warn("running as root; run_as can name a user that owns nothing");
	if (r->common->cluster_plaintext)
		log_warn("links inside the cluster are neither encrypted nor authenticated (cluster_plaintext)");
	log_info("started", LOG_STR("version", RESTANTE_VERSION), LOG_STR("id", r->common->id));
}

/* Runs from open to close; the exit code. */
static int live(struct run *r)
{
	int code = EXIT_FAILED;
	r->loop = ev_loop_new(EVFLAG_AUTO);
	if (!r->loop) {
		log_error("cannot start", LOG_STR("reason", "no event loop"));
		return code;
	}
	watch_signals(r);
	vitals_start(&r->vitals, r->loop);
	if (start(r)) {
		log_error("cannot start", LOG_STR("reason", r->fault));
		goto close;
	}
	say_started(r);
	ev_run(r->loop, 0);
	log_info("stopped");
	code = r->forced ? EXIT_FAILED : EXIT_STOPPED;
close:
	http_close(r->http);
	if (r->app && r->d->free)
		r->d->free(r->app);
	vitals_stop(&r->vitals);
	unwatch_signals(r);
	ev_loop_destroy(r->loop);
	return code;
}

static int configure_and_live(struct run *r, const struct usage *u, int argc, char **argv)
{
	if (configure(r, u, argc, argv)) {
		fprintf(stderr, "%s: %s\n", r->d->prog, r->fault);
		return EXIT_USAGE;
	}
	if (u->check) {
		printf("configuration ok\n");
		return fflush(stdout) == 0 ? EXIT_STOPPED : EXIT_FAILED;
	}
	set_up_log(r);
	umask(077); /* key files, above all */
	signal(SIGPIPE, SIG_IGN);
	return live(r);
}

int daemon_main(const struct daemon *d, int argc, char **argv)
{
	struct usage u;
	if (!take_usage(&u, &argc, argv)) {
		fprintf(stderr, "%s: --config: needs the name of a file\n", d->prog);
		return EXIT_USAGE;
	}
	if (u.help) {
		print_help(d);
		return EXIT_STOPPED;
	}
	if (u.version) {
		printf("%s %s\n", d->prog, RESTANTE_VERSION);
		return EXIT_STOPPED;
	}
	struct run r = {.d = d, .config = calloc(1, d->config_size)};
	if (!r.config) {
		fprintf(stderr, "%s: out of memory\n", d->prog);
		return EXIT_FAILED;
	}
	r.common = r.config;
	int code = configure_and_live(&r, &u, argc, argv);
	explicit_bzero(r.secret, sizeof r.secret);
	free(r.config);
	return code;
}
