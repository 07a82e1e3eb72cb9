/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: what a DATA packet holds. Each is type 1, length 2, content; one of a
 * type that is not known is passed over, so that a newer side can talk to an
 * older one.
 *
 *  type name          way  content
 *  0x01 LOGIN         C>S  device 16, user str8, session str8
 *  0x02 LOGIN_OK      S>C  owner 8, heartbeat_s 2, count 1, brokers 50 each
 *  0x03 LOGIN_FAIL    S>C  code 2, retry_ms 4
 *  0x10 MESSAGE       S>C  ref 4, total 2, index 1, piece (448 bytes but the last);
 *                          total 0: the message `ref` is void, nothing to show
 *  0x11 FRAGMENT_ACK  C>S  seen 4, ref 4, bitmap 8 (bit i: piece i is here)
 *  0x12 MESSAGE_ACK   C>S  seen 4, refs 4 each: taken, forget them
 *  0x20 CHALLENGE     S>C  token 8
 *  0x21 RESPONSE      C>S  token 8
 *  0x22 REDIRECT      S>C  spread_ms 4, count 1, brokers 50 each
 *  0x23 CLOSE         both code 2
 *  0x24 MOVE          C>S  24 zero bytes: challenge me at this address (padded so
 *                          that the answer is no longer than the request)
 *  0x30 REQUEST       C>S  number 4 (from 1), kind 1, text str8 (a name)
 *  0x31 REPLY         S>C  number 4, code 2
 *
 * seen: the low 32 bits of the greatest number of a DATA packet received. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/name.h"
#include "wire/cursor.h"
#include "wire/packet.h"

#define FRAME_HEADER 3
#define FRAME_PIECE 448       /* bytes of a message in one MESSAGE frame */
#define FRAME_PIECES_MAX 64
#define MESSAGE_TOTAL_MAX (FRAME_PIECE * 38) /* 17,024: a body of 16 KiB and its fields */
#define FRAME_REFS_MAX 64     /* refs in one MESSAGE_ACK */
#define SESSION_ID_MAX 128    /* bytes of a session id: printable ASCII without spaces */
#define DEVICE_BYTES 16
#define MOVE_BYTES 24

enum frame_type {
	FRAME_LOGIN = 0x01,
	FRAME_LOGIN_OK = 0x02,
	FRAME_LOGIN_FAIL = 0x03,
	FRAME_MESSAGE = 0x10,
	FRAME_FRAGMENT_ACK = 0x11,
	FRAME_MESSAGE_ACK = 0x12,
	FRAME_CHALLENGE = 0x20,
	FRAME_RESPONSE = 0x21,
	FRAME_REDIRECT = 0x22,
	FRAME_CLOSE = 0x23,
	FRAME_MOVE = 0x24,
	FRAME_REQUEST = 0x30,
	FRAME_REPLY = 0x31,
};

/* Kinds of later versions are well-formed, too. */
enum request_kind {
	REQUEST_SUBSCRIBE = 1,   /* text: a filter of topics */
	REQUEST_UNSUBSCRIBE = 2,
	REQUEST_STORE_ON = 3,    /* text: an App's name, or `*` for all */
	REQUEST_STORE_OFF = 4,
};

enum reply_code {
	REPLY_DONE = 0,
	REPLY_INVALID = 1,
	REPLY_TOO_MANY = 2,
	REPLY_LATER = 3,
};

struct frame_login {
	uint8_t device[DEVICE_BYTES];
	const char *user, *session; /* borrowed, not NUL-terminated */
	uint8_t user_len, session_len;
};

struct frame_brokers {
	uint8_t count;
	struct broker_entry at[ANSWER_BROKERS_MAX];
};

struct frame_login_ok {
	uint64_t owner;
	uint16_t heartbeat_s;
	struct frame_brokers fallback;
};

struct frame_login_fail {
	uint16_t code; /* enum close_code */
	uint32_t retry_ms;
};

struct frame_message {
	uint32_t ref;
	uint16_t total;
	uint8_t index;
	const uint8_t *piece;
	uint16_t piece_len;
};

struct frame_fragment_ack {
	uint32_t seen, ref;
	uint64_t bitmap;
};

struct frame_message_ack {
	uint32_t seen;
	uint16_t count;
	const uint8_t *refs; /* count * 4 bytes */
};

struct frame_redirect {
	uint32_t spread_ms;
	struct frame_brokers to;
};

struct frame_request {
	uint32_t number;
	uint8_t kind; /* enum request_kind */
	uint8_t text_len;
	const char *text; /* borrowed, not NUL-terminated */
};

struct frame_reply {
	uint32_t number;
	uint16_t code; /* enum reply_code */
};

struct frame {
	enum frame_type type;
	union {
		struct frame_login login;
		struct frame_login_ok login_ok;
		struct frame_login_fail login_fail;
		struct frame_message message;
		struct frame_fragment_ack fragment_ack;
		struct frame_message_ack message_ack;
		uint8_t token[8]; /* CHALLENGE, RESPONSE */
		struct frame_redirect redirect;
		uint16_t close_code;
		struct frame_request request;
		struct frame_reply reply;
	};
};

/* Takes the next known frame from r. 0; RS_ENOENT at the end; RS_EINVAL if
 * malformed (r is then failed). Fields point into the packet. */
RS_MUST_CHECK int frame_read(struct reader *r, struct frame *out);
/* Appends f, or fails w when there is no room. */
void frame_write(struct writer *w, const struct frame *f);

static inline unsigned frame_pieces(unsigned total) { return (total + FRAME_PIECE - 1) / FRAME_PIECE; }

#endif
