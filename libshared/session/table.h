/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's sessions, in chunks that never move, found by connection id:
 * the low 22 bits are the place, the upper 10 a generation that changes each time
 * the place is used again. Private to session/. */
#ifndef SESSION_TABLE_H
#define SESSION_TABLE_H

#include "session/keys.h"
#include "session/outbox.h"
#include "session/replay.h"

#define TABLE_INDEX_BITS 22
#define TABLE_MAX (1u << TABLE_INDEX_BITS)

enum session_state { SESSION_FREE, SESSION_HALF_OPEN, SESSION_LOGIN, SESSION_ONLINE, SESSION_CLOSED };

#define SESSION_WINDOW_UNIT 64 /* bytes of messages */

/* An idle client costs this and what its user costs in the broker: keep it small. */
struct session {
	struct keys keys;
	struct addr addr;       /* proven: where its packets go */
	uint32_t conn;          /* place and generation, also of a free one */
	struct replay received;
	uint32_t next_number;   /* of the next packet sent */
	uint32_t next_ref;      /* of the next message; the first is 1 */
	uint32_t heard_ds;      /* last authentic packet, or start, in tenths of a second since the server's start */
	uint16_t window;        /* how much the client takes at a time, in SESSION_WINDOW_UNIT */
	uint16_t heartbeat_s;
	uint8_t state;          /* enum session_state; changed by the server only */
	uint8_t close_code;
	uint8_t bad;            /* packets under its id from elsewhere that were not authentic, lately */
	bool more : 1;          /* something waits in Redis */
	bool rejected : 1;      /* CLOSED: by a refused login */
	bool brief : 1;         /* CLOSED: was never accepted */
	bool redirected : 1;    /* CLOSED: sent to other brokers */
	bool asks : 1;          /* ONLINE: a request of the client's awaits server_reply() */
	struct outbox *outbox;  /* NULL while nothing is under way */
	union {
		void *user;         /* ONLINE: the broker's */
		uint32_t next_free; /* FREE: place + 1 of the next free one */
		uint32_t retry_ms;  /* CLOSED: after a refused login; or the spread of a redirect */
		uint32_t half;      /* HALF_OPEN: its place in the half-open table + 1 */
	};
	uint64_t owner;         /* the fence that server_accept() was given */
};

struct table {
	struct session **chunk;
	uint32_t size, max;     /* places there are; allowed */
	uint32_t first_free;    /* place + 1, 0: none; the place longest free is used next, so */
	uint32_t last_free;     /* that its generations last */
	uint32_t used;
};

RS_MUST_CHECK int table_init(struct table *t, uint32_t max);
void table_deinit(struct table *t); /* the caller has emptied the outboxes */
/* A wiped session with its conn set; NULL: full or out of memory. `salt` varies
 * the first generation. */
struct session *table_take(struct table *t, uint16_t salt);
void table_put(struct table *t, struct session *s); /* wipes it */
struct session *table_find(const struct table *t, uint32_t conn);
/* By place, for sweeps; place < t->size. May be FREE. */
struct session *table_at(const struct table *t, uint32_t place);

#endif
