/* SPDX-License-Identifier: Apache-2.0 */
/* An App as this DC knows it: its limits, and what it has left of its rate. One
 * for all connections of that App here, so that its rate holds for them together.
 * Made at an AUTH with the right key; read again every APP_READ_MS while it is
 * used, so that `restante app set` and `app rm` take effect on open connections.
 * It stays for as long as it is used or owes messages of its rate: coming back
 * with a new connection gives no new burst.
 *
 * Counted: each connection holds one reference, the table one, and so does
 * whoever keeps an App beyond the call in which it was given. */
#ifndef DC_APP_H
#define DC_APP_H

#include "app/metrics.h"
#include "base/list.h"
#include "base/name.h"
#include "rds/app_limits.h"
#include "rds/rds.h"

#define APP_READ_MS 4000 /* looked at each second: 5 s is what is promised */

struct dc;
struct app_table;

struct app {
	struct list in_table;     /* in none: it was removed */
	struct app_table *table;
	unsigned refs;
	char name[NAME_MAX_BYTES];
	size_t name_len;
	struct app_limits limits;
	uint64_t created_ms;      /* with another one it is another App of that name */
	int64_t tokens;           /* thousandths of a message; below 0: owed for a large request */
	uint64_t tokens_ms;       /* when they were counted last */
	uint64_t read_ms;         /* when Redis was asked last */
	unsigned invalid;         /* bit by enum app_limit: Redis has no valid value, and it was logged */
	unsigned many;            /* places for requests of many recipients that it holds here; answer.h */
	uint64_t refused_rate, refused_size; /* since the last line of the log about it */
};

/* The fields of a reply to app_read(); after them the limits by enum app_limit. */
enum {
	APP_AT_KEY,
	APP_AT_KEY2,
	APP_AT_KEY2_UNTIL,
	APP_AT_CREATED,
	APP_AT_LIMITS,
	APP_AT_END = APP_AT_LIMITS + APP_LIMITS
};

RS_MUST_CHECK int app_table_new(struct app_table **out, struct dc *dc);
/* After the connections, and after Redis, which may still answer app_read(). */
void app_table_free(struct app_table *t);
void app_table_metrics(const struct app_table *t, struct metrics *m);

/* Asks Redis for all of an App. A reply that is no array of APP_AT_END says nothing. */
RS_MUST_CHECK int app_read(struct dc *dc, struct text_span name, rds_reply_fn *fn, void *ctx);
/* The App of that name with what the reply says, and a reference to it. NULL: out of memory. */
struct app *app_take(struct app_table *t, struct text_span name, const struct redisReply *reply);
struct app *app_get(struct app *app);
void app_put(struct app *app); /* NULL is fine */
struct text_span app_name(const struct app *app); /* NULL: empty */

/* Takes `count` messages of what the App may send now. False: nothing was taken, and
 * it may ask again in *retry_after_s seconds, 1 at least. More than its burst at once
 * is let through when nothing else was sent lately, and paid for afterwards. */
bool app_may_send(struct app *app, uint64_t now_ms, unsigned count, unsigned *retry_after_s);

#endif
