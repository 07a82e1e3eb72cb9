/* SPDX-License-Identifier: Apache-2.0 */
/* How a fan-out begins. It is a job in Redis before anybody is served:
 *
 *   1. the App's id, if it gave one, is tied to the message id, in rs:fan:once:{app}:<id>
 *   2. to a topic: its filters are counted (fan_count.h), when it is its turn; if they have
 *      no users, that was all
 *   3. to a list: the names are written to rs:fan:{<id>}:to:<attempt>
 *   4. fan_create: the body and what it is, the names as rs:fan:{<id>}:to; from here on it
 *      is a job
 *   5. its id goes to rs:fans
 *
 * A DC that dies after 1 leaves an id that is taken and no job: sent again, it goes on
 * with the first message id. One that dies after 4 leaves a job that nobody finds: sent
 * again, 5 is done for it. */
#ifndef DC_FAN_LAUNCH_H
#define DC_FAN_LAUNCH_H

#include "fan.h"

enum launched {
	LAUNCH_NEW,       /* it is a job of this DC, or of any, if it has no room: not durable then */
	LAUNCH_REPEATED,  /* it is one since before, and f has the id it got then */
	LAUNCH_WITHDRAWN, /* and was withdrawn */
	LAUNCH_NOBODY,    /* nobody has subscribed: there is no job, and it needs none */
};

/* err: nothing was made, or perhaps (RS_ETIMEOUT, RS_ELOST). The fan is the callee's. */
typedef void launch_fn(void *ctx, int err, enum launched how);

/* f is borrowed until fn is called, once, perhaps before this returns. Not 0: nothing was sent, it will not be. names:
 * of a list, a line each, which must stay as they are meanwhile. */
RS_MUST_CHECK int fan_launch(struct fan *f, struct text_span names, launch_fn *fn, void *ctx);

#endif
