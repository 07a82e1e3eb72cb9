/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of delivery: pieces become messages, shown in the order of
 * their references, each once.
 *
 * A reference is PARTIAL (pieces are missing), WHOLE (waits for those before it,
 * or for the application to take it) or DONE (below `next`: taken, or void).
 * Bounded: INBOX_REFS references ahead and `window` bytes, one message aside. */
#ifndef SESSION_INBOX_H
#define SESSION_INBOX_H

#include "wire/frame.h"

#define INBOX_REFS 64

struct inmsg;

struct inbox {
	uint32_t next;                  /* the reference to be shown next; the first is 1 */
	uint32_t bytes, window;
	struct inmsg *slot[INBOX_REFS]; /* by ref % INBOX_REFS */
};

enum inbox_result {
	INBOX_OLD,     /* done before: acknowledge the message again */
	INBOX_KEPT,    /* kept: acknowledge the pieces */
	INBOX_DROPPED, /* out of bounds or contradictory: as if it had not come */
};

void inbox_init(struct inbox *b, uint32_t window);
void inbox_deinit(struct inbox *b);
/* *bitmap: the pieces that are here now, for INBOX_KEPT. */
enum inbox_result inbox_add(struct inbox *b, const struct frame_message *f, uint64_t *bitmap);
/* The message to be shown next, if it is whole: its bytes, valid until
 * inbox_pop(); *len 0: void. False: none. */
bool inbox_peek(const struct inbox *b, const uint8_t **data, size_t *len);
void inbox_pop(struct inbox *b);

#endif
