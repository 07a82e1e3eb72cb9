/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's side of the client protocol, without I/O: datagrams and time go
 * in; datagrams and events come out through the handler. One `struct server`
 * holds all sessions of a broker.
 *
 *   SESSION_FREE       not in use
 *   SESSION_HALF_OPEN  RESP was sent; nothing proves yet that the client got it
 *   SESSION_LOGIN      LOGIN came, on_login was called; server_accept() or
 *                      server_reject() is awaited
 *   SESSION_ONLINE     accepted; messages flow
 *   SESSION_CLOSED     ended; each packet is answered with why, until it is freed
 *
 * `conn`, the connection id, is an index and a generation; a stale one is simply
 * not found. Time: `now_ms` is monotonic, `wall_ms` since 1970 (for expiry). The
 * handler's functions may call any function here but server_free(). What is to be
 * sent is collected; server_flush() sends it. */
#ifndef SESSION_SERVER_H
#define SESSION_SERVER_H

#include "crypto/x25519.h"
#include "session/gate.h"
#include "session/outbox.h"
#include "wire/object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_HALF_OPEN_MAX 4096    /* handshakes under way */
#define SERVER_HALF_OPEN_MS 10000    /* then a half-open session is freed */
#define SERVER_LINGER_MS 30000       /* how long a closed session answers with why ... */
#define SERVER_LINGER_BEAT_MS 15000  /* ... but for this beyond its heartbeat interval */
#define SERVER_LINGER_REJECTED_MS 5000 /* ... and one that was never accepted only for this */
#define SERVER_RESETS_PER_S 10000
#define SERVER_BAD_MAX 64            /* bad packets for a session from elsewhere, then only its proven address ... */
#define SERVER_BAD_MS 2000           /* ... is heard, for this long at most */
#define SERVER_IDLE_BEATS 3          /* heartbeat intervals of silence, then offline ... */
#define SERVER_IDLE_MIN_MS 2000      /* ... but at least this */
#define SERVER_NUMBER_MAX (1u << 25) /* a session that gets here is closed; clients renew at 2^22 */

struct server;

/* What the way to a client was like lately. */
struct server_path {
	uint32_t rtt_ms;
	uint32_t sent, again; /* pieces of messages; those that had to be sent again */
};

struct server_config {
	struct keypair key;            /* static key, pinned by clients through the LB */
	uint64_t boot;
	uint16_t heartbeat_s;
	uint32_t sessions_max;         /* at most 2^22 */
	uint32_t cookie_above;         /* half-open handshakes that make the cookie required */
	struct gate_config gate;       /* with the source of random bytes */
	/* May be NULL. A key pair made ahead, for one handshake; false: there is none, it
	 * is made then. */
	bool (*ephemeral)(void *ctx, struct keypair *out);
	/* May be NULL. A session delivered something to this address, and heard of it;
	 * `ctx` is that of the handler. */
	void (*on_path)(void *ctx, const struct addr *to, const struct server_path *p);
};

struct server_handler {
	void (*send)(void *ctx, const struct addr *to, const uint8_t *data, size_t len);
	/* A client asks to log in; `login` is borrowed for the call. */
	void (*on_login)(void *ctx, uint32_t conn, const struct frame_login *login,
			 const struct addr *from);
	/* The client has taken a message (or it was void: expired or
	 * withdrawn). `user` as given to server_accept(). */
	void (*on_acked)(void *ctx, uint32_t conn, void *user, const struct outbox_done *done);
	/* The session ended (not for those that were never accepted or asked to be). */
	void (*on_gone)(void *ctx, uint32_t conn, void *user, enum close_code why);
	/* The client asks for something; `f` is borrowed for the call. Answer it with
	 * server_reply(), now or later, once: until then no other of this session comes.
	 * The same one may come again, as its answer can get lost; all kinds may be done
	 * twice. They come in the order in which the client made them. NULL: none is
	 * understood here. */
	void (*on_request)(void *ctx, uint32_t conn, void *user, const struct frame_request *f);
};

