/* SPDX-License-Identifier: Apache-2.0 */
/* The world in which the examples of a document are replayed: a stack of real daemons,
 * the App "chat" with the key of the document, clients, and what comments of the form
 * <!-- replay: alice is online; Redis is away --> do to it. replay.c has the list. */
#ifndef SUPPORT_REPLAY_H
#define SUPPORT_REPLAY_H

#include "support/example.h"
#include "support/likeness.h"
#include "support/receiver.h"
#include "support/stack.h"

enum { REPLAY_CLIENTS = 4, REPLAY_FLAGS = 8, REPLAY_TEXT_MAX = 32768 };

struct replay {
	struct stack s;
	const char *key;       /* of the App "chat"; borrowed */
	struct text_client app;
	bool is_open, is_known; /* the App is connected; with AUTH done */
	pid_t nc;              /* ... by way of nc; 0: it is not */
	struct likeness ids;
	struct replay_client {
		char name[32];     /* "": free */
		struct receiver receiver;
	} client[REPLAY_CLIENTS];
	char flag_text[256];
	const char *flags[REPLAY_FLAGS + 1]; /* of the DC, in this section */
	struct text_answer held; /* was read before its example asked for it */
	bool has_held;
	bool redis_away, redis_still, broker_away;
	bool headless;         /* of the next request the body is not sent ... */
	bool unfinished;       /* ... or the empty line */
};

void replay_start(struct replay *r, const char *key);
void replay_stop(struct replay *r);
/* As after the start: no users, no limits, no clients, a new connection of the App. */
void replay_begin_section(struct replay *r);
/* Does what a comment says. False: it says something unknown, which is then in `what`. */
bool replay_prepare(struct replay *r, const char *text, char *what, size_t cap);
/* From now on the connection is that of a real nc, as in a terminal: lines end in LF. */
void replay_use_nc(struct replay *r);
/* Sends the request and reads the answer, header and body as one text; NULL: none came.
 * Static storage. */
const char *replay_ask(struct replay *r, const struct example *e);
/* The DC closes the connection. It is opened again for the next request in any case. */
bool replay_is_closed(struct replay *r);
/* The connection still serves. If not, it is opened again for the next request. */
bool replay_is_open(struct replay *r);

#endif
