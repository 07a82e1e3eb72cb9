/* SPDX-License-Identifier: Apache-2.0 */
/* The messages on the links inside the cluster: the whole table on one page.
 * A message is one type byte and its fields, integers big-endian; net/link.h
 * puts a 4-byte length in front. str8: one length byte and that many bytes.
 * blob32: four length bytes and that many bytes.
 *
 *  #  name     way        fields
 *  1  HELLO    MB>DC,LB   version u8, boot u64, id str8
 *  2  WELCOME  DC,LB>MB   version u8, boot u64, id str8
 *  3  PING     both       -
 *  4  PONG     both       -
 * 10  FETCH    MB>DC      conn u32, owner u64, lane u8, after id16 (zero: from the head),
 *                         skip u32 (how many lie before, a hint), max_count u16,
 *                         max_bytes u32, user str8
 * 11  BATCH    DC>MB      conn u32, owner u64, lane u8, status u8, left u32 (stored beyond these),
 *                         count u16, records blob32 each
 * 12  ACK      MB>DC      conn u32, owner u64, lane u8, user str8, count u16,
 *                         (id16, handed_ms u64: when the session got it) each; handed_ms
 *                         with its highest bit: it was void by then, as it had expired
 * 13  ACKED    DC>MB      conn u32, owner u64, lane u8, status u8, removed u16, left u32
 * 14  PUSH     DC>MB      conn u32, owner u64, lane u8, stored u8, prev id16, record blob32
 *                         prev: the message before it in the queue, zero: it was empty
 * 15  NUDGE    DC>MB      conn u32, owner u64   (something waits: fetch)
 * 16  KICK     both       boot u64, conn u32, owner u64, broker str8  (to the broker
 *                         that held a user; the DC passes it on)
 * 17  BROADCAST DC>MB     record blob32   (not kept: to all who are online here)
 * 18  KEPT     DC>MB      -   (the kept broadcasts have changed: read them again)
 * 19  WITHDRAW DC>MB      conn u32, owner u64, id16   (not to be shown any more)
 * 20  LOAD     MB>LB      sessions u32, capacity u32, packets u32 (in and out, a second),
 *                         lag_ms u16 (of its loop), draining u8, address 18, key 32,
 *                         zone str8, count u8, (isp str8, address 18) each: its address
 *                         in the network of that ISP; count u8, (isp str8, rtt_ms u16,
 *                         loss u16) each: what it measured of clients there, loss in
 *                         thousandths of packets
 * 21  PRESENCE MB>DC      online u8, at u64 (ms since 1970), user str8
 *
 * Lane: which of the user's queues, enum priority. Status: 0 done; 1 fenced (another login owns the user now); 2 unavailable (try
 * again, the outcome is unknown). For one session there is at most one FETCH and
 * one ACK under way, so an answer is matched by (conn, owner). */
#ifndef WIRE_LINK_H
#define WIRE_LINK_H

#include "base/addr.h"
#include "base/name.h"
#include "base/ulid.h"
#include "wire/cursor.h"
#include "wire/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_VERSION 2
#define LINK_ACK_MAX 1024       /* ids in an ACK */
#define LINK_ACK_BYTES (ULID_BYTES + 8) /* an id and when it was handed over */
#define LINK_ISPS_MAX 8         /* addresses for ISPs in a LOAD */
#define LINK_PATHS_MAX 32       /* ISPs of which a LOAD tells what was measured */
#define LINK_LOSS_MAX 1000
#define LINK_ACK_VOID (1ull << 63)
#define LINK_BATCH_MAX 1024     /* records in a BATCH */
#define LINK_BATCH_BYTES (256 * 1024) /* of records in a BATCH, one more record aside */

enum link_type {
	LINK_HELLO = 1,
	LINK_WELCOME = 2,
	LINK_PING = 3,
	LINK_PONG = 4,
	LINK_FETCH = 10,
	LINK_BATCH = 11,
	LINK_ACK = 12,
	LINK_ACKED = 13,
	LINK_PUSH = 14,
	LINK_NUDGE = 15,
	LINK_KICK = 16,
	LINK_BROADCAST = 17,
	LINK_KEPT = 18,
	LINK_WITHDRAW = 19,
	LINK_LOAD = 20,
	LINK_PRESENCE = 21,
};

