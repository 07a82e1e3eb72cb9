/* SPDX-License-Identifier: Apache-2.0 */
/* The verb SEND to one user: OK is said only after Redis has answered. */
#ifndef DC_STORE_H
#define DC_STORE_H

#include "answer.h"
#include "message.h"

#define STORE_FULL_RETRY_S 60 /* told to an App whose user has a full queue */
#define STORE_ONCE_MS (24 * 60 * 60 * 1000) /* how long an App's id is remembered */

/* Puts the message into a->record, with a new id in a->message. */
RS_MUST_CHECK int store_make_record(struct answer *a, const struct send *send);
/* Tells the log that Redis refused, at most once a second. */
void store_warn_of(const char *msg, int err, const struct redisReply *reply);
/* To the user a->name, with the App's own id a->id if it gave one. */
void store_message(struct answer *a, const struct send *send);

#endif
