/* SPDX-License-Identifier: Apache-2.0 */
/* A message is acknowledged when it has been written to standard output, not
 * before: one that could not be written comes again at the next login. */
#include "command.h"

#include "option.h"
#include "output.h"
#include "say.h"

#include "app/keyfile.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "client/restante.h"
#include "wire/packet.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_EARLY = EXIT_OWN, EXIT_REFUSED, EXIT_EXPIRED, EXIT_SUPERSEDED };
enum { DEVICE_LEN = 16, COUNT_MAX = 1000000000, SECONDS_MAX = 100000000 };

struct options {
	const char *user, *session, *session_file, *seen, *device;
	struct option_names subscribe, unsubscribe;
	int64_t count, seconds;
	bool json, quiet;
};

struct listener {
	const struct options *options;
	struct restante *client;
	int64_t shown;
	int out_errno;      /* standard output could not be written */
	int seen_errno;     /* as it was told last */
	unsigned told_why;  /* of the last pause that was told */
	bool told;
};

static const struct option options[] = {
	{.name = "user", .letter = 'u', .kind = OPTION_NAME, .offset = offsetof(struct options, user),
	 .value = "USER", .doc = "log in as this user"},
	{.name = "session", .letter = 's', .kind = OPTION_TEXT, .offset = offsetof(struct options, session),
	 .value = "ID", .doc = "with this session id; other users of the host may see it"},
	{.name = "session-file", .kind = OPTION_TEXT, .offset = offsetof(struct options, session_file),
	 .value = "FILE", .doc = "or the one in the first line of this file (mode 0600)"},
	{.name = "count", .letter = 'C', .kind = OPTION_NUMBER, .offset = offsetof(struct options, count),
	 .value = "COUNT", .doc = "stop after so many messages", .min = 1, .max = COUNT_MAX},
	{.name = "wait", .letter = 'W', .kind = OPTION_NUMBER, .offset = offsetof(struct options, seconds),
	 .value = "SECONDS", .doc = "stop after so long in all", .min = 1, .max = SECONDS_MAX},
	{.name = "subscribe", .kind = OPTION_NAMES, .offset = offsetof(struct options, subscribe), .value = "FILTER",
	 .doc = "subscribe the user to these topics first; may be given again"},
	{.name = "unsubscribe", .kind = OPTION_NAMES, .offset = offsetof(struct options, unsubscribe),
	 .value = "FILTER", .doc = "end a subscription first; may be given again"},
	{.name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct options, json),
	 .doc = "one JSON object a line, with all there is to know"},
	{.name = "seen", .kind = OPTION_TEXT, .offset = offsetof(struct options, seen), .value = "FILE",
	 .doc = "keep the ids of shown messages there, so that none is shown twice"},
	{.name = "device", .kind = OPTION_TEXT, .offset = offsetof(struct options, device), .value = "HEX",
	 .doc = "32 hexadecimal digits that name this device"},
	{.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .offset = offsetof(struct options, quiet),
	 .doc = "say nothing on standard error but errors"},
	{.name = NULL},
};

/* ---- what comes ---- */

static int print_json(const struct restante_message *m)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "id", m->id, "app", m->app, "app_id", m->app_id,
			      "topic", m->topic, "sent", (json_int_t)m->sent_ms, "expires",
			      (json_int_t)m->expires_ms, "stored", m->stored);
	if (o && output_json_body(o, m->body, m->len)) {
		json_decref(o);
		o = NULL;
	}
	return output_json(o);
}

static int print_body(const struct restante_message *m)
{
	if (m->len && fwrite(m->body, 1, m->len, stdout) != m->len)
		return -1;
	return putchar('\n') == EOF || fflush(stdout) != 0;
}

static int on_message(void *ctx, const struct restante_message *m)
{
	struct listener *l = ctx;
	errno = 0;
	if (l->options->json ? print_json(m) : print_body(m)) {
		l->out_errno = errno ? errno : EIO;
		restante_stop(l->client);
		return 1;
	}
	if (++l->shown == l->options->count)
		restante_stop(l->client);
	return 0;
}

/* Before there is a broker, it is the balancer that says so. */
static const char *pause_text(unsigned why)
{
	return why == CLOSE_OVERLOADED ? "no broker has room now" : restante_code_text(why);
}

