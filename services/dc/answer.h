/* SPDX-License-Identifier: Apache-2.0 */
/* The answers that are due on an App's connection. One is made for each
 * request, in the order of the requests, and leaves in that order, although
 * Redis may make a later one ready first. It also carries what the request's
 * Redis call needs when it comes back, so that a request costs one block of
 * memory, and that one is used again.
 *
 *   waiting   made by answer_new(); its text is not known yet
 *   ready     answer_ok() or answer_error() was called; leaves when it is first
 *   orphan    its connection is gone (conn NULL); ends when it becomes ready */
#ifndef DC_ANSWER_H
#define DC_ANSWER_H

#include "app/metrics.h"
#include "base/list.h"
#include "base/name.h"
#include "base/ulid.h"
#include "place.h"
#include "wire/record.h"
#include "wire/text.h"

#include <stdbool.h>
#include <stdint.h>

#define ANSWER_TEXT_MAX 512
#define MANY_APP_MAX 4 /* of one App, so that none holds all ... */
#define MANY_MAX 16 /* requests of many recipients, from their first byte until the answer is ready */
#define ANSWER_RECORD_SMALL 640 /* a longer record gets memory of its own */

struct dc;
struct app;
struct conn;

struct answer {
	struct list in_conn;
	struct dc *dc;
	struct conn *conn;
	bool ready;
	bool is_long;              /* answer_will_be_long() was called */
	char id[NAME_MAX_BYTES];   /* the App's own id, given back; length 0: none */
	size_t id_len;
	char text[ANSWER_TEXT_MAX];
	size_t text_len;
	uint8_t *body;             /* after the text; NULL: none */
	size_t body_len;
	size_t handed;             /* bytes of text and body that the stream has */
	struct app *many;          /* holds one of the DC's MANY_MAX places for this App; NULL: none */

	/* What the request asked for. */
	char name[NAME_MAX_BYTES]; /* the user; of AUTH the App */
	size_t name_len;
	char key_hash[65];         /* AUTH */
	struct ulid message;       /* SEND, and all below */
	struct place place;
	uint8_t *record;
	size_t record_len;
	uint8_t small[ANSWER_RECORD_SMALL];
};

struct answer_field {
	const char *name, *value;
	size_t value_len;
};

/* Answers that were used and wait to be used again. */
struct answers;
RS_MUST_CHECK int answers_new(struct answers **out);
void answers_free(struct answers *p);
void answers_metrics(const struct answers *p, struct metrics *m);

/* NULL: out of memory. The caller puts it into the connection's list. */
struct answer *answer_new(struct dc *dc, struct conn *conn);
void answer_free(struct answer *a);
/* Takes one of the places for requests of many recipients, for a request that begins;
 * false: all are taken, or MANY_APP_MAX by this App. Given back when the answer is ready, or by many_release(). */
bool many_take(struct dc *dc, struct app *app);
void many_release(struct dc *dc, struct app *app);
void answer_set_name(struct answer *a, struct text_span name);
/* Memory for a record of up to len bytes in a->record. */
RS_MUST_CHECK int answer_reserve_record(struct answer *a, size_t len);

/* Its body will be large: as long as too many of these are due on the connection, no
 * request is read from it. */
void answer_will_be_long(struct answer *a);

/* Each makes the answer ready; a may be gone when they return. */
void answer_ok(struct answer *a, const struct answer_field *fields, size_t count);
/* The same with the field `length` and a body, which comes from malloc() and belongs to
 * the answer from now on. */
void answer_ok_body(struct answer *a, const struct answer_field *fields, size_t count, void *body, size_t len);
void answer_error(struct answer *a, int code, const char *fmt, ...) RS_PRINTF(3, 4);
/* An error that will be none in so many seconds. */
void answer_retry(struct answer *a, int code, unsigned after_s, const char *fmt, ...) RS_PRINTF(4, 5);
/* 503: nothing was done. */
void answer_unavailable(struct answer *a);
/* The same, or 504 if err says that the outcome is not known. */
void answer_redis_error(struct answer *a, int err);

#endif
