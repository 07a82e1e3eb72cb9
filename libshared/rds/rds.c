/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to Redis. Requests wait in our own queue, in the order in
 * which they were sent, which is the order in which Redis answers; hiredis's
 * callbacks only say that the next answer is there. So everything can be
 * answered at once when the connection goes, whatever hiredis still holds:
 *
 *   go_down() takes the context away (ac->data = NULL) before anything else,
 *   and a hiredis callback that finds no owner returns at once.
 *
 * Callbacks may call rds_free(): the memory goes with the last leave().
 * One timer serves all states: the backoff, the connect timeout, or the
 * deadline of the oldest request (all wait equally long, so that is the head). */
#include "rds/rds.h"

#include "base/log.h"
#include "crypto/random.h"
#include "rds/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <hiredis/adapters/libev.h>
#include <hiredis/async.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 2000,
	RESENDS_MAX = 3, /* of one request, for NOSCRIPT */
	SCRIPT_LEAD = 3, /* EVALSHA sha1 keys */
};

enum rds_state {
	RDS_DOWN,       /* no context; the timer waits to connect */
	RDS_CONNECTING, /* connecting or loading scripts; the timer gives up */
	RDS_UP,         /* requests are taken; the timer watches the oldest, if any */
};

struct rds {
	struct ev_loop *loop;
	struct rds_config config;
	rds_state_fn *on_state;
	void *ctx;
	enum rds_state state;
	redisAsyncContext *ac; /* NULL when RDS_DOWN */
	ev_timer timer;
	ev_tstamp timeout;
	struct request_queue queue;
	uint32_t backoff_ms;  /* the next wait before jitter */
	unsigned greetings;   /* answers still missing before RDS_UP */
	bool was_up, said_down;
	bool loading[SCRIPT_COUNT]; /* SCRIPT LOAD was sent again, its answer is not there */
	unsigned depth;       /* callbacks we are inside of */
	bool dead;            /* rds_free() was called */
	struct rds_stats stats;
};

static void enter(struct rds *r) { r->depth++; }

static void leave(struct rds *r)
{
	if (--r->depth == 0 && r->dead)
		free(r);
}

static struct request *pop(struct rds *r)
{
	struct request *q = request_pop(&r->queue);
	r->stats.in_flight = r->queue.count;
	return q;
}

/* The oldest is answered with err, the others with RS_ELOST. */
static void answer_all(struct rds *r, int err)
{
	for (struct request *q = pop(r); q; q = pop(r)) {
		request_answer(q, err, NULL);
		err = RS_ELOST;
	}
}

/* ---- state ---- */

static void set_timer(struct rds *r, ev_tstamp seconds)
{
	ev_timer_stop(r->loop, &r->timer);
	ev_timer_set(&r->timer, seconds, 0.);
	ev_timer_start(r->loop, &r->timer);
}

/* Half of the wait is fixed and half random, so that many daemons that lost
 * the same Redis do not come back together. */
static void wait_to_connect(struct rds *r)
{
	uint32_t random, half = r->backoff_ms / 2;
	random_bytes(&random, sizeof random);
	set_timer(r, (half + random % (half + 1)) / 1e3);
	r->backoff_ms = r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
}

static void log_down(struct rds *r, const char *why)
{
	char text[ADDR_TEXT_MAX];
	if (!r->said_down || log_enabled(LOG_DEBUG))
		log_warn("redis is not available", LOG_STR("addr", addr_format(&r->config.addr, text)),
			 LOG_STR("reason", why && *why ? why : "connection closed"));
	r->said_down = true;
}

/* The only way to RDS_DOWN. free_context: false when hiredis is about to do so
 * itself. first: the error for the oldest request. */
static void go_down(struct rds *r, bool free_context, int first, const char *why)
{
	bool was_up = r->state == RDS_UP;
	redisAsyncContext *ac = r->ac;
	if (!r->dead)
		log_down(r, why);
	r->ac = NULL;
	r->state = RDS_DOWN;
	memset(r->loading, 0, sizeof r->loading);
	ac->data = NULL;
	if (free_context)
		redisAsyncFree(ac); /* inside a reply callback hiredis puts this off itself */
	if (!r->dead)
		wait_to_connect(r);
	answer_all(r, first);
	if (was_up && r->on_state && !r->dead)
		r->on_state(r->ctx, false);
}

static void go_up(struct rds *r)
{
	char text[ADDR_TEXT_MAX];
	log_info("redis is connected", LOG_STR("addr", addr_format(&r->config.addr, text)));
	r->state = RDS_UP;
	r->said_down = false;
	r->backoff_ms = BACKOFF_MIN_MS;
	ev_timer_stop(r->loop, &r->timer);
	if (r->was_up)
		r->stats.reconnects++;
	r->was_up = true;
	if (r->on_state)
		r->on_state(r->ctx, true);
}

/* ---- replies ---- */

static bool is_error(const redisReply *reply, const char *code)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

/* The server cannot serve us for now: it still loads its file, or is a replica
 * (after a failover behind the same address). Connect again until it can. */
