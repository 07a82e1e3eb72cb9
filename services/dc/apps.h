/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of the Apps: the listener, and the sweep over all of them. */
#ifndef DC_APPS_H
#define DC_APPS_H

#include "app/metrics.h"
#include "conn.h"

struct dc;

RS_MUST_CHECK int apps_new(struct apps **out, struct dc *dc);
struct addr apps_local(const struct apps *p);
/* Stops accepting and reading; connections end when their answers are written. */
void apps_stop(struct apps *p);
/* Connections that are not done yet. */
size_t apps_open_count(const struct apps *p);
void apps_free(struct apps *p);
/* An App is no more: its connections speak for nobody from now on. */
void apps_forget(struct apps *p, const struct app *app);
void apps_metrics(const struct apps *p, struct metrics *m);

/* A place for a request of many recipients has become free: who waits for one goes on,
 * in the next turn of the loop. */
void apps_wake(struct apps *p);
/* One of its connections has ended. */
void apps_conn_ended(struct apps *p, const struct addr *from);

#endif
