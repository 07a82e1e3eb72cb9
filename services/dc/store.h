/* SPDX-License-Identifier: Apache-2.0 */
/* The verb SEND: a message into Redis, then to the broker that holds its user.
 * OK is said only after Redis has answered. */
#ifndef DC_STORE_H
#define DC_STORE_H

#include "answer.h"

struct send {
	struct text_span app;
	uint64_t ttl_s;
	bool store;          /* false: to whoever is online now, or dropped */
	const uint8_t *body; /* borrowed for the call */
	size_t body_len;
};

extern const char *const send_state_words[]; /* by enum send_state */

/* To the user a->name, with the App's own id a->id if it gave one. */
void store_message(struct answer *a, const struct send *send);

#endif