struct server_stats {
	uint64_t handshakes, handshakes_bad, half_open_evicted;
	uint64_t refused_full, heartbeats, data_in, data_out, bad_packets, replays, resets_sent;
	uint64_t resets_suppressed, logins, accepted, rejected, pushed, acked, voided, timeouts;
	uint64_t moved, path_bad, stalls, login_timeouts, redirected;
	uint64_t requests, requests_dropped; /* handed on; came while another was under way */
	uint64_t shed; /* from elsewhere and not tried: the session had too many bad ones */
	uint32_t sessions, half_open, online; /* now */
};

RS_MUST_CHECK int server_new(struct server **out, const struct server_config *config,
			     const struct server_handler *handler, void *ctx, uint64_t now_ms);
void server_free(struct server *s); /* no callbacks */

/* data may be changed in place. */
void server_recv(struct server *s, uint64_t now_ms, uint64_t wall_ms, const struct addr *from,
		 uint8_t *data, size_t len);
void server_flush(struct server *s, uint64_t now_ms, uint64_t wall_ms);
/* Timers; call it when server_deadline() is reached, and it sends what is due. */
void server_tick(struct server *s, uint64_t now_ms, uint64_t wall_ms);
uint64_t server_deadline(const struct server *s);

/* Answers on_login. `user` is the caller's, handed to later events. */
RS_MUST_CHECK int server_accept(struct server *s, uint32_t conn, uint64_t now_ms, uint64_t owner,
				void *user);
RS_MUST_CHECK int server_reject(struct server *s, uint32_t conn, uint64_t now_ms,
				enum close_code code, uint32_t retry_ms);
/* Hands a message over. flags: OBJECT_STORED, OBJECT_NOTICE; tag and wall_ms come
 * back with on_acked. RS_EBUSY: the session's window is full, keep it; RS_ENOENT:
 * no such session online; RS_EEXIST: it is under way already; RS_ELIMIT. */
RS_MUST_CHECK int server_push(struct server *s, uint32_t conn, const struct record *r, uint8_t flags,
			      uint8_t tag, uint64_t wall_ms);
/* A message under way is not to be shown any more, unless the client has taken it
 * already; on_acked comes all the same. RS_ENOENT: it is not under way. */
RS_MUST_CHECK int server_withdraw(struct server *s, uint32_t conn, const struct ulid *id);
/* Answers on_request; nothing if that session is gone or waits for no answer. */
void server_reply(struct server *s, uint32_t conn, uint32_t number, enum reply_code code);
bool server_has_room(const struct server *s, uint32_t conn);
/* More waits than fits: heartbeats are answered with "there is something for you". */
void server_set_more(struct server *s, uint32_t conn, bool more);
/* Ends a session, telling the client; on_gone is called for an accepted one. */
void server_close_session(struct server *s, uint32_t conn, uint64_t now_ms, enum close_code code);
/* The same, but the client is sent to the brokers of server_set_fallback(), after
 * a random time of up to spread_ms. RS_ENOENT: no such session online. */
RS_MUST_CHECK int server_redirect(struct server *s, uint32_t conn, uint64_t now_ms, uint32_t spread_ms);
/* Under load: new handshakes are dropped, sessions go on. */
void server_shut(struct server *s, bool shut);
/* What server_accept() was given, or NULL if there is no such session online. */
void *server_user(const struct server *s, uint32_t conn);
/* The owner that server_accept() was given, also from inside on_gone(); 0 if there
 * is none. */
uint64_t server_owner(const struct server *s, uint32_t conn);
/* Calls fn for each session online (for an orderly stop). */
void server_each(struct server *s, void (*fn)(void *ctx, uint32_t conn, void *user), void *ctx);
/* The same in parts: calls fn for those online among the next `places` from *place
 * on, which it moves. False: that was the last part. In between sessions may come and
 * go; one that stays is visited once. */
bool server_each_of(struct server *s, uint32_t *place, uint32_t places,
		    void (*fn)(void *ctx, uint32_t conn, void *user), void *ctx);
/* Brokers named to clients at login, for when no balancer answers, and in redirects. */
void server_set_fallback(struct server *s, const struct frame_brokers *list);
struct addr server_address(const struct server *s, uint32_t conn);
const struct server_stats *server_stats(const struct server *s);
const struct gate_stats *server_gate_stats(const struct server *s);

#endif
