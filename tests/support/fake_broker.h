/* SPDX-License-Identifier: Apache-2.0 */
/* A broker as a DC sees it, played by a test: a link with HELLO said and WELCOME
 * received. What comes is kept until the test asks for it. */
#ifndef SUPPORT_FAKE_BROKER_H
#define SUPPORT_FAKE_BROKER_H

#include "base/buf.h"
#include "net/link.h"
#include "wire/link.h"

struct ev_loop;
struct tls_context;

struct fake_broker {
	struct ev_loop *loop;
	struct link *link;
	const char *id;
	uint64_t boot;
	struct buf received; /* length u32 and message, one after the other */
	struct buf last;     /* the message that fake_broker_next() gave out */
	bool welcome, down;
};

/* Links to the DC and waits for its WELCOME. tls NULL: plaintext. */
void fake_broker_open(struct fake_broker *b, struct ev_loop *loop, const struct addr *to,
		      struct tls_context *tls, const char *id, uint64_t boot);
void fake_broker_close(struct fake_broker *b);
void fake_broker_send(struct fake_broker *b, const struct link_message *m);
/* The next message; fails if it does not come in time or is of another type.
 * Borrowed until the next call. */
struct link_message fake_broker_next(struct fake_broker *b, enum link_type type);
/* Nothing is there, also not after the DC has answered a FETCH of a stranger. */
bool fake_broker_is_quiet(struct fake_broker *b);
/* Waits until the link is lost. */
void fake_broker_wait_down(struct fake_broker *b);

#endif
