/* SPDX-License-Identifier: Apache-2.0 */
/* An App as it should be written: it sends each of its users one message after
 * the other, the next when the one before was OK'd, with ids of its own, and
 * sends again with the same id when the connection breaks or the answer is 503
 * or 504, after a pause that grows. Each is due a fixed time after the one before
 * was due, so that what was held up is made up for. Users are "u0", "u1", ...; the ids and bodies "u0-0", "u0-1", ...
 * It does not wait: it works in app_sender_turn(). */
#ifndef SUPPORT_APP_SENDER_H
#define SUPPORT_APP_SENDER_H

#include "support/stack.h"

#include <stdio.h>

struct sender_user {
	unsigned okd;      /* messages OK'd; also the number of the one to send next */
	bool under_way;    /* sent, on this connection, and not yet answered */
	uint64_t due_ms;   /* when that one is due */
	uint64_t again_ms; /* not before, since it was refused ... */
	unsigned pause_ms; /* ... and how long the next such pause is */
};

struct app_sender {
	const struct stack *stack;
	unsigned users, per_user, pause_ms;
	struct sender_user *user;
	unsigned *due;                  /* whose answers come, in order; a ring, one for each user */
	size_t due_head, due_count;
	unsigned dc;                    /* which one it talks to */
	int fd;                         /* -1: not connected */
	bool authenticated;
	struct buf in;
	uint64_t again_ms;              /* no connection before */
	unsigned sent, okd, duplicates, breaks, unavailable;
	uint64_t longest_ms;            /* that one took from when it was due to its OK; may be reset */
	FILE *record;                   /* NULL, or for lines as in record_check.h */
};

/* pause_ms: from one message of a user to the next. The first of all are due now. */
void app_sender_open(struct app_sender *a, const struct stack *s, unsigned users, unsigned per_user,
		     unsigned pause_ms);
/* Keeps the counts. A second time does nothing. */
void app_sender_close(struct app_sender *a);
void app_sender_turn(struct app_sender *a);
/* All are due now: something for everybody who has nothing under way. */
void app_sender_hurry(struct app_sender *a);
bool app_sender_is_done(const struct app_sender *a);

#endif
