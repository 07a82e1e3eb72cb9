/* SPDX-License-Identifier: Apache-2.0 */
/* An App as it should be written: it sends each of its users one message after
 * the other, the next when the one before was OK'd, with ids of its own, and
 * sends again with the same id when the connection breaks or the answer is 503
 * or 504. Users are "u0", "u1", ...; the ids and bodies "u0-0", "u0-1", ...
 * It does not wait: it works in app_sender_turn(). */
#ifndef SUPPORT_APP_SENDER_H
#define SUPPORT_APP_SENDER_H

#include "support/stack.h"

#include <stdio.h>

struct sender_user {
	unsigned okd;      /* messages OK'd; also the number of the one to send next */
	bool under_way;    /* sent, on this connection, and not yet answered */
	uint64_t next_ms;  /* not before */
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
	FILE *record;                   /* NULL, or for lines as in record_check.h */
};

/* pause_ms: between the OK of one message of a user and the next. */
void app_sender_open(struct app_sender *a, const struct stack *s, unsigned users, unsigned per_user,
		     unsigned pause_ms);
/* Keeps the counts. A second time does nothing. */
void app_sender_close(struct app_sender *a);
void app_sender_turn(struct app_sender *a);
/* No pauses now: something for everybody who has nothing under way. */
void app_sender_hurry(struct app_sender *a);
bool app_sender_is_done(const struct app_sender *a);

#endif
