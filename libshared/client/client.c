/* SPDX-License-Identifier: Apache-2.0 */
/* librestante: a socket, two clocks and a file around the engine of
 * session/client.h.
 *
 * Callbacks come from inside restante_process() and restante_stop() only. What a
 * callback asks for (stop) and what the socket reports in the midst of a call
 * into the engine (nobody is there) is noted, and done when the engine has
 * returned: it is not made to be changed under its own feet. */
#include "client/restante.h"

#include "base/clock.h"
#include "client/options.h"
#include "client/peer_socket.h"
#include "client/seen_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DRAIN_MAX = 256,      /* datagrams in one restante_process(), so that it ends */
	TICKS_MAX = 64,
	DATAGRAM_MAX = 2048,
};

struct restante {
	struct client *engine;
	struct peer_socket socket;
	struct seen_file *seen;  /* NULL: memory only */
	restante_message_fn *on_message;
	restante_state_fn *on_state;
	restante_reply_fn *on_reply;
	restante_missed_fn *on_missed;
	void *ctx;
	unsigned why;
	int seen_errno;
	bool started;            /* the engine was: at the first restante_process() */
	bool busy;               /* inside the engine */
	bool stop_wanted, unreachable; /* noted while busy */
	char broker[ADDR_TEXT_MAX];
};

_Static_assert((int)RESTANTE_STOPPED == (int)CLIENT_STOPPED &&
	       (int)RESTANTE_WAITING == (int)CLIENT_WAITING &&
	       (int)RESTANTE_ASKING == (int)CLIENT_ASKING && (int)RESTANTE_HELLO == (int)CLIENT_HELLO &&
	       (int)RESTANTE_LOGIN == (int)CLIENT_LOGIN && (int)RESTANTE_ONLINE == (int)CLIENT_ONLINE,
	       "the states are the engine's");
_Static_assert((int)RESTANTE_ERROR_NAME == (int)RS_EINVAL && (int)RESTANTE_ERROR_MANY == (int)RS_ELIMIT &&
	       (int)RESTANTE_ERROR_MEMORY == (int)RS_ENOMEM && (int)RESTANTE_ERROR_STOPPED == (int)RS_EDOWN,
	       "the errors are the engine's");
_Static_assert((int)RESTANTE_REPLY_DONE == (int)REPLY_DONE &&
	       (int)RESTANTE_REPLY_INVALID == (int)REPLY_INVALID &&
	       (int)RESTANTE_REPLY_TOO_MANY == (int)REPLY_TOO_MANY, "the codes are the protocol's");

/* ---- what the engine calls ---- */

static void on_send(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct restante *r = ctx;
	/* What cannot be sent is lost, as it may be in any case: the engine repeats it. */
	if (peer_socket_send(&r->socket, to, data, len) == RS_EDOWN)
		r->unreachable = true;
}

static void copy_name(char out[NAME_MAX_BYTES + 1], const char *name, size_t len)
{
	memcpy(out, name, len);
	out[len] = '\0';
}

static int show(struct restante *r, const struct client_message *m)
{
	char id[ULID_TEXT + 1], app[NAME_MAX_BYTES + 1], app_id[NAME_MAX_BYTES + 1], topic[NAME_MAX_BYTES + 1];
	copy_name(app, m->record.app, m->record.app_len);
	copy_name(app_id, m->record.app_id_len ? m->record.app_id : "", m->record.app_id_len);
	copy_name(topic, m->record.topic_len ? m->record.topic : "", m->record.topic_len);
	struct restante_message shown = {
		.id = ulid_format(&m->record.id, id),
		.app = app,
		.app_id = app_id,
		.sent_ms = (int64_t)m->record.sent_ms,
		.expires_ms = (int64_t)m->record.expires_ms,
		.stored = m->stored,
		.body = m->record.body,
		.len = m->record.body_len,
		.topic = topic,
	};
	return r->on_message(r->ctx, &shown);
}

