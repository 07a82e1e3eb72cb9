/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of fan-outs, rs:fan:{<id>}:body: those used lately are kept here, up to
 * BODIES_MAX_BYTES; the others are asked for. A fan-out that runs here has put its own
 * in, so whoever logs in soon after costs no question.
 *
 *   BODY_ASKED   Redis was asked; those who wait are in its list
 *   BODY_READY   it is here
 *   BODY_GONE    Redis has it no more: withdrawn, or the message has expired
 *   BODY_FAILED  Redis did not answer
 *
 * Counted: whoever got one keeps it until body_put(), whatever becomes of the cache. */
#ifndef DC_BODIES_H
#define DC_BODIES_H

#include "app/metrics.h"
#include "base/list.h"
#include "base/ulid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BODIES_MAX_BYTES (8 * 1024 * 1024) /* with BODIES_OVERHEAD for each */
#define BODIES_OVERHEAD 128
#define BODIES_FRESH_MS 1000 /* then Redis is asked again: it may have been withdrawn by another DC */

struct dc;
struct bodies;

enum body_state { BODY_ASKED, BODY_READY, BODY_GONE, BODY_FAILED };

struct body {
	struct list lru;     /* of the cache; in none: it was put out of it */
	struct list in_slot;
	struct list waiting; /* struct body_wait */
	struct bodies *bodies;
	struct ulid id;
	unsigned refs;       /* those who keep it, the cache, the question to Redis */
	enum body_state state;
	uint64_t known_ms;   /* when it was put in, or Redis answered */
	size_t len;
	uint8_t *data;
};

/* The waiter's memory. fn: the body is not BODY_ASKED any more. */
struct body_wait {
	struct list node;
	void (*fn)(void *ctx);
	void *ctx;
};

RS_MUST_CHECK int bodies_new(struct bodies **out, struct dc *dc);
/* After Redis; nobody keeps one any more. */
void bodies_free(struct bodies *b);
void bodies_metrics(const struct bodies *b, struct metrics *m);

/* A body that is known; nothing happens if there is no memory for it. */
void bodies_put(struct bodies *b, const struct ulid *id, const void *data, size_t len);
/* It was withdrawn. */
void bodies_forget(struct bodies *b, const struct ulid *id);
/* A body with a reference, NULL: out of memory. If it is BODY_ASKED, `wait` is called
 * later, once, unless the reference was given back before. */
struct body *bodies_get(struct bodies *b, const struct ulid *id, struct body_wait *wait);
void body_put(struct body *body, struct body_wait *wait);

#endif
