/* SPDX-License-Identifier: Apache-2.0 */
/* The verb RECEIPTS: an App's receipts as they come, from a place in its stream that it
 * names. All is in Redis: a connection that is slow, or gone, loses nothing. */
#ifndef DC_RECEIPTS_H
#define DC_RECEIPTS_H

#include "answer.h"
#include "conn.h"
#include "app/metrics.h"

struct receipts;

RS_MUST_CHECK int receipts_new(struct receipts **out, struct dc *dc);
void receipts_free(struct receipts *p); /* after Redis, which may still answer */
void receipts_metrics(const struct receipts *p, struct metrics *m);

/* after: the cursor that the App has; NULL: from now on. */
void receipts_begin(struct conn *c, struct answer *a, const struct text_span *after);
/* This DC gave that App one: its streams here need not wait to look. */
void receipts_given(struct receipts *p, struct text_span app);

#endif
