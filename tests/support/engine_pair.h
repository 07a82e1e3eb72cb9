/* SPDX-License-Identifier: Apache-2.0 */
/* A broker's engine, one client's or two, and a balancer's, joined by a wire in
 * memory under a virtual clock. What is sent stays on the wire until it is due; a
 * test sees each packet before (`pass`) and may alter or drop it, or keeps all of
 * them there (`hold`). The harness itself watches that no packet number is used
 * twice under one key; pair_free() says so. */
#ifndef SUPPORT_ENGINE_PAIR_H
#define SUPPORT_ENGINE_PAIR_H

#include "session/balancer.h"
#include "session/client_state.h"
#include "session/server_state.h"

enum {
	PAIR_CLIENTS = 2,
	PAIR_HEARTBEAT_S = 10,
	PAIR_WIRE_MAX = 4096,
	PAIR_TYPES = 32,
	PAIR_NOTES = 512,
	PAIR_REPLIES = 64,
};

#define PAIR_WALL_MS 1800000000000ull /* wall clock when the virtual one is 0 */

enum pair_login { PAIR_ACCEPT, PAIR_HOLD, PAIR_REJECT };

struct datagram {
	uint64_t due_ms;
	struct addr from, to;
	size_t len;
	uint8_t data[PACKET_MAX + 8]; /* room to make it too long */
};

struct engine_pair;

struct pair_client {
	struct engine_pair *pair;
	struct client *client;
	struct addr addr;
	enum client_state state;    /* as on_state last said */
	unsigned why, changes;
	unsigned refuse;            /* so many offers are refused; UINT_MAX: all */
	unsigned offers, shown;
	uint32_t id[PAIR_NOTES];    /* pair_push()'s numbers, as shown */
	size_t body_len[PAIR_NOTES];
	unsigned damaged;           /* bodies that differ from what was pushed */
	unsigned replies;
	uint32_t reply_number[PAIR_REPLIES];
	unsigned reply_code[PAIR_REPLIES];
};

/* A request as the broker's application saw it. */
struct pair_asked {
	uint32_t conn, number;
	uint8_t kind;
	char text[NAME_MAX_BYTES + 1];
};

struct pair_options {
	bool balancer;              /* the client asks it; else it knows the broker */
	uint32_t cookie_above;      /* of the broker; 0: 1024 */
	bool cookie_always;
	struct gate_config gate;    /* of the broker and, but for free_per_s, the balancer; `random` is set here */
	uint32_t balancer_cookie_above;
	uint32_t sessions_max;      /* 0: 64 */
	uint16_t heartbeat_s;       /* 0: PAIR_HEARTBEAT_S */
	uint32_t window;            /* of the client; 0: its default */
	uint64_t delay_ms;          /* each way */
	bool drawn_beats;           /* clients beat when they draw it; else after whole intervals */
};

struct engine_pair {
	struct pair_options options;
	uint64_t now_ms;
	struct server_config server_config;
	struct server *server;
	struct balancer balancer;
	struct keypair server_key, balancer_key;
	struct addr server_addr, balancer_addr;
	struct pair_client client[PAIR_CLIENTS];

	/* the wire: oldest first */
	struct datagram *wire;
	unsigned wire_count;
	bool hold;
	bool (*pass)(struct engine_pair *p, struct datagram *d); /* false: it is lost */
	unsigned pass_left;                      /* for the use of `pass` */
	struct datagram last[2][PAIR_TYPES];     /* last of each type, [to a client] */
	unsigned count[2][PAIR_TYPES];           /* of each type sent */
	unsigned sent;                           /* packets, all sides */
	bool log_all;
	struct datagram *log;                    /* with log_all: everything */
	unsigned log_count;

	/* the application at the broker */
	enum pair_login login_does;
	enum close_code reject_code;
	uint32_t reject_retry_ms;
	unsigned logins, acked, voided, gone;
	uint32_t login_conn, conn;               /* asked last; online, 0: nobody */
	uint32_t acked_id[PAIR_NOTES];
	enum close_code gone_why;
	bool reply_waits;                        /* the test answers requests, not the harness */
	enum reply_code reply_with;
	unsigned asks;
	struct pair_asked asked_for[PAIR_REPLIES];
	unsigned events;                         /* of all sides */

	/* the balancer's choice */
	struct answer_payload answer;
	struct ask_payload asked;

	/* what the harness watches */
	unsigned epoch;                          /* of the broker, as it was restarted */
	uint64_t *numbers;
	unsigned numbers_cap, numbers_used, repeated;
};

enum { TO_SERVER, TO_CLIENT }; /* first index of last[] and count[]; the balancer counts as server */

struct engine_pair *pair_new(const struct pair_options *o); /* o NULL: all defaults */
/* Checks what was watched, too. */
void pair_free(struct engine_pair *p);
uint64_t pair_wall(const struct engine_pair *p);
struct client *pair_start(struct engine_pair *p, unsigned client); /* made if needed */
/* client 0, started and online. */
struct engine_pair *pair_online(const struct pair_options *o);
/* Delivers what is due, until nothing is. */
void pair_settle(struct engine_pair *p);
/* Lets the time pass with all that happens in it. */
void pair_run(struct engine_pair *p, uint64_t ms);
/* The same until client 0 is in the state; false: not within limit_ms. */
bool pair_until(struct engine_pair *p, enum client_state state, uint64_t limit_ms);
/* Hands a datagram to whom it is addressed, at once. */
void pair_hand(struct engine_pair *p, const struct datagram *d);
void pair_restart_server(struct engine_pair *p);
/* A message whose id and body follow from n. */
int pair_push(struct engine_pair *p, uint32_t n, size_t body_len, uint64_t expires_ms);
struct ulid pair_id(uint32_t n);
/* The session of a client at the broker, or NULL. */
struct session *pair_session(const struct engine_pair *p, unsigned client);
/* A DATA packet with these frames, as client 0 or (to_client) its broker would
 * seal it, with a fresh number. */
struct datagram pair_seal(struct engine_pair *p, bool to_client, const struct frame *f, unsigned count);
struct datagram pair_seal_bytes(struct engine_pair *p, bool to_client, const uint8_t *frames, size_t len);

/* All that an engine keeps, but for statistics and rate limits, as bytes. */
struct pair_image {
	uint8_t *data;
	size_t len, cap;
};
void pair_image_take(struct pair_image *m, const struct engine_pair *p);
bool pair_image_same(const struct pair_image *m, const struct engine_pair *p);
void pair_image_deinit(struct pair_image *m);

#endif
