/* SPDX-License-Identifier: Apache-2.0 */
/* Who has subscribed to what, as the daemons change it in Redis. Three keys in three
 * slots say it:
 *
 *   rs:{<user>}:topics   what a user has subscribed to: the truth, changed by a script
 *                        that is fenced and knows the limit
 *   rs:topic:{<filter>}  the users of a filter: what a fan-out reads; follows the truth
 *   rs:topics            the filters with users: for people who look; follows that one
 *
 * A change writes the truth first, then what follows it, and is answered at the end. So
 * when whoever does it dies in between, no answer comes, and the same request again
 * (which finds the truth as it wants it, and goes on) sets right what follows. The other
 * way round, a login that lost its user could change what is read before it is fenced.
 *
 * Two changes at a time (a client that moved from one broker to another, an App beside
 * it): after what follows was written, the truth is looked at again; if it has changed,
 * what follows is written again. Whoever wrote last looks last, so the last look sees
 * what is right. The same with rs:topics: taken out when a filter has no users left, then
 * the users are counted again. If somebody dies just there, the list lacks a filter, or
 * has one too many, until the next change of that filter; nothing is delivered by it. */
#ifndef APP_TOPICS_H
#define APP_TOPICS_H

#include "base/err.h"
#include "wire/text.h"

#include <stdbool.h>
#include <stdint.h>

#define TOPICS_OF_USER_MAX 100

struct rds;

enum topics_result {
	TOPICS_DONE,
	TOPICS_FENCED,   /* another login owns the user */
	TOPICS_TOO_MANY, /* TOPICS_OF_USER_MAX are there */
	TOPICS_FAILED,   /* Redis did not do all of it; the same again mends that */
};

typedef void topics_fn(void *ctx, enum topics_result result);

/* Subscribes a user, or ends that. user and filter were checked and are copied. owner:
 * the token of the login that asks, 0: an App does. fn is called once, unless this
 * returns an error. */
RS_MUST_CHECK int topics_change(struct rds *rds, struct text_span user, struct text_span filter, uint64_t owner,
				bool subscribe, topics_fn *fn, void *ctx);

#endif
