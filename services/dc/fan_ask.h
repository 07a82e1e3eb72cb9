/* SPDX-License-Identifier: Apache-2.0 */
/* What an App asks of a fan-out of its own, by its message id. Both answer. */
#ifndef DC_FAN_ASK_H
#define DC_FAN_ASK_H

#include "answer.h"

/* Takes a->message back; 404 if this App has no such fan-out. */
void fan_withdraw(struct answer *a, struct text_span app);
/* The state of a->message, running, done or withdrawn, how many it is for (total, for a
 * list; else the subscribers at the time), and one field for each state of recipients
 * that occurred, as last saved; 404 if this App has no such fan-out. */
void fan_status(struct answer *a, struct text_span app);

#endif
