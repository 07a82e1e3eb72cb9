/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: an App hears once what became of each message for which it asked. A script
 * may touch one slot only, the user's or the App's, so it goes in steps, each of which
 * leaves enough in Redis for the next to be made by another DC:
 *
 *   1  the message is awaited (rs:app:{app}:awaited), then only is it stored
 *   2  a script says that it ended: receipt_give() takes it out of there and puts the
 *      receipt into the App's stream, in one step
 *   3  if nobody said so (a DC died, it expired), owed.c looks for what became of it */
#ifndef DC_RECEIPT_H
#define DC_RECEIPT_H

#include "base/name.h"
#include "base/ulid.h"
#include "ended.h"
#include "wire/text.h"

struct dc;

#define RECEIPT_LATE_MS 1000  /* an acknowledgement may be under way when a message expires */
#define RECEIPT_FIRST_MS 2000 /* not looked for before: it is still being stored */

/* An App that was put into rs:awaiting a moment ago: it need not be put there again. */
#define RECEIPT_MARKS 64
struct receipt_mark {
	uint64_t until_ms;
	size_t len;
	char app[NAME_MAX_BYTES];
};

/* err RS_OK: it is awaited, and may be stored. is_new: it was not before. A fan-out that
 * comes by again with the same id, and so place.c looks first whether it was stored; if
 * that was new although the message was stored before, its receipt has been given. */
typedef void receipt_fn(void *ctx, int err, bool is_new);

/* Not 0: fn will not be called. fn is never called from inside; the names are copied. */
RS_MUST_CHECK int receipt_await(struct dc *dc, struct text_span app, struct text_span user,
				const struct ulid *id, uint64_t expires_ms, receipt_fn *fn, void *ctx);
/* It was not stored after all. If that does not reach Redis, owed.c sees to it. */
void receipt_forget(struct dc *dc, struct text_span app, struct text_span user, const struct ulid *id);
/* It still waits: it will be looked for at that time. */
void receipt_postpone(struct dc *dc, struct text_span app, struct text_span user, const struct ulid *id,
		      uint64_t until_ms);
/* It ended. If it is not awaited (any more), nothing happens. */
void receipt_give(struct dc *dc, struct text_span app, struct text_span user, const struct ulid *id,
		  enum ended_how how, uint64_t at_ms);
/* When to look for what became of a message that still waits. */
uint64_t receipt_next_look(const struct dc *dc, const struct ulid *id, uint64_t expires_ms, uint64_t now_ms);

#endif
