/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to all users: a table of the broadcasts this broker knows, and a walk
 * over all sessions that hands each what it lacks.
 *
 *   KEPT    has an end; stands once in Redis, from where every broker reads it (at
 *           start, when a DC says KEPT, and when the version has changed, which is
 *           looked at each second). A user who logs in gets those beyond its cursor
 *   UNKEPT  came over the link of a DC; for those online now, and gone after the walk
 *   VOID    a kept one that was withdrawn: the walk takes it back from those to whom
 *           it is under way, then it is gone
 *
 * Each change gets an ordinal of this broker's, and each user knows the ordinal up
 * to which it was served: 4 bytes, nothing else, however many broadcasts there are.
 * The walk is paced: a bounded number of sessions and bytes, then the loop has its
 * turn. A session without room gets the rest as its acknowledgements come in; for an
 * unkept one there is room during the walk, or not at all.
 *
 * What a client has taken moves the user's cursor in Redis, once for all that were
 * acknowledged together. If that fails it is tried again; if the broker dies before,
 * the broadcast comes again at the next login, and the client does not show it twice. */
#ifndef MB_BROADCAST_H
#define MB_BROADCAST_H

#include "base/list.h"
#include "base/ulid.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct mb;
struct user;
struct link_broadcast;

struct broadcasts {
	struct list all;        /* by ordinal, the newest last */
	uint32_t count;
	uint32_t newest;        /* the ordinal that was given last */
	uint32_t unkept_count;
	uint64_t version;       /* of what was read of Redis: no number up to here is news */
	uint64_t looked_version; /* seen by the look under way */
	uint64_t looked_ms;     /* when it began; monotonic */
	bool looking;           /* Redis is asked */
	bool again;             /* word of a change came meanwhile */
	bool unread;            /* to be read whatever the version is */
	ev_timer walk;          /* runs while somebody may lack something */
	uint32_t place;         /* of the next session to visit */
	uint32_t walk_to;       /* the newest ordinal when this pass began */
	size_t handed_bytes;    /* in this turn of it */
	struct list lagging;    /* receptions that have no room for the next kept one */
	struct list acked;      /* receptions whose cursor is to be moved */
	struct list failed;     /* the same, when the tick has come */
	unsigned writing;       /* cursors that Redis is asked to move */
};

/* What a user needs beside its ordinal, as long as something is under way to it.
 * It lies in the user's struct delivery. */
struct reception {
	struct user *user;
	struct list lagging_node, acked_node;
	uint64_t cursor;        /* what was taken at other brokers, as far as the walk must know it; 0 */
	uint64_t number;        /* the last kept one taken that Redis has not heard of; 0: none */
	bool writing;           /* Redis is being told */
};

void broadcast_init(struct mb *m);
void broadcast_stop(struct mb *m);   /* no more walking */
void broadcast_deinit(struct mb *m); /* when no user and no request is left */

/* A user came online; cursor: the number of the last kept broadcast it has, 0: none. */
void broadcast_login(struct mb *m, struct user *u, uint64_t cursor);
/* A DC's BROADCAST. */
void broadcast_take(struct mb *m, const struct link_broadcast *b);
/* Has what is kept changed? Asked now, or soon if that was done just before. */
void broadcast_look(struct mb *m);
/* Reads what is kept, changed or not: Redis has come back. */
void broadcast_read_anew(struct mb *m);
/* Each MB_TICK_MS; once a second with `look`. */
void broadcast_tick(struct mb *m, bool look);

void broadcast_open(struct reception *r, struct user *u);
/* There may be room: hands over what is lacking. */
void broadcast_go_on(struct mb *m, struct reception *r);
/* The client has taken one that was kept. */
void broadcast_acked(struct mb *m, struct reception *r, const struct ulid *id);
/* Moves the cursors of those who have taken some. */
void broadcast_flush(struct mb *m);
/* Nothing is under way: the reception may go. */
bool broadcast_is_idle(const struct mb *m, const struct reception *r);
/* The user left: tells Redis once more what was taken. */
void broadcast_end(struct mb *m, struct user *u);
void broadcast_forget(struct reception *r); /* without a word */

#endif
