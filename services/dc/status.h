/* SPDX-License-Identifier: Apache-2.0 */
/* The verb STATUS: what became of a message. */
#ifndef DC_STATUS_H
#define DC_STATUS_H

#include "answer.h"

/* Of the message a->message to the user a->name, if it is this App's. */
void status_ask(struct answer *a, struct text_span app);

#endif
