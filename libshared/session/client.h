/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of the client protocol, without I/O: it asks a balancer,
 * shakes hands with a broker, logs in, keeps the session alive, shows each
 * message once and in order, and begins again by itself when the broker is gone.
 *
 *   CLIENT_STOPPED  not started, or ended for good: `why` says the reason
 *   CLIENT_WAITING  between attempts; a timer with jitter runs
 *   CLIENT_ASKING   ASK sent to a balancer
 *   CLIENT_HELLO    INIT sent to a broker
 *   CLIENT_LOGIN    LOGIN sent
 *   CLIENT_ONLINE   accepted
 *
 * Timers: one, `deadline`, whose meaning depends on the state (try again, give
 * this one up, next heartbeat or, when the keys are old or it was slept through, a
 * new handshake), one for a message that was not taken, and one for a request
 * without an answer. Time as in session/server.h. Call client_flush() after each batch of datagrams. */
#ifndef SESSION_CLIENT_H
#define SESSION_CLIENT_H

#include "session/cookie.h"
#include "session/inbox.h"
#include "session/keys.h"
#include "session/replay.h"
#include "session/seen.h"
#include "wire/object.h"

#define CLIENT_BALANCERS_MAX 8
#define CLIENT_KEYS_MAX 2           /* a balancer's key now and the next one */
#define CLIENT_WINDOW (64 * 1024u)
#define CLIENT_RENEW_NUMBER (1u << 22)       /* packets, then a new handshake */
#define CLIENT_RENEW_MS (24ull * 3600 * 1000)
#define CLIENT_OVERSLEPT_BEATS 2 /* heartbeat intervals beyond the one that was due: the broker waits for 3 */
#define CLIENT_BACKOFF_MIN_MS 1000u
#define CLIENT_BACKOFF_MAX_MS 60000u
#define CLIENT_REQUESTS_MAX 32      /* that wait for their answers */

enum client_state {
	CLIENT_STOPPED, CLIENT_WAITING, CLIENT_ASKING, CLIENT_HELLO, CLIENT_LOGIN, CLIENT_ONLINE,
};
const char *client_state_text(enum client_state s);

struct client;

struct client_balancer {
	struct addr address;
	uint8_t key[CLIENT_KEYS_MAX][32];
	uint8_t key_count;
};

struct client_config {
	struct client_balancer balancer[CLIENT_BALANCERS_MAX];
	size_t balancer_count;           /* 0 with a `broker`: no balancer, for tests and small set-ups */
	struct broker_entry broker;      /* used when balancer_count is 0 */
	const char *user, *session;      /* copied */
	uint8_t device[DEVICE_BYTES];
	uint16_t heartbeat_s;            /* longest the network bears; 0: the broker says */
	uint32_t window;                 /* bytes; 0: CLIENT_WINDOW */
	random_fn *random;
	/* May be NULL. A key pair made ahead, for one handshake; false: there is none, it is
	 * made then. `ctx` is that of the handler. */
	bool (*ephemeral)(void *ctx, struct keypair *out);
};

struct client_message {
	struct record record;            /* fields borrowed for the call */
	bool stored;
	bool notice;                     /* a word of the service: see OBJECT_NOTICE */
};

struct client_handler {
	void (*send)(void *ctx, const struct addr *to, const uint8_t *data, size_t len);
	/* Show it. 0: taken, it is acknowledged. Not 0: not now; it is offered again
	 * after CLIENT_OFFER_MS and nothing behind it is shown before. */
	int (*on_message)(void *ctx, const struct client_message *m);
	/* The state changed; `why` (enum close_code) has a meaning for WAITING and STOPPED. */
	void (*on_state)(void *ctx, enum client_state state, unsigned why);
	/* What became of a request: enum reply_code, never REPLY_LATER. Each is answered
	 * once, in the order in which they were made. May be NULL. */
	void (*on_reply)(void *ctx, uint32_t number, unsigned code);
};
#define CLIENT_OFFER_MS 1000u

struct client_stats {
	uint64_t shown, doubled, bad_packets, replays, resets, reconnects, renewed, heartbeats;
	uint64_t data_in, data_out;
	uint32_t rtt_ms;                 /* of the last heartbeat */
	uint32_t beat_s;                 /* the interval of heartbeats now */
};

RS_MUST_CHECK int client_new(struct client **out, const struct client_config *config,
			     const struct client_handler *handler, void *ctx);
void client_free(struct client *c);      /* says nothing to the broker */
void client_start(struct client *c, uint64_t now_ms, uint64_t wall_ms);
/* Asks the broker for something, now or when there is one; `text` is copied. What it
 * asks for is repeated, in this session and the next, until it is answered. Returns
 * the request's number, from 1 on; RS_EINVAL: not a name, or no such kind; RS_ELIMIT:
 * CLIENT_REQUESTS_MAX wait; RS_ENOMEM. */
RS_MUST_CHECK int client_request(struct client *c, uint64_t now_ms, enum request_kind kind,
				 const char *text, size_t len);
/* Logs out: tells the broker and becomes STOPPED. */
void client_stop(struct client *c);
void client_recv(struct client *c, uint64_t now_ms, uint64_t wall_ms, const struct addr *from,
		 uint8_t *data, size_t len);
void client_flush(struct client *c, uint64_t now_ms);
void client_tick(struct client *c, uint64_t now_ms, uint64_t wall_ms);
uint64_t client_deadline(const struct client *c);
/* A hint from the network (ICMP "unreachable") that nobody is there. It only
 * makes the client look sooner, since anyone can send it. */
void client_hint_unreachable(struct client *c, uint64_t now_ms);
enum client_state client_state(const struct client *c);
/* The broker in use, zero if none. */
struct addr client_broker(const struct client *c);
uint64_t client_owner(const struct client *c); /* the fence this login got */
const struct client_stats *client_stats(const struct client *c);
/* Ids shown before, from a file: oldest first. */
void client_seed_seen(struct client *c, const struct ulid *id);

#endif