static void on_state(void *ctx, enum restante_state state, unsigned why)
{
	struct listener *l = ctx;
	if (l->options->quiet)
		return;
	if (state == RESTANTE_ONLINE)
		say("online at %s", restante_broker(l->client));
	else if (state == RESTANTE_WAITING && !(l->told && l->told_why == why))
		say("not online: %s; trying again", pause_text(why));
	if (state == RESTANTE_ONLINE || state == RESTANTE_WAITING) {
		l->told = state == RESTANTE_WAITING;
		l->told_why = why;
	}
}

static void on_missed(void *ctx, const char *app, uint64_t count)
{
	(void)ctx;
	say("%llu message%s of %s %s displaced while you were away", (unsigned long long)count,
	    count == 1 ? "" : "s", app, count == 1 ? "was" : "were");
}

/* ---- subscriptions ---- */

/* The requests are numbered as they were made: subscriptions that end, which makes
 * room, then the new ones. */
static int make_requests(const struct listener *l)
{
	const struct option_names *ends = &l->options->unsubscribe, *begins = &l->options->subscribe;
	int err = 1;
	for (size_t i = 0; i < ends->count && err > 0; i++)
		err = restante_unsubscribe(l->client, ends->at[i]);
	for (size_t i = 0; i < begins->count && err > 0; i++)
		err = restante_subscribe(l->client, begins->at[i]);
	if (err < 0)
		say("subscriptions cannot be changed: %s", restante_error_text(err));
	return err < 0 ? RS_EINVAL : RS_OK;
}

static void on_reply(void *ctx, int number, unsigned code)
{
	const struct listener *l = ctx;
	const struct option_names *ends = &l->options->unsubscribe, *begins = &l->options->subscribe;
	size_t i = (size_t)number - 1;
	bool ended = i < ends->count;
	const char *filter = ended ? ends->at[i] : begins->at[i - ends->count];
	if (code != RESTANTE_REPLY_DONE)
		say("%s %s was refused: %s", ended ? "unsubscribing from" : "subscribing to", filter,
		    restante_reply_text(code));
	else if (!l->options->quiet)
		say("%s %s", ended ? "unsubscribed from" : "subscribed to", filter);
}

static void tell_seen(struct listener *l)
{
	int now = restante_seen_errno(l->client);
	if (now && now != l->seen_errno)
		say("--seen %s cannot be written: %s; what is shown now may be shown again later",
		    l->options->seen, strerror(now));
	l->seen_errno = now;
}

/* ---- the loop ---- */

static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int poll_timeout(const struct listener *l, uint64_t end_ms)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t left = end_ms > now_ms ? end_ms - now_ms : 0;
	int due = restante_timeout_ms(l->client);
	if (due >= 0 && (uint64_t)due < left)
		return due;
	return left < INT_MAX ? (int)left : -1;
}