static bool is_unfit(const redisReply *reply)
{
	return is_error(reply, "LOADING ") || is_error(reply, "READONLY ") ||
	       is_error(reply, "MASTERDOWN ");
}

static void on_reload(redisAsyncContext *ac, void *data, void *privdata)
{
	struct rds *r = ac->data;
	/* If it failed, the request that follows says so; if the connection
	 * went, that request's callback does. */
	if (r && data)
		r->loading[(uintptr_t)privdata] = false;
}

static int send_load(struct rds *r, size_t script, redisCallbackFn *fn)
{
	const char *argv[] = {"SCRIPT", "LOAD", scripts[script].source};
	const size_t len[] = {6, 4, scripts[script].source_len};
	int rc = redisAsyncCommandArgv(r->ac, fn, (void *)(uintptr_t)script, 3, argv, len);
	return rc == REDIS_OK ? RS_OK : RS_EDOWN;
}

static void on_reply(redisAsyncContext *ac, void *data, void *privdata);

static int send_request(struct rds *r, struct request *q)
{
	if (redisAsyncFormattedCommand(r->ac, on_reply, NULL, q->wire, q->len) != REDIS_OK)
		return RS_EDOWN; /* the connection is ending */
	q->deadline = ev_now(r->loop) + r->timeout;
	request_push(&r->queue, q);
	r->stats.in_flight = r->queue.count;
	if (r->stats.in_flight > r->stats.in_flight_peak)
		r->stats.in_flight_peak = r->stats.in_flight;
	if (!ev_is_active(&r->timer))
		set_timer(r, r->timeout);
	return RS_OK;
}

/* The server forgot the script (restart, failover, SCRIPT FLUSH): loads it and
 * sends the request again. Those already on their way to the same NOSCRIPT
 * follow in their order, behind the one load. */
static int resend(struct rds *r, struct request *q)
{
	if (q->script == NO_SCRIPT || q->resends >= RESENDS_MAX)
		return RS_EINVAL;
	q->resends++;
	r->stats.noscript++;
	if (!r->loading[q->script]) {
		int err = send_load(r, (size_t)q->script, on_reload);
		if (err)
			return err;
		r->loading[q->script] = true;
	}
	return send_request(r, q);
}

static void take_reply(struct rds *r, const redisReply *reply)
{
	struct request *q = pop(r);
	if (!q)
		return;
	if (reply->type != REDIS_REPLY_ERROR) {
		request_answer(q, RS_OK, reply);
		return;
	}
	if (is_error(reply, "NOSCRIPT") && resend(r, q) == RS_OK)
		return;
	r->stats.errors++;
	request_answer(q, RS_EREMOTE, reply);
	if (r->ac && is_unfit(reply))
		go_down(r, true, RS_ELOST, reply->str);
}

static void on_reply(redisAsyncContext *ac, void *data, void *privdata)
{
	struct rds *r = ac->data;
	(void)privdata;
	if (!r)
		return;
	enter(r);
	if (data)
		take_reply(r, data);
	else
		go_down(r, false, RS_ELOST, ac->errstr);
	leave(r);
}

/* ---- connecting ---- */

/* NULL if the answer to AUTH, ROLE or SCRIPT LOAD lets us go on, else why not. */
static const char *greeting_fault(const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		return reply->str;
	size_t len;
	const char *role = reply_str(reply_at(reply, 0), &len);
	if (role && strcmp(role, "master") != 0)
		return "the server is not a master";
	return NULL;
}

static void on_greeting(redisAsyncContext *ac, void *data, void *privdata)
{
	struct rds *r = ac->data;
	(void)privdata;
	if (!r)
		return;
	enter(r);
	const char *fault = data ? greeting_fault(data) : ac->errstr;
	if (!data || fault)
		go_down(r, data != NULL, RS_ELOST, fault);
	else if (--r->greetings == 0)
		go_up(r);
	leave(r);
}

/* If a send fails here the connection is ending, or the timer ends it: nothing
 * may be freed inside the connect callback. */
static void greet(struct rds *r)
{
	r->greetings = 1 + SCRIPT_COUNT;
	if (r->config.password) {
		const char *argv[] = {"AUTH", r->config.password};
		const size_t len[] = {4, strlen(r->config.password)};
		r->greetings++;
		redisAsyncCommandArgv(r->ac, on_greeting, NULL, 2, argv, len);
	}
	redisAsyncCommand(r->ac, on_greeting, NULL, "ROLE");
	for (size_t i = 0; i < SCRIPT_COUNT; i++)
		if (send_load(r, i, on_greeting))
			break;
}

static void set_socket_options(int fd)
{
	const int on = 1, idle_s = 15, every_s = 5, probes = 3;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
	struct rds *r = ac->data;
	if (!r)
		return;
	if (status == REDIS_OK) {
		greet(r);
		return;
	}
	enter(r);
	go_down(r, false, RS_ELOST, ac->c.errstr);
	leave(r);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
	struct rds *r = ac->data;
	(void)status;
	if (!r)
		return;
	enter(r);
	go_down(r, false, RS_ELOST, ac->errstr);
	leave(r);
}