enum link_status { LINK_DONE = 0, LINK_FENCED = 1, LINK_UNAVAILABLE = 2 };

/* A name borrowed from the message. Decoding checks it with name_fault(). */
struct link_name {
	const char *text; /* not NUL-terminated */
	size_t len;       /* 0 is allowed for zone only */
};

/* Which login of which session: the fence. */
struct link_owner {
	uint32_t conn;
	uint64_t owner;
};

struct link_hello {
	uint64_t boot;
	struct link_name id;
};

struct link_fetch {
	struct link_owner to;
	enum priority lane;
	struct ulid after;
	uint32_t skip;
	uint16_t max_count;
	uint32_t max_bytes;
	struct link_name user;
};

struct link_batch {
	struct link_owner to;
	enum priority lane;
	enum link_status status;
	uint32_t left;
	uint16_t count;
	struct reader records; /* count blobs; take them with link_next_record() */
};

struct link_ack {
	struct link_owner from;
	enum priority lane;
	struct link_name user;
	uint16_t count;
	const uint8_t *ids; /* count * LINK_ACK_BYTES */
};

struct link_acked {
	struct link_owner to;
	enum priority lane;
	enum link_status status;
	uint16_t removed;
	uint32_t left;
};

struct link_push {
	struct link_owner to;
	enum priority lane;
	bool stored;
	struct ulid prev;
	const uint8_t *record;
	size_t record_len;
};

struct link_withdraw {
	struct link_owner to;
	struct ulid id;
};

struct link_broadcast {
	const uint8_t *record;
	size_t record_len;
};

struct link_kick {
	uint64_t boot;
	struct link_owner of;
	struct link_name broker;
};

struct link_presence {
	bool online;
	uint64_t at_ms;
	struct link_name user;
};

struct link_isp {
	struct link_name isp;
	struct addr address;
};

/* What a broker measured of the clients of an ISP. */
struct link_path {
	struct link_name isp;
	uint16_t rtt_ms, loss; /* loss: of a thousand packets */
};

struct link_load {
	uint32_t sessions, capacity;
	uint32_t packets;   /* in and out, in the last second */
	uint16_t lag_ms;
	bool draining;
	struct addr address;
	const uint8_t *key; /* 32 bytes */
	struct link_name zone;
	uint8_t isp_count, path_count;
	struct reader isps, paths; /* take them with link_next_isp(), link_next_path() */
};

struct link_message {
	enum link_type type;
	union {
		struct link_hello hello; /* HELLO and WELCOME */
		struct link_fetch fetch;
		struct link_batch batch;
		struct link_ack ack;
		struct link_acked acked;
		struct link_push push;
		struct link_owner nudge;
		struct link_withdraw withdraw;
		struct link_kick kick;
		struct link_broadcast broadcast;
		struct link_load load;
		struct link_presence presence;
	};
};

/* Encodes m into out; BATCH with its `records` reader over blobs that were
 * written with link_add_record(). Returns the length or RS_ELIMIT. */
RS_MUST_CHECK int link_encode(const struct link_message *m, uint8_t *out, size_t cap);
/* Fields point into data. RS_EINVAL: unknown type or malformed, to the last byte. */
RS_MUST_CHECK int link_decode(const uint8_t *data, size_t len, struct link_message *out);

void link_add_record(struct writer *w, const void *record, size_t len);
/* LOAD as BATCH: the lists are readers over what these have written. */
void link_add_isp(struct writer *w, const struct link_isp *i);
void link_add_path(struct writer *w, const struct link_path *p);
/* The next of a decoded LOAD. */
struct link_isp link_next_isp(struct reader *isps);
struct link_path link_next_path(struct reader *paths);
/* The next record of a decoded BATCH (decoding made sure that all are there). */
const uint8_t *link_next_record(struct reader *records, size_t *len);

#endif
