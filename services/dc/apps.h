/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of the Apps: the listener, what is read of requests, how
 * long that may take, and when to stop reading. */
#ifndef DC_APPS_H
#define DC_APPS_H

#include "answer.h"
#include "app.h"
#include "app/metrics.h"
#include "base/addr.h"
#include "base/list.h"
#include "base/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_ANSWERS_MAX 1024      /* due on a connection; then reading stops */
#define CONN_OUT_MAX (1024 * 1024) /* holds CONN_ANSWERS_MAX answers over its half */
#define CONN_PIECE_MAX (64 * 1024) /* of a body that is handed over at once */
#define CONN_LONG_MAX 4            /* answers with large bodies due on a connection */
#define CONN_HEADER_MS 10000
#define CONN_BODY_MS 30000
#define CONN_FINISH_MS 5000
#define CONN_AUTH_MS 10000         /* to say who it is */
#define CONN_STALL_MS 30000        /* not read for its answers, and none of them taken */
#define CONN_WRONG_KEYS_MAX 3

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

struct conn {
	struct list in_apps;
	struct apps *apps;
	struct dc *dc;
	struct stream *stream;
	struct addr from;
	enum conn_state state;
	bool paused;               /* reading is stopped */
	bool auth_waits;           /* an AUTH is under way: what follows must wait for it */
	unsigned wrong_keys;
	struct app *app;           /* counted; NULL: not authenticated */
	struct list answers;       /* struct answer, in the order of the requests */
	size_t answer_count;
	unsigned long_answers;     /* of these, answer_will_be_long() */
	size_t need;               /* bytes that make the request at the head whole, once known */
	size_t skip;               /* bytes still to come of a body that was refused */
	enum conn_part part;
	uint64_t deadline_ms;      /* of part; of CONN_FINISHING too */
	uint64_t auth_by_ms;       /* as long as it is not authenticated */
	uint64_t out_total;        /* bytes of answers handed to the stream */
	uint64_t taken;            /* of these, gone out when the sweep last looked */
	uint64_t taken_ms;         /* when that last grew */
};

RS_MUST_CHECK int apps_new(struct apps **out, struct dc *dc);
struct addr apps_local(const struct apps *p);
/* Stops accepting and reading; connections end when their answers are written. */
void apps_stop(struct apps *p);
/* Connections that are not done yet. */
size_t apps_open_count(const struct apps *p);
void apps_free(struct apps *p);
/* An App is no more: its connections speak for nobody from now on. */
void apps_forget(struct apps *p, const struct app *app);
void apps_metrics(const struct apps *p, struct metrics *m);

/* Hands the answers that are ready, from the first on, to the stream. */
void conn_flush(struct conn *c);
/* The connection speaks for nobody; if it spoke for an App, the time for AUTH
 * begins anew. */
void conn_forget_app(struct conn *c);
/* Nothing more is read: the answer made last is the last. */
void conn_last(struct conn *c);
/* Takes up reading again where it was stopped, if nothing stands against it. */
void conn_go_on(struct conn *c);

#endif