static redisAsyncContext *open_context(const struct addr *a)
{
	char host[INET6_ADDRSTRLEN];
	bool v4 = addr_is_v4(a);
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->ip + 12 : a->ip, host, sizeof host);
	redisAsyncContext *ac = redisAsyncConnect(host, addr_port(a));
	if (ac && ac->err) {
		redisAsyncFree(ac); /* nothing is attached yet, nothing is called */
		return NULL;
	}
	return ac;
}

static void start_connect(struct rds *r)
{
	redisAsyncContext *ac = open_context(&r->config.addr);
	if (!ac) {
		log_down(r, strerror(errno));
		wait_to_connect(r);
		return;
	}
	set_socket_options(ac->c.fd);
	ac->data = r;
	r->ac = ac;
	r->state = RDS_CONNECTING;
	redisLibevAttach(r->loop, ac);
	redisAsyncSetConnectCallback(ac, on_connect);
	redisAsyncSetDisconnectCallback(ac, on_disconnect);
	set_timer(r, r->config.connect_timeout_ms / 1e3);
}

static void check_deadline(struct rds *r)
{
	if (!r->queue.head)
		return;
	ev_tstamp left = r->queue.head->deadline - ev_now(r->loop);
	if (left > 0) {
		set_timer(r, left);
		return;
	}
	/* Its answer may still come, and would be taken for the next one's: the
	 * connection has to go. */
	r->stats.timeouts++;
	go_down(r, true, RS_ETIMEOUT, "no answer in time");
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct rds *r = w->data;
	(void)loop;
	(void)revents;
	enter(r);
	switch (r->state) {
	case RDS_DOWN:
		start_connect(r);
		break;
	case RDS_CONNECTING:
		go_down(r, true, RS_ELOST, "connecting took too long");
		break;
	case RDS_UP:
		check_deadline(r);
		break;
	}
	leave(r);
}

/* ---- the public functions ---- */

int rds_new(struct rds **out, struct ev_loop *loop, const struct rds_config *config,
	    rds_state_fn *on_state, void *ctx)
{
	struct rds *r = calloc(1, sizeof *r);
	if (!r)
		return RS_ENOMEM;
	r->loop = loop;
	r->config = *config;
	if (!r->config.connect_timeout_ms)
		r->config.connect_timeout_ms = 2000;
	if (!r->config.command_timeout_ms)
		r->config.command_timeout_ms = 5000;
	if (!r->config.max_in_flight)
		r->config.max_in_flight = 4096;
	r->timeout = r->config.command_timeout_ms / 1e3;
	r->on_state = on_state;
	r->ctx = ctx;
	r->backoff_ms = BACKOFF_MIN_MS;
	ev_timer_init(&r->timer, on_timer, 0., 0.);
	/* After I/O: an answer that is there counts, even if we come late to it. */
	ev_set_priority(&r->timer, EV_MINPRI);
	r->timer.data = r;
	start_connect(r);
	*out = r;
	return RS_OK;
}

void rds_free(struct rds *r)
{
	if (!r)
		return;
	enter(r);
	r->dead = true;
	ev_timer_stop(r->loop, &r->timer);
	if (r->ac)
		go_down(r, true, RS_ELOST, NULL);
	answer_all(r, RS_ELOST); /* what is left when called from an answer in go_down() */
	leave(r);
}

bool rds_is_up(const struct rds *r) { return r->state == RDS_UP; }

const struct rds_stats *rds_stats(const struct rds *r) { return &r->stats; }

static int submit(struct rds *r, int script, const struct rds_arg *lead, size_t lead_count,
		  const struct rds_arg *argv, size_t argc, rds_reply_fn *fn, void *ctx)
{
	int err = RS_OK;
	if (r->state != RDS_UP)
		err = RS_EDOWN;
	else if (r->queue.count >= r->config.max_in_flight)
		err = RS_EBUSY;
	if (err) {
		r->stats.refused++;
		return err;
	}
	struct request *q = request_new(lead, lead_count, argv, argc);
	if (!q)
		return RS_ENOMEM;
	q->fn = fn;
	q->ctx = ctx;
	q->script = script;
	err = send_request(r, q);
	if (err) {
		r->stats.refused++;
		free(q);
		return err;
	}
	r->stats.requests++;
	return RS_OK;
}

int rds_command(struct rds *r, size_t argc, const struct rds_arg *argv, rds_reply_fn *fn, void *ctx)
{
	if (argc == 0)
		return RS_EINVAL;
	return submit(r, NO_SCRIPT, NULL, 0, argv, argc, fn, ctx);
}

int rds_script(struct rds *r, enum script_id script, size_t keys, size_t argc,
	       const struct rds_arg *argv, rds_reply_fn *fn, void *ctx)
{
	char num[RDS_NUM_MAX];
	if ((unsigned)script >= SCRIPT_COUNT || keys > argc)
		return RS_EINVAL;
	const struct rds_arg lead[SCRIPT_LEAD] = {
		RDS_MEM("EVALSHA", 7),
		RDS_MEM(scripts[script].sha1, 40),
		rds_num((int64_t)keys, num),
	};
	return submit(r, (int)script, lead, SCRIPT_LEAD, argv, argc, fn, ctx);
}
