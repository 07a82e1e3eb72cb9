/* SPDX-License-Identifier: Apache-2.0 */
/* The other side of a session engine: writes packets that verify. */
#ifndef FUZZ_ENGINE_H
#define FUZZ_ENGINE_H

#include "fuzz.h"

#include "crypto/noise.h"
#include "session/keys.h"
#include "wire/packet.h"

/* The static key of the broker or balancer; made by engine_start(). */
extern struct keypair engine_key;
void engine_start(void);

/* A client's INIT or ASK whose payload begins with `payload`, zeros behind it.
 * cookie NULL: none. Returns its length; `n` awaits the answer. */
size_t engine_write_hello(struct noise *n, enum packet_type type, uint32_t attempt, const uint8_t *cookie,
			  struct piece payload, uint8_t packet[PACKET_MAX]);
/* Opens the RESP or ANSWER to it, which must verify. Returns the payload's length. */
size_t engine_read_answer(struct noise *n, const uint8_t *packet, size_t len, uint8_t payload[PACKET_MAX]);

/* A server's RESP or ANSWER to a client's INIT or ASK with that payload. Returns its
 * length; `n` holds what follows from the handshake. */
size_t engine_answer_hello(struct noise *n, const uint8_t *hello, enum packet_type type,
			   struct piece payload, uint8_t packet[PACKET_MAX]);

/* The number of the next packet, when `skip` numbers are left out or, below 0, gone back. */
uint64_t engine_take_number(uint64_t *next, int8_t skip);

/* What is sent is well-formed, goes to whom it answers, and is no longer than what is
 * still allowed, of which it is taken. */
void engine_check_answer(const struct addr *to, const struct addr *from, const uint8_t *data, size_t len,
			 size_t *allowed);

/* Raw bytes as a packet: the first byte chooses the type; bit 0 of the second leaves the
 * length as it is, otherwise it is what the type wants; bit 1 puts `conn` where a session's
 * packet has it, bit 2 makes the header a good one of a handshake with that attempt. */
size_t engine_shape(struct piece p, uint32_t conn, uint32_t attempt, uint8_t packet[PACKET_MAX + 64]);

#endif
