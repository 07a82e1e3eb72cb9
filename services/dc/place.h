/* SPDX-License-Identifier: Apache-2.0 */
/* One message for one user: stored by message_store or message_place, pushed to the
 * broker that holds the user. SEND does it once, a fan-out for each recipient. */
#ifndef DC_PLACE_H
#define DC_PLACE_H

#include "base/ulid.h"
#include "rds/app_limits.h"
#include "wire/link.h"
#include "wire/record.h"

struct dc;
struct place;

/* What became of a message: the words of the answer, and of the metric. */
enum send_state { SEND_STORED, SEND_PUSHED, SEND_DROPPED, SEND_DUPLICATE, SEND_STATES };
extern const char *const send_state_words[SEND_STATES];

struct placed {
	int err;                 /* RS_ETIMEOUT, RS_ELOST: it is not known; else, not 0: not stored;
				  * RS_EREMOTE: Redis refused this user, and may do so for ever */
	const char *full;        /* not stored: this is full; NULL: it is not */
	enum send_state state;
	bool kept;               /* it waits in Redis */
	struct ulid first;       /* SEND_DUPLICATE: the id given the first time ... */
	const char *first_state; /* ... and the state; "" if it is not known any more */
};

/* Called once, never from inside place_begin(). */
typedef void place_fn(struct place *p, const struct placed *result);

/* The caller's; stays as it is until `done`, with all it points to. */
struct place {
	struct dc *dc;
	const char *user;
	size_t user_len;
	const uint8_t *record;      /* as it is stored */
	size_t record_len;
	const uint8_t *pushed;      /* as it is pushed: the same, or with the body that lies elsewhere */
	size_t pushed_len;
	const char *once;           /* remembered for once_ms, so that it is not stored twice; length 0: not */
	size_t once_len;
	uint64_t once_ms;
	bool repeats;               /* a fan-out's: it may have been placed before, by its `once` */
	bool store;                 /* no: for whoever is online now */
	struct app_limits limits;   /* queue_messages, queue_bytes, overflow */
	place_fn *done;
	void *ctx;
	bool awaits;                /* a receipt: set by place_begin() */
	bool awaits_anew;           /* it did not before */
	struct {                    /* without `store`: where the user is, while that is noted */
		size_t broker_len;
		char broker[NAME_MAX_BYTES];
		uint64_t boot;
		struct link_owner owner;
	} held;
	bool was_placed;            /* it was awaited before, and its receipt may have been given */
};

/* Not 0: nothing was sent, `done` will not be called. */
RS_MUST_CHECK int place_begin(struct place *p);

#endif
