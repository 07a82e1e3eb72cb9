/* SPDX-License-Identifier: Apache-2.0 */
#include "support/replay.h"

#include "app/topics.h"
#include "crypto/hash.h"
#include "rds/keys.h"
#include "support/cli_run.h"
#include "support/fake_broker.h"
#include "support/lua_call.h"
#include "support/net_support.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SESSION_S = 600, CLOSE_MS = 5000, ANSWER_MS = 15000 /* beyond the 10 s that a header may take */ };

/* Waits for a condition that no client has to do anything for. */
#define WAIT_UNTIL(condition) RECEIVERS_UNTIL(NULL, 0, (condition))

/* ---- the App's connection ---- */

static void disconnect(struct replay *r)
{
	if (r->is_open)
		text_client_close(&r->app);
	if (r->nc) {
		kill(r->nc, SIGKILL);
		waitpid(r->nc, NULL, 0);
	}
	r->nc = 0;
	r->is_open = r->is_known = false;
}

void replay_use_nc(struct replay *r)
{
	int pair[2];
	char port[8];
	snprintf(port, sizeof port, "%u", r->s.dc[0].front);
	disconnect(r);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r->nc = fork();
	cr_assert_geq(r->nc, 0);
	if (r->nc == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execlp("nc", "nc", "127.0.0.1", port, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	r->app = (struct text_client){.fd = pair[0]};
	r->is_open = true;
}

static void connect_unknown(struct replay *r)
{
	struct addr apps = net_loopback(r->s.dc[0].front);
	disconnect(r);
	text_client_open(&r->app, &apps);
	r->is_open = true;
}

static void connect_app(struct replay *r)
{
	connect_unknown(r);
	text_client_auth(&r->app, "chat", r->key);
	r->is_known = true;
}

static void connect_again(struct replay *r)
{
	if (r->is_known)
		connect_app(r);
}

/* Header lines as they go out, with the ids of this run. */
static void write_header(struct replay *r, const char *header, const char *eol)
{
	char *text = likeness_translate(&r->ids, header);
	for (const char *at = text; *at; at += strcspn(at, "\n") + 1) {
		text_client_write(&r->app, at, strcspn(at, "\n"));
		text_client_write(&r->app, eol, strlen(eol));
	}
	free(text);
}

static void write_request(struct replay *r, const struct example_text *t)
{
	const char *eol = r->nc ? "\n" : "\r\n";
	write_header(r, t->header, eol);
	if (!r->unfinished)
		text_client_write(&r->app, eol, strlen(eol));
	if (!r->headless)
		text_client_write(&r->app, t->body, t->body_len);
	r->unfinished = r->headless = false;
}

const char *replay_ask(struct replay *r, const struct example *e)
{
	static char text[REPLAY_TEXT_MAX];
	struct text_answer a;
	size_t len = 0;
	if (!r->is_open)
		connect_app(r);
	if (*e->request.header)
		write_request(r, &e->request);
	if (r->has_held)
		a = r->held;
	else if (!text_client_read_within(&r->app, &a, ANSWER_MS))
		return NULL;
	r->has_held = false;
	for (const char *at = a.text; *at; at++)
		if (*at != '\r')
			text[len++] = *at;
	text[len] = '\0';
	if (*text_answer_value(&a, "length")) {
		text[len++] = '\n';
		char *body = text_client_body(&r->app, &a);
		snprintf(text + len, sizeof text - len, "%s", body);
		free(body);
	}
	return text;
}

bool replay_is_closed(struct replay *r)
{
	struct text_answer more;
	char byte;
	bool closed = r->is_open && !text_client_read_within(&r->app, &more, CLOSE_MS) &&
		      (recv(r->app.fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
	disconnect(r);
	return closed;
}

bool replay_is_open(struct replay *r)
{
	struct text_answer a;
	text_client_printf(&r->app, "PING 1\r\n\r\n");
	if (text_client_read_within(&r->app, &a, ANSWER_MS) && a.code == 200)
		return true;
	disconnect(r);
	return false;
}

/* ---- the daemons ---- */

static void wait_dc(struct replay *r)
{
	stack_wait_ready(&r->s.dc[0]);
	WAIT_UNTIL(stack_metric(&r->s.dc[0], "dc_links") == 1);
}

static void start_dc(struct replay *r, const char *flags)
{
	size_t n = 0;
	bool known = r->is_known;
	disconnect(r);
	snprintf(r->flag_text, sizeof r->flag_text, "%s", flags);
	for (char *at = r->flag_text, *word; (word = strtok_r(at, " ", &at)) != NULL; n++) {
		cr_assert_lt(n, (size_t)REPLAY_FLAGS);
		r->flags[n] = word;
	}
	r->flags[n] = NULL;
	stack_restart(&r->s.dc[0]);
	wait_dc(r);
	if (known)
		connect_app(r);
}

static void use_cli(struct replay *r, const char *arguments)
{
	struct cli_result result = cli_run(&r->s.redis, "%s", arguments);
	cr_assert_eq(result.code, 0, "restante %s: %s", arguments, result.out);
	connect_again(r); /* an AUTH reads the limits at once */
}

static void take_redis_away(struct replay *r, const char *nothing)
{
	(void)nothing;
	redis_server_kill(&r->s.redis);
	r->redis_away = true;
	WAIT_UNTIL(stack_metric(&r->s.dc[0], "dc_redis_connections") == 0);
}

static void stop_redis(struct replay *r, const char *nothing)
{
	(void)nothing;
	redis_server_pause(&r->s.redis);
	r->redis_still = true;
}

static void bring_redis_back(struct replay *r, const char *nothing)
{
	(void)nothing;
	if (r->redis_still)
		redis_server_resume(&r->s.redis);
	if (r->redis_away) {
		redis_server_run(&r->s.redis);
		redisFree(r->s.c);
		r->s.c = lua_connect(r->s.redis.port);
	}
	r->redis_still = r->redis_away = false;
	stack_wait_ready(&r->s.mb[0]);
	wait_dc(r);
}

static void take_broker_away(struct replay *r, const char *nothing)
{
	(void)nothing;
	stack_kill(&r->s.mb[0]);
	r->broker_away = true;
	WAIT_UNTIL(stack_metric(&r->s.dc[0], "dc_links") == 0);
}

static void bring_broker_back(struct replay *r, const char *nothing)
{
	(void)nothing;
	stack_restart(&r->s.mb[0]);
	r->broker_away = false;
	stack_wait_ready(&r->s.mb[0]);
	wait_dc(r);
}

/* ---- the users' clients ---- */

static struct replay_client *client_of(struct replay *r, const char *name)
{
	for (size_t i = 0; i < REPLAY_CLIENTS; i++)
		if (strcmp(r->client[i].name, name) == 0)
			return &r->client[i];
	fprintf(stderr, "replay: %s\n", *name ? "a user who was never online" : "too many clients");
	abort();
}

static void log_in(struct replay *r, const char *name)
{
	char session[STACK_SESSION];
	struct replay_client *c = client_of(r, "");
	snprintf(c->name, sizeof c->name, "%s", name);
	receiver_open(&c->receiver, &r->s, name, stack_session(&r->s, name, SESSION_S, session));
	RECEIVERS_UNTIL(&c->receiver, 1, receiver_is_online(&c->receiver));
}

#define REDIS_SAYS(is, ...) (strcmp(redis_text(r->s.c, __VA_ARGS__), is) == 0)

static void log_out(struct replay *r, const char *name)
{
	struct replay_client *c = client_of(r, name);
	receiver_close(&c->receiver);
	WAIT_UNTIL(REDIS_SAYS("0", "HEXISTS rs:{%s}:presence broker", name));
	*c = (struct replay_client){.name = ""};
}

/* Until all that waits was shown and acknowledged. */
static void take_all(struct replay *r, const char *name)
{
	struct receiver *client = &client_of(r, name)->receiver;
	RECEIVERS_UNTIL(client, 1, REDIS_SAYS("0", "EXISTS rs:{%s}:queue rs:{%s}:queue:high rs:{%s}:queue:low",
					      name, name, name));
}

static void switch_off_many(struct replay *r, const char *name)
{
	for (int i = 0; i < SETTINGS_OF_USER_MAX; i++)
		freeReplyObject(redisCommand(r->s.c, "HSET rs:{%s}:settings off:app-%d 1", name, i));
}

/* A key of another type: no script touches it. */
static void damage_queue(struct replay *r, const char *name)
{
	freeReplyObject(redisCommand(r->s.c, "SET rs:{%s}:queue damaged", name));
}

static void mend_queue(struct replay *r, const char *name)
{
	freeReplyObject(redisCommand(r->s.c, "DEL rs:{%s}:queue", name));
}

static void subscribe(struct replay *r, const char *text)
{
	char user[64], filter[64];
	cr_assert_eq(sscanf(text, "%63s is subscribed to %63s", user, filter), 2, "%s", text);
	struct text_answer a = text_client_ask(&r->app, "SUBSCRIBE 1\r\nuser %s\r\ntopic %s\r\n\r\n", user, filter);
	cr_assert_eq(a.code, 200, "%s", a.text);
}

static void subscribe_many(struct replay *r, const char *name)
{
	for (int i = 0; i < TOPICS_OF_USER_MAX; i++)
		freeReplyObject(redisCommand(r->s.c, "SADD rs:{%s}:topics topic/%d", name, i));
}

static void await_fans(struct replay *r, const char *nothing)
{
	(void)nothing;
	WAIT_UNTIL(REDIS_SAYS("0", "EXISTS rs:fans"));
}

/* More changes of presence than a stream takes, by a broker that is not one. What came
 * before the word that some are lacking is read; that word is kept for the example. */
static void let_crowd_pass(struct replay *r, const char *nothing)
{
	enum { CHUNK = 1000 };
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct fake_broker crowd;
	struct addr links = net_loopback(r->s.dc[0].links);
	struct link_message m = {.type = LINK_PRESENCE};
	m.presence = (struct link_presence){.at_ms = 1732370000000, .user = {"somebody", 8}};
	(void)nothing;
	fake_broker_open(&crowd, loop, &links, NULL, "crowd", 1);
	while (stack_metric(&r->s.dc[0], "dc_presence_missed_total") == 0)
		for (int i = 0; i < CHUNK; i++) {
			m.presence.online = !m.presence.online;
			fake_broker_send(&crowd, &m);
			ev_run(loop, EVRUN_NOWAIT);
		}
	do
		cr_assert(text_client_read_within(&r->app, &r->held, ANSWER_MS), "nothing is lacking");
	while (strncmp(r->held.text, "LAGGED", 6) != 0);
	r->has_held = true;
	fake_broker_close(&crowd);
	ev_loop_destroy(loop);
}

/* ---- comments ---- */

static void have_new_connection(struct replay *r, const char *nothing)
{
	(void)nothing;
	connect_unknown(r);
}

static void have_app_connection(struct replay *r, const char *nothing)
{
	(void)nothing;
	connect_app(r);
}

static void let_pass(struct replay *r, const char *seconds)
{
	(void)r;
	nanosleep(&(struct timespec){.tv_sec = strtol(seconds, NULL, 10)}, NULL);
}

static void let_numbers_differ(struct replay *r, const char *nothing)
{
	(void)nothing;
	r->ids.numbers_differ = true;
}

static void leave_out_body(struct replay *r, const char *nothing)
{
	(void)nothing;
	r->headless = true;
}

static void leave_unfinished(struct replay *r, const char *nothing)
{
	(void)nothing;
	r->unfinished = r->headless = true;
}

static const struct {
	const char *says; /* %: any text, which is given on */
	void (*run)(struct replay *r, const char *text);
} steps[] = {
	{"% is online", log_in},
	{"% is gone", log_out},
	{"% takes all", take_all},
	{"% has 100 subscriptions", subscribe_many},
	{"all fan-outs end", await_fans},
	{"Redis takes no messages for %", damage_queue},
	{"Redis takes messages for %", mend_queue},
	{"storing is off for 100 Apps of %", switch_off_many},
	{"restante-dc%", start_dc}, /* with these flags, or none, until the end of the section */
	{"restante %", use_cli},
	{"Redis is away", take_redis_away},
	{"Redis stands still", stop_redis},
	{"Redis is back", bring_redis_back},
	{"no broker is there", take_broker_away},
	{"the broker is back", bring_broker_back},
	{"a new connection", have_new_connection}, /* before AUTH */
	{"a new connection of the App", have_app_connection},
	{"a crowd comes and goes", let_crowd_pass},
	{"numbers differ", let_numbers_differ}, /* until the end of the section */
	{"% s pass", let_pass},
	{"the body is not sent", leave_out_body},
	{"the empty line is not sent", leave_unfinished},
};

static bool step_takes(const char *says, const char *step, char *text, size_t cap)
{
	const char *mark = strchr(says, '%');
	size_t before = mark ? (size_t)(mark - says) : strlen(says), len = strlen(step);
	size_t after = mark ? strlen(mark + 1) : 0;
	text[0] = '\0';
	if (len < before + after || (!mark && len != before) || strncmp(says, step, before) != 0 ||
	    (mark && strcmp(mark + 1, step + len - after) != 0))
		return false;
	snprintf(text, cap, "%.*s", (int)(len - before - after), step + before);
	return true;
}

static bool run_step(struct replay *r, const char *step)
{
	char text[256];
	if (strstr(step, " is subscribed to ")) { /* of two words */
		subscribe(r, step);
		return true;
	}
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (step_takes(steps[i].says, step, text, sizeof text)) {
			steps[i].run(r, text);
			return true;
		}
	return false;
}

bool replay_prepare(struct replay *r, const char *text, char *what, size_t cap)
{
	for (const char *at = text; *at; at += strcspn(at, ";"), at += *at == ';') {
		at += strspn(at, " ");
		snprintf(what, cap, "%.*s", (int)strcspn(at, ";"), at);
		if (!run_step(r, what))
			return false;
	}
	return true;
}

/* ---- sections ---- */

static void forget(struct replay *r, const char *pattern)
{
	redisReply *keys = redisCommand(r->s.c, "KEYS %s", pattern);
	cr_assert(keys && keys->type == REDIS_REPLY_ARRAY);
	for (size_t i = 0; i < keys->elements; i++)
		freeReplyObject(redisCommand(r->s.c, "DEL %s", keys->element[i]->str));
	freeReplyObject(keys);
}

/* The App without limits, which is also how it begins. */
static void make_app(struct replay *r)
{
	char hash[2 * SHA256_BYTES + 1];
	sha256_hex(r->key, strlen(r->key), hash);
	freeReplyObject(redisCommand(r->s.c, "DEL rs:app:chat"));
	freeReplyObject(redisCommand(r->s.c, "HSET rs:app:chat key %s created 1700000000000", hash));
}

static void close_clients(struct replay *r)
{
	for (size_t i = 0; i < REPLAY_CLIENTS; i++)
		if (r->client[i].receiver.client)
			receiver_close(&r->client[i].receiver);
	memset(r->client, 0, sizeof r->client);
}

void replay_begin_section(struct replay *r)
{
	static const char *const patterns[] = {"rs:{*", "rs:broadcast:*", "rs:topic*", "rs:fan*", "rs:app:{*"};
	disconnect(r);
	close_clients(r);
	if (r->redis_away || r->redis_still)
		bring_redis_back(r, "");
	if (r->broker_away)
		bring_broker_back(r, "");
	if (r->flags[0])
		start_dc(r, "");
	WAIT_UNTIL(stack_metric(&r->s.mb[0], "mb_online") == 0);
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		forget(r, patterns[i]);
	make_app(r);
	r->ids = (struct likeness){.count = 0};
	r->headless = r->unfinished = r->has_held = false;
	connect_app(r);
}

void replay_start(struct replay *r, const char *key)
{
	*r = (struct replay){.key = key};
	/* Clients say nothing while the App is asked, so heartbeats have time. */
	stack_start(&r->s, &(struct stack_options){.plaintext = true, .heartbeat_s = 60, .dc_flags = r->flags});
	wait_dc(r);
}

void replay_stop(struct replay *r)
{
	disconnect(r);
	close_clients(r);
	if (r->redis_still)
		redis_server_resume(&r->s.redis);
	stack_stop(&r->s);
}
