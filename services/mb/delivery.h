/* SPDX-License-Identifier: Apache-2.0 */
/* From a user's queue to the client and back: fetches pages from a DC as the
 * session has room, takes pushes that follow on what is known, reports what was
 * acknowledged in batches.
 *
 * The order is that of the queue. A push names the message before it; one that
 * does not follow on the last known is not used, and the queue is read instead.
 * So a push can be late, early, doubled or lost, through whichever DC: the queue
 * decides. A fetch or an acknowledgement that got no answer (a DC died) is simply
 * made again: both can be repeated. */
#ifndef MB_DELIVERY_H
#define MB_DELIVERY_H

#include "mb.h"

/* What a message under way to a client is: the tag with which it is handed to the
 * engine, and which comes back with its acknowledgement. The lanes of a queue have
 * the numbers of enum priority. */
enum delivery_tag { TAG_NORMAL, TAG_HIGH, TAG_LOW, TAG_UNSTORED, TAG_BROADCAST, TAG_NOTICE };

/* Reads the queue from after the last known message; now, or as soon as it can. */
void delivery_fetch(struct mb *m, struct user *u);
/* Redis says that `waiting` messages are stored: are there any we do not know of? */
void delivery_check(struct mb *m, struct user *u, uint32_t waiting);
/* A message of a DC: BATCH, ACKED, PUSH, NUDGE. */
void delivery_on_message(struct mb *m, const struct link_message *msg);
/* The client has taken a message: report it at the end of the batch. */
void delivery_acked(struct mb *m, struct user *u, const struct outbox_done *done);
/* Sends the reports that were collected. */
void delivery_flush(struct mb *m);
/* The link to a DC was lost: what it was asked for is asked of another. */
void delivery_dc_down(struct mb *m, size_t dc);
/* Each half second: asks again for what could not be asked for, and frees what
 * is done with. */
void delivery_tick(struct mb *m);
/* The user left: reports what was taken, then frees. */
void delivery_end(struct mb *m, struct user *u);
/* Without a word. */
void delivery_free(struct user *u);

#endif
