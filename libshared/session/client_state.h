/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the client's engine share. Private to session/client*.c. */
#ifndef SESSION_CLIENT_STATE_H
#define SESSION_CLIENT_STATE_H

#include "base/list.h"
#include "session/client.h"

struct client {
	struct client_config config;
	char user[NAME_MAX_BYTES + 1], session[SESSION_ID_MAX + 1];
	struct client_handler handler;
	void *ctx;
	enum client_state state;
	uint64_t deadline_ms;      /* of the state's timer; UINT64_MAX: none */
	uint8_t tries;             /* in this state */
	uint8_t failures;          /* whole rounds without success: the backoff */

	/* asking and shaking hands */
	size_t balancer;           /* which one, of config.balancer */
	uint8_t balancer_key;      /* which of its keys */
	struct frame_brokers choice; /* what the balancer named; [at] is in use */
	uint8_t at;
	struct frame_brokers fallback;
	bool redirected;           /* after the wait go to `choice`, without asking */
	struct addr avoid[ASK_AVOID_MAX];
	uint8_t avoid_count;
	struct addr peer;          /* whom we talk to now */
	uint32_t attempt;
	struct noise noise;
	uint8_t hello[ASK_BYTES];  /* the INIT or ASK as sent, to be sent again */
	bool cookie_used;

	/* the session */
	struct keys keys;
	uint32_t conn;
	uint8_t reset_token[RESET_TOKEN];
	uint64_t owner, born_ms;
	uint32_t next_number;
	struct replay received;
	uint16_t heartbeat_s;      /* as the broker says, ... */
	uint16_t beat_s;           /* ... or less, since the NAT forgets sooner */
	uint8_t beat_phase;        /* random: when in the interval, of 256 parts, this session's heartbeats fall */
	uint8_t forgotten;         /* silences in a row after which the address was another */
	bool beat_idle;            /* the heartbeat that waits was the first after a silence of beat_s */
	uint64_t heard_ms;         /* last authentic packet of this session */
	uint32_t beat_number;      /* of the heartbeat that awaits its answer */
	uint64_t beat_sent_ms;
	bool beat_waits, beat_urgent;
	bool beat_soon;            /* the next heartbeat is not put off by what comes in */

	/* messages */
	struct inbox inbox;
	struct seen *seen;         /* NULL until the first message */
	uint64_t offer_ms;         /* when to offer again what was not taken; 0: nothing */
	uint32_t ack_refs[FRAME_REFS_MAX];
	unsigned ack_count;
	struct frame_fragment_ack pieces[8]; /* messages that got pieces in this batch */
	unsigned piece_count;

	/* requests: kept until they are answered, whatever becomes of the session */
	struct list requests;      /* oldest first; only the first is under way */
	unsigned request_count;
	uint32_t request_number;   /* of the last one made */
	uint64_t request_ms;       /* when the first is due again; 0: not sent in this session */
	uint8_t request_tries;     /* of it, in this session */
	struct client_stats stats;
};

/* client.c: changes the state, arms its timer, tells the owner. */
void client_set_state(struct client *c, enum client_state to, unsigned why, uint64_t deadline_ms);
/* Names it to the balancer as one that failed, until the next login. */
void client_avoid(struct client *c, const struct addr *a);
/* A whole round failed: a pause of least_ms and a random time that doubles with
 * each failure in a row. */
void client_back_off(struct client *c, uint64_t now_ms, unsigned why, uint64_t least_ms);
/* This broker or balancer failed: the next one, or wait. */
void client_next_peer(struct client *c, uint64_t now_ms, uint64_t wall_ms, unsigned why);
/* Forgets the session and begins again after a jittered wait of up to `spread_ms`. */
void client_begin_again(struct client *c, uint64_t now_ms, unsigned why, uint64_t least_ms,
			uint64_t spread_ms);
/* They have served for as many packets, or as long, as they should. */
bool client_keys_old(const struct client *c, uint64_t now_ms);
/* The set of ids shown, made when first needed; false: out of memory. */
bool client_has_seen(struct client *c);
void client_start_hello(struct client *c, uint64_t now_ms, uint64_t wall_ms);

/* client_hello.c: ASK, ANSWER, INIT, COOKIE, RESP. */
void client_send_hello(struct client *c, uint64_t wall_ms, const uint8_t *cookie);
void client_on_hello(struct client *c, uint64_t now_ms, uint64_t wall_ms, const uint8_t *data,
		     size_t len);

/* client_session.c: DATA, heartbeats, RESET. */
void client_send_login(struct client *c);
void client_set_beat(struct client *c, uint16_t beat_s);
void client_send_beat(struct client *c, uint64_t now_ms);
void client_send_frame(struct client *c, const struct frame *f);
void client_on_packet(struct client *c, uint64_t now_ms, uint8_t *data, size_t len);
void client_offer(struct client *c, uint64_t now_ms);

/* client_request.c: the requests of the owner. */
void client_requests_free(struct client *c);
/* A session begins: the first is to be sent again. */
void client_requests_renew(struct client *c);
/* Sends the first if it is due. */
void client_requests_send(struct client *c, uint64_t now_ms);
/* When client_requests_send() has something to do; UINT64_MAX: not now. */
uint64_t client_requests_deadline(const struct client *c);
void client_on_reply(struct client *c, uint64_t now_ms, const struct frame_reply *f);

#endif
