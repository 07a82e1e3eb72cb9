/* SPDX-License-Identifier: Apache-2.0 */
/* The verb PRESENCE-EVENTS: who comes and goes, as brokers say it, to the Apps that
 * watch. Nothing of it is kept: who is slow is told how much he missed. */
#ifndef DC_WATCH_H
#define DC_WATCH_H

#include "answer.h"
#include "conn.h"
#include "app/metrics.h"
#include "wire/link.h"

struct watchers;

RS_MUST_CHECK int watchers_new(struct watchers **out, struct dc *dc);
void watchers_free(struct watchers *p);
void watchers_metrics(const struct watchers *p, struct metrics *m);

void watch_begin(struct conn *c, struct answer *a);

/* A user came or went at a broker. */
void watch_presence(struct watchers *p, const char *broker, const struct link_presence *presence);
/* A link with a broker is there: its users are heard of from now on. */
void watch_linked(struct watchers *p, const char *broker, uint64_t boot);
/* A link was lost; the broker may live on without. */
void watch_unlinked(struct watchers *p, const char *broker, uint64_t boot);
/* The registry was read again: it tells which brokers are gone. */
void watch_look(struct watchers *p);

#endif
