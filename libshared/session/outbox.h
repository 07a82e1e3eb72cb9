/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's side of delivery for one session: the messages under way to a
 * client, cut into pieces, sent within a congestion window, sent again when
 * lost, until the client says that it has taken them.
 *
 * A message has a reference that grows by one each; the client shows messages
 * in this order. A piece is WAITING (to be sent, or lost), IN FLIGHT (bears the
 * number of the packet that last carried it) or ACKED. Loss is seen in two ways:
 * the client has seen a packet three numbers later, or the timer ran out. An
 * outbox exists only while something is under way. */
#ifndef SESSION_OUTBOX_H
#define SESSION_OUTBOX_H

#include "base/heap.h"
#include "base/list.h"
#include "base/ulid.h"
#include "session/rtt.h"
#include "wire/frame.h"

#define OUTBOX_REFS_MAX 64            /* messages under way in one session */
#define OUTBOX_CWND_FIRST (10 * 512u) /* bytes */
#define OUTBOX_CWND_MIN (4 * 512u)
#define OUTBOX_CWND_MAX (256 * 1024u)
#define OUTBOX_BURST 16               /* packets at once; the next after a part of the round trip */
#define OUTBOX_PAUSE_MAX_MS 50        /* below RTO_MIN_MS, whatever round trip a client pretends */
#define OUTBOX_GIVE_UP 8              /* timeouts in a row, then silence till a sign of life */

struct outmsg; /* one message; opaque */

struct outbox {
	struct heap_node timer;       /* key: when the retransmission timer ends, or the pause between bursts */
	struct list ready;            /* in the server's list of those that may send now */
	uint32_t conn;
	struct list messages;         /* by ref, oldest first */
	uint32_t count;
	uint32_t bytes;               /* of all messages here */
	uint32_t flight;              /* bytes of pieces in flight */
	uint32_t cwnd, threshold;     /* congestion window and slow-start threshold, bytes */
	uint32_t recover;             /* losses up to this number belong to one event */
	uint64_t sent_ms;             /* when a piece was last sent: the timer starts there */
	uint64_t pace_ms;             /* a burst was sent: nothing before this time; 0: at once */
	uint64_t ends_ms;             /* wall clock: the first of the messages expires, or later; UINT64_MAX */
	uint64_t expiry_ms;           /* the same by the clock of sent_ms, as outbox_fill() saw it */
	uint16_t pace_rest_us;        /* what the pauses so far were too short, below a millisecond */
	uint8_t burst;                /* packets sent at sent_ms */
	struct rtt rtt;
	uint32_t sent, again;         /* pieces, since the owner set both to 0; lost and so sent again */
	bool stalled;                 /* gave up until a sign of life */
	uint8_t probes;               /* times it asked whether the oldest was taken, in vain */
};

/* What the owner says of a message. */
struct outbox_entry {
	struct ulid id;
	uint64_t expires_ms, handed_ms; /* wall clock; handed_ms: now */
	uint8_t tag;                    /* the owner's, comes back */
};

/* What left the outbox, for the owner's records. */
struct outbox_done {
	struct ulid id;
	uint64_t handed_ms;
	uint8_t tag;
	bool voided; /* it expired or was withdrawn on the way */
};

void outbox_init(struct outbox *o, uint32_t conn);
void outbox_deinit(struct outbox *o);
/* `object` (wire/object.h) is copied. RS_EBUSY: no place within `window` bytes or
 * OUTBOX_REFS_MAX; RS_ENOMEM. The first message always finds a place. */
RS_MUST_CHECK int outbox_add(struct outbox *o, uint32_t ref, const struct outbox_entry *e,
			     const uint8_t *object, size_t len, uint32_t window);
bool outbox_has_room(const struct outbox *o, uint32_t window);
bool outbox_holds(const struct outbox *o, const struct ulid *id);
/* Makes it void, whatever of it was sent: the client shows it only if it has taken
 * it already. RS_ENOENT: not here. */
RS_MUST_CHECK int outbox_withdraw(struct outbox *o, const struct ulid *id);
/* Fills w with MESSAGE frames for packet `number`; false if nothing may be sent
 * now. wall_ms: messages past their expiry become void; to be called at expiry_ms, so
 * that the client hears of it in time. */
bool outbox_fill(struct outbox *o, struct writer *w, uint32_t number, uint64_t now_ms,
		 uint64_t wall_ms);
void outbox_on_fragment_ack(struct outbox *o, const struct frame_fragment_ack *f, uint64_t now_ms);
/* Takes the message out. RS_ENOENT: not here (an old acknowledgement), or not yet sent. */
RS_MUST_CHECK int outbox_on_message_ack(struct outbox *o, uint32_t ref, uint32_t seen, uint64_t now_ms,
					struct outbox_done *done);
/* After all acknowledgements of a packet: finds losses. next: number of the next packet. */
void outbox_on_seen(struct outbox *o, uint32_t seen, uint32_t next);
/* The timer ran out: all in flight is lost; or, when all has arrived and no word
 * came that it was taken, it is asked for. */
void outbox_on_timeout(struct outbox *o);
void outbox_on_life(struct outbox *o); /* ends a stall */
/* A whole burst was sent: the next comes when its share of a round trip is over,
 * so that the window goes out evenly and no queue on the way runs over. A quarter
 * sooner, so that the pauses do not become the limit (RFC 9002, 7.7). */
void outbox_pace(struct outbox *o, uint64_t now_ms);
/* When the retransmission timer ends; UINT64_MAX if nothing is awaited. */
uint64_t outbox_deadline(const struct outbox *o);

#endif
