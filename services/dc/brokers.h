/* SPDX-License-Identifier: Apache-2.0 */
/* The brokers, as a DC sees them: their links (app/hub.h) and who lives according
 * to the registry. A broker is known by its id and its boot number: what Redis
 * says of an earlier boot of a broker does not reach a later one. */
#ifndef DC_BROKERS_H
#define DC_BROKERS_H

#include "app/hub.h"
#include "app/metrics.h"

#include <stdbool.h>

struct dc;
struct brokers;

struct broker {
	struct hub_link *link;
	struct dc *dc;
	struct list errands;      /* struct errand: what Redis was asked for it */
};

RS_MUST_CHECK int brokers_new(struct brokers **out, struct dc *dc);
/* Begins to watch which brokers live; once there is a Redis connection. */
RS_MUST_CHECK int brokers_watch(struct brokers *p);
struct addr brokers_local(const struct brokers *p);
void brokers_stop(struct brokers *p); /* accepts no more links */
void brokers_free(struct brokers *p);
void brokers_metrics(const struct brokers *p, struct metrics *m);

/* To the broker of that id and boot. RS_ENOENT: no link with it; else as link_send(). */
RS_MUST_CHECK int brokers_send(struct brokers *p, struct link_name id, uint64_t boot,
			       const struct link_message *m);
/* To every broker that is linked here; how many were told. */
size_t brokers_send_all(struct brokers *p, const struct link_message *m);
/* Linked here, or alive in the registry (with a beat since its link broke, if it did). */
bool brokers_alive(const struct brokers *p, struct link_name id, uint64_t boot);

#endif
