/* SPDX-License-Identifier: Apache-2.0 */
/* A page of a user's queue on its way to a broker: records of fan-outs get their
 * bodies. One whose body is gone was withdrawn: it is not handed over, but taken out of
 * the queue. */
#ifndef DC_PAGE_H
#define DC_PAGE_H

#include "wire/cursor.h"
#include "wire/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dc;
struct redisReply;

struct page_result {
	bool failed;           /* a body could not be had, and there is nothing else to give */
	uint16_t count;
	struct reader records; /* for a BATCH; borrowed for the call */
	uint64_t left;         /* behind these in the queue */
};

typedef void page_fn(void *ctx, const struct page_result *r);

/* reply: of message_fetch, {'ok', left, expired, record...}, borrowed for the call. fn is
 * called once, now or when the bodies are there. max_bytes: of records, one in any case. */
void page_fill(struct dc *dc, struct text_span user, const struct redisReply *reply, size_t max_bytes,
	       page_fn *fn, void *ctx);

#endif
