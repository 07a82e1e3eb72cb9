/* SPDX-License-Identifier: Apache-2.0 */
/* The client protocol on one page: packets, lengths, limits, codes.
 * docs/protocol.md says what they mean. Integers are big-endian. */
#ifndef WIRE_PACKET_H
#define WIRE_PACKET_H

#include "base/addr.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_VERSION 1
#define PROTOCOL_LABEL "restante" /* first bytes of the Noise prologue */

enum packet_type {
	PACKET_HEARTBEAT = 0x01,     /* C>S  16  conn 4, number 3, mac 8 */
	PACKET_HEARTBEAT_ACK = 0x02, /* S>C  16  the same; echoes the number */
	PACKET_HEARTBEAT_MORE = 0x03,/* S>C  16  as 0x02, and something waits for you */
	PACKET_HEARTBEAT_MOVED = 0x06, /* S>C 16  as 0x02: your address changed, prove it with MOVE */
	PACKET_DATA = 0x04,          /* both 25..512  conn 4, number 3, sealed frames */
	PACKET_RESET = 0x05,         /* S>C  16  conn 4, 0 (3), token 8 */
	PACKET_INIT = 0x10,          /* C>MB 128 */
	PACKET_RESP = 0x11,          /* MB>C 96 */
	PACKET_COOKIE = 0x12,        /* S>C  24 */
	PACKET_ASK = 0x13,           /* C>LB 512 */
	PACKET_ANSWER = 0x14,        /* LB>C 62..362 */
};

/* Lengths in bytes. */
enum {
	PACKET_MAX = 512,
	PACKET_HEADER = 8,           /* type 1, conn 4, number 3 */
	PACKET_TAG = 16,
	PACKET_FRAMES_MAX = PACKET_MAX - PACKET_HEADER - PACKET_TAG, /* 488 */
	HEARTBEAT_BYTES = 16,
	HEARTBEAT_MAC = 8,
	RESET_BYTES = 16,
	RESET_TOKEN = 8,
	HELLO_HEADER = 8,            /* type 1, version 1, 0 (2), attempt 4: INIT RESP COOKIE ASK ANSWER */
	COOKIE_LEN = 16,
	INIT_BYTES = 128,
	INIT_PAYLOAD = 56,           /* sealed in INIT_BYTES: 8 + 16 + 32 + 56 + 16 */
	RESP_BYTES = 96,
	RESP_PAYLOAD = 40,           /* 8 + 32 + 40 + 16 */
	COOKIE_BYTES = 24,
	ASK_BYTES = 512,
	ASK_PAYLOAD = 440,           /* 8 + 16 + 32 + 440 + 16 */
	ANSWER_PAYLOAD_MAX = 456,    /* 8 + 32 + 456 + 16 */
	ANSWER_BROKERS_MAX = 6,
	ANSWER_BYTES_MIN = 62,       /* 8 + 32 + 6 + 16, and 50 for each broker */
	ANSWER_BYTES_MAX = ANSWER_BYTES_MIN + 50 * ANSWER_BROKERS_MAX,
	ASK_AVOID_MAX = 8,
	NOISE_PROLOGUE = 8 + HELLO_HEADER + COOKIE_LEN, /* label, the first 24 bytes of INIT or ASK */
};

/* Why a login was refused, a session closed. */
enum close_code {
	CLOSE_NORMAL = 0,        /* the client logs out */
	CLOSE_BAD_SESSION = 1,   /* session id unknown, or not this user's: do not retry */
	CLOSE_EXPIRED = 2,       /* session id expired: get a new one */
	CLOSE_UNAVAILABLE = 3,   /* the broker cannot check it now: retry later */
	CLOSE_OVERLOADED = 4,    /* the broker is full: another one, later */
	CLOSE_SUPERSEDED = 5,    /* the user logged in elsewhere: stop */
	CLOSE_SHUTDOWN = 6,      /* the broker stops: ask the balancer */
	CLOSE_TIMEOUT = 7,       /* nothing was heard from the client for too long */
	CLOSE_PROTOCOL = 8,      /* a packet made no sense */
	CLOSE_LEASE_LOST = 9,    /* the broker lost the user's presence: log in again */
};
const char *close_code_text(unsigned code); /* static; "unknown code" for others */

