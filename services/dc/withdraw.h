/* SPDX-License-Identifier: Apache-2.0 */
/* The verb WITHDRAW: an App takes back what it sent. */
#ifndef DC_WITHDRAW_H
#define DC_WITHDRAW_H

#include "answer.h"

/* The message a->message that waits for the user a->name, if it is this App's. */
void withdraw_message(struct answer *a, struct text_span app);
/* The kept broadcast or the fan-out a->message, if it is this App's. */
void withdraw_all(struct answer *a, struct text_span app);

#endif
