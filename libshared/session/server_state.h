/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the broker's engine share. Private to session/server*.c. */
#ifndef SESSION_SERVER_STATE_H
#define SESSION_SERVER_STATE_H

#include "session/halfopen.h"
#include "session/server.h"
#include "session/table.h"

struct server {
	struct server_config config;
	struct server_handler handler;
	void *ctx;
	struct table table;
	struct halfopen half;
	struct gate gate;
	uint8_t reset_key[32];     /* from the static key: the same after a restart */
	uint8_t path_key[32];      /* for path challenges, random */
	struct heap timers;        /* of outboxes */
	struct list ready;         /* outboxes that may have something to send */
	struct frame_brokers fallback;
	uint64_t start_ms;
	uint64_t sweep_ms;         /* next part of the sweep */
	uint32_t sweep_at;         /* place */
	uint64_t reset_window_ms;  /* the second that `resets` counts */
	uint32_t resets;
	struct server_stats stats;
};

/* server_hello.c */
void server_on_init(struct server *s, uint64_t now_ms, uint64_t wall_ms, const struct addr *from,
		    const uint8_t *init);
void server_send_reset(struct server *s, uint64_t now_ms, const struct addr *to, uint32_t conn);

/* server.c: changes a session's state, keeping the counts. */
void server_set_state(struct server *s, struct session *x, enum session_state to, uint64_t now_ms);
/* Frees a session and all that hangs on it, without a word to anyone. */
void server_drop(struct server *s, struct session *x, uint64_t now_ms);
/* Counts a packet that made no sense or was not authentic, against its address too. */
void server_bad_packet(struct server *s, uint64_t now_ms, const struct addr *from);
/* Puts its outbox in line for the next server_flush(). */
void server_make_ready(struct server *s, struct outbox *o);
/* Sends a packet of one frame. */
void server_send_frame(struct server *s, struct session *x, const struct addr *to,
		       const struct frame *f);

/* server_frames.c: what an accepted, a refused or closed session is told; a DATA
 * packet that was authenticated. */
void server_send_login_ok(struct server *s, struct session *x);
void server_send_closed(struct server *s, struct session *x);
void server_on_frames(struct server *s, struct session *x, uint64_t now_ms, const struct addr *from,
		      bool newest, size_t packet_len, const uint8_t *frames, size_t len);

#endif
