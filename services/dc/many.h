/* SPDX-License-Identifier: Apache-2.0 */
/* The verb SENDMANY: one message for the users that its body begins with, a line each,
 * answered when all are served with what became of it for each. */
#ifndef DC_MANY_H
#define DC_MANY_H

#include "conn.h"
#include "message.h"

#define MANY_RECIPIENTS_MAX 10000

/* send: the fields that were taken; body: the names and the message. */
void many_send(struct conn *c, struct answer *a, const struct text_request *r, struct send *send,
	       const uint8_t *body);

#endif
