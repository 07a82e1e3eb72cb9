/* SPDX-License-Identifier: Apache-2.0 */
/* SEND to a topic: answered when it is a job in Redis, which a DC carries out. */
#ifndef DC_PUBLISH_H
#define DC_PUBLISH_H

#include "answer.h"
#include "message.h"

/* send->topic was checked. */
void publish_send(struct answer *a, const struct send *send);

#endif
