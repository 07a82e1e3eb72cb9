/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a stack, on librestante: each keeps what it was shown. They live as
 * long as the test turns them; one that is not turned says nothing to anybody.
 *
 *   struct receiver r;
 *   receiver_open(&r, &s, "alice", session);
 *   RECEIVERS_UNTIL(&r, 1, r.count == 3);
 *   receiver_close(&r); */
#ifndef SUPPORT_RECEIVER_H
#define SUPPORT_RECEIVER_H

#include "base/clock.h"
#include "client/restante.h"
#include "support/stack.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>

#define RECEIVER_WAIT_MS 60000 /* for a condition; generous, for sanitizers on a busy machine */

#define RECEIVER_APPS_MAX 4

struct shown {
	char id[27];
	char app[65], app_id[65], topic[65];
	int stored;
	uint8_t *body;
	size_t len;
};

/* What it was told of messages that were displaced. */
struct missed {
	char app[65];
	unsigned notices;
	uint64_t count; /* of all of them together */
};

struct receiver {
	struct restante *client;
	const struct stack *stack;
	struct shown *shown;
	size_t count, cap;
	bool refuses;        /* says "not now" to each message */
	unsigned offered;    /* messages it said that to */
	unsigned replies;    /* answers to its requests ... */
	unsigned reply;      /* ... and what the last one said */
	struct missed missed[RECEIVER_APPS_MAX];
	unsigned onlines;    /* times that it came online */
	unsigned codes[16];  /* times that each code was the reason to wait or stop */
};

void receiver_open(struct receiver *r, const struct stack *s, const char *user, const char *session);
/* One that remembers in a file what it was shown, over its close. */
void receiver_open_again(struct receiver *r, const struct stack *s, const char *user, const char *session,
			 const char *seen_file);
/* Logs out if online. A second time does nothing. */
void receiver_close(struct receiver *r);
bool receiver_is_online(const struct receiver *r);
bool receiver_is_stopped(const struct receiver *r);
/* Online, and at this broker. */
bool receiver_is_at(const struct receiver *r, const struct stack_daemon *mb);
/* Whether the message at that place has this body. */
bool receiver_was_shown(const struct receiver *r, size_t at, const void *body, size_t len);
/* What it was told of this App; zeros if nothing. */
struct missed receiver_missed(const struct receiver *r, const char *app);

/* Waits up to wait_ms for the network or a deadline, and lets all do what is due. */
void receivers_turn(struct receiver *all, size_t count, unsigned wait_ms);
/* For that long: to see that something does not happen. */
void receivers_turn_for(struct receiver *all, size_t count, unsigned ms);

/* Fails the test when the time has come, and shows what all have done. */
void receivers_must_be_in_time(const struct receiver *all, size_t count, uint64_t until_ms,
			       const char *condition);

#define RECEIVERS_UNTIL(all, n, condition) \
	for (uint64_t until_ms_ = clock_mono_ms() + RECEIVER_WAIT_MS; !(condition); \
	     receivers_turn((all), (n), 10)) \
	receivers_must_be_in_time((all), (n), until_ms_, #condition)

#endif
