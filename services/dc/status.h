/* SPDX-License-Identifier: Apache-2.0 */
/* The verb STATUS: what became of a message. */
#ifndef DC_STATUS_H
#define DC_STATUS_H

#include "answer.h"
#include "rds/keys.h"
#include "rds/rds.h"

/* Of the message a->message to the user a->name, if it is this App's. */
void status_ask(struct answer *a, struct text_span app);
/* KEYS of the scripts that look through all that a user has: the three queues, the
 * journal, presence. */
#define STATUS_KEYS 5
void status_keys(struct rds_arg argv[STATUS_KEYS], char keys[STATUS_KEYS][KEY_MAX], const char *user,
		 size_t user_len);

#endif