/* What a client says in INIT, 56 bytes: client_ms 8, window 4, heartbeat_s 2,
 * features 2, 40 zero bytes. */
struct init_payload {
	uint64_t client_ms;   /* its wall clock */
	uint32_t window;      /* bytes of undelivered messages it takes at a time */
	uint16_t heartbeat_s; /* longest interval its NAT bears; 0: the broker says */
};

/* What the broker says in RESP, 40 bytes: conn 4, heartbeat_s 2, features 2,
 * boot 8, server_ms 8, reset token 8, 8 zero bytes. */
struct resp_payload {
	uint32_t conn;
	uint16_t heartbeat_s;
	uint64_t boot;
	uint64_t server_ms;
	uint8_t reset_token[RESET_TOKEN];
};

struct broker_entry { /* 50 bytes */
	struct addr address;
	uint8_t key[32];
};

/* ASK, 440 bytes: client_ms 8, avoid count 1, avoid 18 each, zeros. */
struct ask_payload {
	uint64_t client_ms;
	uint8_t avoid_count;
	struct addr avoid[ASK_AVOID_MAX]; /* brokers that just failed this client */
};

/* ANSWER: status 1 (0 found, 1 no broker now), retry_ms 4, count 1, entries 50 each. */
struct answer_payload {
	uint8_t status;
	uint32_t retry_ms; /* with status 1: ask again after this */
	uint8_t count;
	struct broker_entry broker[ANSWER_BROKERS_MAX]; /* best first */
};

/* The 8 bytes of DATA and HEARTBEAT. */
struct packet_header {
	enum packet_type type;
	uint32_t conn;
	uint32_t number; /* low 24 bits */
};

/* The type and length of a datagram are right for each other. */
bool packet_length_ok(const uint8_t *data, size_t len);
void packet_write_header(uint8_t out[PACKET_HEADER], const struct packet_header *h);
struct packet_header packet_read_header(const uint8_t data[PACKET_HEADER]);
/* The full number nearest to `next` (the one expected) with these low 24 bits
 * (as RFC 9000, A.3). */
uint64_t packet_full_number(uint64_t next, uint32_t low);

/* The first 8 bytes of INIT, RESP, COOKIE, ASK, ANSWER. */
void packet_write_hello(uint8_t out[HELLO_HEADER], enum packet_type type, uint32_t attempt);
/* True if version and zero bytes are right; *attempt is set. */
bool packet_read_hello(const uint8_t *data, uint32_t *attempt);
/* label + the first 24 bytes of an INIT or ASK. */
void packet_prologue(const uint8_t *init, uint8_t out[NOISE_PROLOGUE]);

void init_payload_write(const struct init_payload *p, uint8_t out[INIT_PAYLOAD]);
void init_payload_read(const uint8_t data[INIT_PAYLOAD], struct init_payload *out);
void resp_payload_write(const struct resp_payload *p, uint8_t out[RESP_PAYLOAD]);
void resp_payload_read(const uint8_t data[RESP_PAYLOAD], struct resp_payload *out);
RS_MUST_CHECK int ask_payload_write(const struct ask_payload *p, uint8_t out[ASK_PAYLOAD]);
RS_MUST_CHECK int ask_payload_read(const uint8_t data[ASK_PAYLOAD], struct ask_payload *out);
size_t answer_payload_write(const struct answer_payload *p, uint8_t out[ANSWER_PAYLOAD_MAX]);
RS_MUST_CHECK int answer_payload_read(const uint8_t *data, size_t len, struct answer_payload *out);

#endif