/* Until it stops, or a signal, the end of time or of standard output stops it. */
static void listen_until(struct listener *l, int signals, uint64_t end_ms)
{
	while (restante_state(l->client) != RESTANTE_STOPPED) {
		/* No events of standard output are asked for: that its reader has gone comes unasked. */
		struct pollfd p[] = {{restante_fd(l->client), POLLIN, 0}, {signals, POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
		int n = poll(p, 3, poll_timeout(l, end_ms));
		restante_process(l->client);
		tell_seen(l);
		if (n > 0 && p[2].revents && !l->out_errno)
			l->out_errno = EPIPE;
		if ((n > 0 && (p[1].revents || p[2].revents)) || clock_mono_ms() >= end_ms)
			restante_stop(l->client);
	}
}

/* What it came to; the exit code. */
static int conclude(const struct listener *l, unsigned why)
{
	static const int codes[] = {[CLOSE_BAD_SESSION] = EXIT_REFUSED, [CLOSE_EXPIRED] = EXIT_EXPIRED,
				    [CLOSE_SUPERSEDED] = EXIT_SUPERSEDED};
	if (why != CLOSE_NORMAL) {
		say("stopped: %s", restante_code_text(why));
		return why < sizeof codes / sizeof *codes && codes[why] ? codes[why] : EXIT_FAILED;
	}
	if (l->out_errno) {
		say("standard output cannot be written: %s; a message that was not written comes again",
		    strerror(l->out_errno));
		return EXIT_FAILED;
	}
	if (l->options->count && l->shown < l->options->count)
		return EXIT_EARLY;
	return EXIT_DONE;
}

static int listen_with(struct listener *l, const struct restante_options *ro)
{
	char error[512];
	int code = EXIT_FAILED;
	int signals = open_signals();
	if (signals < 0)
		return say("signals cannot be watched: %s", strerror(errno)), EXIT_FAILED;
	uint64_t end_ms = l->options->seconds ? clock_mono_ms() + (uint64_t)l->options->seconds * 1000 : UINT64_MAX;
	l->client = restante_open(ro, error, sizeof error);
	if (!l->client) {
		say("%s", error);
		goto done;
	}
	if (make_requests(l))
		goto done;
	listen_until(l, signals, end_ms);
	code = conclude(l, restante_why(l->client));
done:
	restante_close(l->client);
	close(signals);
	return code;
}

/* ---- what was asked for ---- */

static int check_use(const struct options *o, int argc)
{
	if (argc > 1)
		return option_usage(&cmd_listen, "takes no arguments besides options");
	if (!o->user)
		return option_usage(&cmd_listen, "--user is missing");
	if (!o->session == !o->session_file)
		return option_usage(&cmd_listen, "wants one of --session and --session-file; `restante session create %s` "
				    "makes a session id", o->user);
	return EXIT_DONE;
}

static int take_device(const char *hex, uint8_t out[DEVICE_LEN])
{
	if (hex_decode(hex, out, DEVICE_LEN) == RS_OK)
		return EXIT_DONE;
	return option_usage(&cmd_listen, "--device must be 32 hexadecimal digits");
}

static int start(const struct settings *s, const struct options *o, const char *session)
{
	char balancers[CONFIG_ADDRS_MAX * ADDR_TEXT_MAX], keys[160], fault[512];
	uint8_t device[DEVICE_LEN] = {0};
	struct listener l = {.options = o};
	struct restante_options ro = RESTANTE_OPTIONS_INIT;
	int code = o->device ? take_device(o->device, device) : EXIT_DONE;
	if (code)
		return code;
	if (settings_balancer_keys(s, keys, sizeof keys, fault, sizeof fault))
		return say("%s", fault), EXIT_USAGE;
	settings_balancers(s, balancers, sizeof balancers);
	ro.balancers = balancers;
	ro.balancer_keys = keys;
	ro.user = o->user;
	ro.session = session;
	ro.seen_file = o->seen;
	ro.device = device;
	ro.on_message = on_message;
	ro.on_state = on_state;
	ro.on_reply = on_reply;
	ro.on_missed = on_missed;
	ro.ctx = &l;
	return listen_with(&l, &ro);
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {0};
	char session[SECRET_MAX + 1], fault[512];
	size_t len;
	if (option_parse(&cmd_listen, &argc, argv, &o))
		return EXIT_USAGE;
	int code = check_use(&o, argc);
	if (code)
		return code;
	if (o.session_file && keyfile_read_secret(o.session_file, session, sizeof session, &len, fault, sizeof fault))
		return say("--session-file %s", fault), EXIT_USAGE;
	code = start(s, &o, o.session_file ? session : o.session);
	explicit_bzero(session, sizeof session);
	return code;
}

const struct command cmd_listen = {
	.name = "listen",
	.usage = "--user USER --session ID | --session-file FILE [-C COUNT] [-W SECONDS]\n"
		 "                [--subscribe FILTER]... [--unsubscribe FILTER]...\n"
		 "                [--json] [--seen FILE] [--device HEX] [--quiet]",
	.summary = "log in as a user and print what comes",
	.text = "Logs in by way of the balancers (balancers, balancer_keys or balancer_key_file) and stays\n"
		"online, whatever broker fails, until it is stopped (SIGINT, SIGTERM: it logs out).\n"
		"Standard output: each message's body followed by a newline. A message is acknowledged\n"
		"when it has been written there; if it cannot be (the reader has gone), listen stops.\n"
		"With --json an object a line: id, app, app_id and topic (\"\" if none), sent, expires (ms\n"
		"since 1970), stored, and body, or body_base64 where the body is not UTF-8 or has a NUL.\n\n"
		"Exit codes: " EXIT_HELP ",\n"
		"3 ended before COUNT messages (time is up, or a signal), 4 the session id is unknown or not\n"
		"this user's, 5 it has expired, 6 the user logged in elsewhere.",
	.options = options,
	.run = run,
};
