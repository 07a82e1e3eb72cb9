/* SPDX-License-Identifier: Apache-2.0 */
/* From a user's queue to the client and back: fetches pages from a DC as the
 * session has room, takes pushes that follow on what is known, reports what was
 * acknowledged in batches.
 *
 * A user has a queue for each priority, "lanes" here. Each has an order of its own;
 * high is fetched before normal and normal before low, as long as the session has room.
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

/* What the user's broadcasts need as long as something is under way; NULL: nothing is
 * (find), or out of memory (get). */
struct reception *delivery_find_reception(const struct user *u);
struct reception *delivery_get_reception(struct mb *m, struct user *u);
/* Redis says that so many messages wait in each queue: those we do not know of are
 * fetched, from after the last known one; now, or as soon as it can be done. */
void delivery_check(struct mb *m, struct user *u, const uint32_t waiting[PRIORITIES]);
/* A message of a DC: BATCH, ACKED, PUSH, NUDGE, WITHDRAW. */
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
