/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of an App: what is read of requests, how long that may take, and when
 * reading stops; the answers on their way out. apps.h has them all. */
#ifndef DC_CONN_H
#define DC_CONN_H

#include "answer.h"
#include "app.h"
#include "base/addr.h"
#include "base/list.h"
#include "base/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_ANSWERS_MAX 1024      /* due on a connection; then reading stops */
#define CONN_OUT_MAX (1024 * 1024) /* holds CONN_ANSWERS_MAX answers over its half */
#define CONN_PIECE_MAX (64 * 1024) /* of a body that is handed over at once */
#define CONN_LONG_MAX 2            /* answers with large bodies due on a connection */
#define CONN_HEADER_MS 10000
#define CONN_BODY_MS 30000
#define CONN_FINISH_MS 5000
#define CONN_AUTH_MS 10000         /* to say who it is */
#define CONN_STALL_MS 30000        /* not read for its answers, and none of them taken */
#define CONN_WRONG_KEYS_MAX 3

struct apps;
struct dc;
struct stream;

enum conn_state {
	CONN_OPEN,      /* requests are read and answered */
	CONN_LAST,      /* no more is read; ends when all answers that are due are written */
	CONN_FINISHING, /* all is handed to the stream, which closes when it is written */
	CONN_DEAD,      /* the stream is gone; freed by the next sweep */
};

/* What of a request has come, for its deadline. */
enum conn_part { PART_NONE, PART_HEADER, PART_BODY };

struct feed;

/* What a connection is for that has become a stream, by the OK to RECEIPTS or
 * PRESENCE-EVENTS: blocks of text go out for as long as it lasts, and of requests PING
 * only is answered. */
struct feed_kind {
	/* There is room to write; the OK is out. */
	void (*go_on)(struct feed *f);
	/* The connection is gone, or going: it must not be used any more. Frees f, or leaves
	 * that to an answer of Redis that is due. */
	void (*end)(struct feed *f);
};

/* The head of what each kind has. */
struct feed {
	struct list in_kind;
	const struct feed_kind *kind;
	struct conn *conn;
};

/* Times that a limit was reached, of all connections together. */
struct conn_stats {
	uint64_t refused_answers; /* reading stopped for the answers ... */
	uint64_t refused_many;    /* ... or for want of a place for a request of many recipients */
	uint64_t no_auth, stalled; /* closed for want of an AUTH, and for answers not taken */
};

struct conn {
	struct list in_apps;
	struct apps *apps;
	struct conn_stats *stats;  /* borrowed */
	struct dc *dc;
	struct stream *stream;
	struct addr from;
	enum conn_state state;
	bool paused;               /* reading is stopped */
	bool auth_waits;           /* an AUTH is under way: what follows must wait for it */
	unsigned wrong_keys;
	struct feed *feed;         /* NULL: it is no stream */
	struct app *app;           /* counted; NULL: not authenticated */
	struct list answers;       /* struct answer, in the order of the requests */
	size_t answer_count;
	unsigned long_answers;     /* of these, answer_will_be_long() */
	struct app *many;          /* the request at the head holds one of the DC's MANY_MAX places for this App ... */
	bool waits_many;           /* ... or waits for one, and nothing is read */
	size_t need;               /* bytes that make the request at the head whole, once known */
	size_t skip;               /* bytes still to come of a body that was refused */
	enum conn_part part;
	uint64_t deadline_ms;      /* of part; of CONN_FINISHING too */
	uint64_t auth_by_ms;       /* as long as it is not authenticated */
	uint64_t out_total;        /* bytes of answers handed to the stream */
	uint64_t taken;            /* of these, gone out when the sweep last looked */
	uint64_t taken_ms;         /* when that last grew */
};

/* Takes over fd, in any case. The caller frees it when it is CONN_DEAD. */
RS_MUST_CHECK int conn_new(struct conn **out, struct apps *apps, struct dc *dc, struct conn_stats *stats, int fd,
			   const struct addr *from);
/* Now, whatever is due. A second time does nothing. */
void conn_end(struct conn *c);
/* Now and then: ends it if it has taken too long over something. */
void conn_sweep(struct conn *c, uint64_t now_ms);
/* A stream whose App is no more: says so, and ends. */
void conn_end_stream(struct conn *c);

/* Hands the answers that are ready, from the first on, to the stream. */
void conn_flush(struct conn *c);
/* The connection speaks for nobody; if it spoke for an App, the time for AUTH
 * begins anew. */
void conn_forget_app(struct conn *c);
/* The connection becomes a stream when its answers that are due are out. */
void conn_begin_feed(struct conn *c, struct feed *f);
/* It does not become one after all: end() is called. */
void conn_end_feed(struct conn *c);
/* Calls go_on() if there is room: the queue is not over its half. */
void conn_feed(struct conn *c);
bool conn_has_room(const struct conn *c);
/* With room, up to CONN_OUT_MAX / 2 bytes. Not 0: end() was called. */
RS_MUST_CHECK int conn_write(struct conn *c, const void *data, size_t len);
/* Nothing more is read: the answer made last is the last. */
void conn_last(struct conn *c);
/* Takes up reading again where it was stopped, if nothing stands against it. */
void conn_go_on(struct conn *c);

#endif
