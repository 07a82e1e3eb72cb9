/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a session and the two things done with them: DATA packets
 * (AES-256-GCM, the 8-byte header as associated data, the full packet number as
 * nonce) and heartbeats (AES-128-CMAC over header and full number, cut to 8
 * bytes). One key for all heartbeats: the type byte tells the ways apart. */
#ifndef SESSION_KEYS_H
#define SESSION_KEYS_H

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/noise.h"
#include "wire/packet.h"

struct keys { /* 80 bytes */
	uint8_t send[AEAD_KEY_BYTES], recv[AEAD_KEY_BYTES], beat[CMAC_KEY_BYTES];
};

/* From the end of a handshake; wipes n. */
void keys_from_noise(struct keys *k, struct noise *n, bool initiator);

/* Seals len bytes of frames that stand at packet + PACKET_HEADER, in place;
 * returns the packet's length. packet: room for len + 24 bytes. */
RS_MUST_CHECK int keys_seal(const struct keys *k, uint32_t conn, uint64_t number, uint8_t *packet,
			    size_t len);
/* Opens a DATA packet in place; returns the length of the frames at
 * packet + PACKET_HEADER, or RS_EAUTH. */
RS_MUST_CHECK int keys_open(const struct keys *k, uint64_t number, uint8_t *packet, size_t len);

/* Writes a whole heartbeat or answer of HEARTBEAT_BYTES. */
void keys_write_beat(const struct keys *k, enum packet_type type, uint32_t conn, uint64_t number,
		     uint8_t *packet);
bool keys_check_beat(const struct keys *k, uint64_t number, const uint8_t *packet);

#endif