/* A notice of a later version is passed over: nobody here would understand it. */
static void tell_notice(struct restante *r, const struct client_message *m)
{
	char app[NAME_MAX_BYTES + 1];
	uint64_t count;
	if (!r->on_missed || notice_missed(m->record.body, m->record.body_len, &count))
		return;
	copy_name(app, m->record.app, m->record.app_len);
	r->on_missed(r->ctx, app, count);
}

/* Shown, then written down, and only then acknowledged. When it cannot be written
 * down (a full disk) it has been shown all the same: it is acknowledged, and
 * restante_seen_errno() tells of it. */
static int on_message(void *ctx, const struct client_message *m)
{
	struct restante *r = ctx;
	int refused = 0;
	if (r->stop_wanted)
		return 1;
	if (m->notice)
		tell_notice(r, m);
	else
		refused = show(r, m);
	if (!refused && r->seen)
		r->seen_errno = seen_file_add(r->seen, &m->record.id) ? errno : 0;
	return refused;
}

static void on_state(void *ctx, enum client_state state, unsigned why)
{
	struct restante *r = ctx;
	r->why = why;
	if (r->on_state)
		r->on_state(r->ctx, (enum restante_state)state, why);
}

static void on_reply(void *ctx, uint32_t number, unsigned code)
{
	struct restante *r = ctx;
	if (r->on_reply)
		r->on_reply(r->ctx, (int)number, code);
}

static void on_seen_before(void *ctx, const struct ulid *id)
{
	struct restante *r = ctx;
	client_seed_seen(r->engine, id);
}

/* ---- life ---- */

static int open_parts(struct restante *r, const char *seen_file, const struct client_config *config,
		      char *error, size_t error_len)
{
	static const struct client_handler handler = {on_send, on_message, on_state, on_reply};
	int err = client_new(&r->engine, config, &handler, r);
	if (!err)
		err = peer_socket_init(&r->socket);
	if (err) {
		snprintf(error, error_len, "no client can be made: %s",
			 err == RS_ESYS ? strerror(errno) : err_str(err));
		return err;
	}
	if (seen_file)
		err = seen_file_open(&r->seen, seen_file, on_seen_before, r, error, error_len);
	return err;
}

struct restante *restante_open(const struct restante_options *options, char *error, size_t error_len)
{
	struct restante_options known;
	struct client_config config;
	if (options_take(options, &known, &config, error, error_len))
		return NULL;
	struct restante *r = calloc(1, sizeof *r);
	if (!r) {
		snprintf(error, error_len, "out of memory");
		return NULL;
	}
	r->socket.fd = -1;
	r->on_message = known.on_message;
	r->on_state = known.on_state;
	r->on_reply = known.on_reply;
	r->on_missed = known.on_missed;
	r->ctx = known.ctx;
	if (open_parts(r, known.seen_file, &config, error, error_len)) {
		restante_close(r);
		return NULL;
	}
	return r;
}

void restante_close(struct restante *r)
{
	if (!r)
		return;
	r->on_state = NULL;
	if (r->engine)
		client_stop(r->engine);
	client_free(r->engine);
	seen_file_close(r->seen);
	peer_socket_deinit(&r->socket);
	free(r);
}

static void stop_now(struct restante *r)
{
	r->started = r->stop_wanted = r->busy = true;
	client_stop(r->engine);
	r->busy = false;
}

void restante_stop(struct restante *r)
{
	r->stop_wanted = true;
	if (!r->busy)
		stop_now(r);
}

/* ---- the work ---- */

static void receive(struct restante *r, uint64_t now_ms, uint64_t wall_ms)
{
	uint8_t data[DATAGRAM_MAX];
	struct addr from;
	for (int i = 0; i < DRAIN_MAX && !r->stop_wanted; i++) {
		int len = peer_socket_recv(&r->socket, &from, data, sizeof data);
		if (len == RS_EAGAIN)
			return;
		if (len == RS_EDOWN)
			r->unreachable = true;
		else if (len > 0)
			client_recv(r->engine, now_ms, wall_ms, &from, data, (size_t)len);
	}
}

static void tell_unreachable(struct restante *r, uint64_t now_ms)
{
	if (r->unreachable)
		client_hint_unreachable(r->engine, now_ms);
	r->unreachable = false;
}

static void work(struct restante *r)
{
	uint64_t now_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
	if (!r->started)
		client_start(r->engine, now_ms, wall_ms);
	r->started = true;
	receive(r, now_ms, wall_ms);
	client_flush(r->engine, now_ms);
	tell_unreachable(r, now_ms);
	/* A deadline may be due at once again; the bound is against one that never ends. */
	for (int i = 0; i < TICKS_MAX && !r->stop_wanted && client_deadline(r->engine) <= now_ms; i++)
		client_tick(r->engine, now_ms, wall_ms);
	client_flush(r->engine, now_ms);
}

void restante_process(struct restante *r)
{
	if (r->busy)
		return;
	r->busy = true;
	if (!r->started || client_state(r->engine) != CLIENT_STOPPED)
		work(r);
	r->busy = false;
	if (r->stop_wanted && client_state(r->engine) != CLIENT_STOPPED)
		stop_now(r);
}

/* ---- requests ---- */

static int request(struct restante *r, enum request_kind kind, const char *text)
{
	if (r->stop_wanted || (r->started && client_state(r->engine) == CLIENT_STOPPED))
		return RESTANTE_ERROR_STOPPED;
	return text ? client_request(r->engine, clock_mono_ms(), kind, text, strlen(text)) : RESTANTE_ERROR_NAME;
}

int restante_subscribe(struct restante *r, const char *filter) { return request(r, REQUEST_SUBSCRIBE, filter); }

int restante_unsubscribe(struct restante *r, const char *filter)
{
	return request(r, REQUEST_UNSUBSCRIBE, filter);
}

int restante_set_storage(struct restante *r, const char *app, int on)
{
	return request(r, on ? REQUEST_STORE_ON : REQUEST_STORE_OFF, app ? app : "*");
}

/* ---- questions ---- */

int restante_fd(const struct restante *r) { return r->socket.fd; }

int restante_timeout_ms(const struct restante *r)
{
	if (!r->started)
		return 0;
	uint64_t now_ms = clock_mono_ms(), deadline_ms = client_deadline(r->engine);
	if (client_state(r->engine) == CLIENT_STOPPED || deadline_ms == UINT64_MAX)
		return -1;
	if (deadline_ms <= now_ms)
		return 0;
	return deadline_ms - now_ms < INT_MAX ? (int)(deadline_ms - now_ms) : INT_MAX;
}

enum restante_state restante_state(const struct restante *r)
{
	if (!r->started)
		return RESTANTE_WAITING; /* for the first restante_process() */
	return (enum restante_state)client_state(r->engine);
}

unsigned restante_why(const struct restante *r) { return r->why; }

const char *restante_broker(struct restante *r)
{
	struct addr a = client_broker(r->engine);
	r->broker[0] = '\0';
	return addr_port(&a) ? addr_format(&a, r->broker) : r->broker;
}

int restante_seen_errno(const struct restante *r) { return r->seen_errno; }

const char *restante_code_text(unsigned code) { return close_code_text(code); }

const char *restante_state_text(enum restante_state state)
{
	bool known = (int)state >= RESTANTE_STOPPED && state <= RESTANTE_ONLINE;
	return known ? client_state_text((enum client_state)state) : "unknown";
}

const char *restante_reply_text(unsigned code)
{
	static const char *const text[] = {
		[REPLY_DONE] = "done", [REPLY_INVALID] = "not valid", [REPLY_TOO_MANY] = "too many",
		[REPLY_LATER] = "not possible now",
	};
	return code < sizeof text / sizeof *text ? text[code] : "refused";
}

const char *restante_error_text(int error)
{
	switch (error) {
	case RESTANTE_ERROR_NAME: return "not " NAME_RULE;
	case RESTANTE_ERROR_MANY: return "too many requests wait for their answers";
	case RESTANTE_ERROR_MEMORY: return "out of memory";
	case RESTANTE_ERROR_STOPPED: return "the client has stopped";
	default: return "no error";
	}
}

const char *restante_version(void) { return RESTANTE_VERSION; }
