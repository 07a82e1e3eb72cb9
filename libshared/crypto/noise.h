/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake Noise_NK_25519_AESGCM_SHA256 (Noise rev. 34, 7.4), unmodified:
 *
 *   <- s
 *   ...
 *   -> e, es     noise_write_init / noise_read_init    32 + payload + 16 bytes
 *   <- e, ee     noise_write_resp / noise_read_resp    32 + payload + 16 bytes
 *
 * Ephemeral keys come from the caller (made ahead by the broker, fixed by the
 * test vectors). An ephemeral must never serve two messages that differ. Every
 * failure wipes the state; after that it may only be dropped. Only
 * noise_read_resp differs, see there.
 *
 * When reading, `payload` may be the message's own place (msg + 32) and is not
 * to be used unless 0 was returned. RS_EINVAL: the message is too short. */
#ifndef CRYPTO_NOISE_H
#define CRYPTO_NOISE_H

#include "crypto/x25519.h"

#include <stddef.h>

#define NOISE_KEY_BYTES 32
#define NOISE_TAG_BYTES 16
#define NOISE_OVERHEAD (X25519_BYTES + NOISE_TAG_BYTES)

struct noise {
	uint8_t h[32], ck[32], k[NOISE_KEY_BYTES];
	struct keypair e;             /* own ephemeral */
	uint8_t re[X25519_BYTES];     /* the other side's ephemeral */
};

/* Initiator. `server` is the pinned static key; out has payload_len + NOISE_OVERHEAD bytes. */
RS_MUST_CHECK int noise_write_init(struct noise *n, const struct keypair *e,
				   const uint8_t server[X25519_BYTES], const void *prologue,
				   size_t prologue_len, const void *payload, size_t payload_len,
				   uint8_t *out);
/* Responder. payload has msg_len - NOISE_OVERHEAD bytes. RS_EAUTH if it does not verify. */
RS_MUST_CHECK int noise_read_init(struct noise *n, const struct keypair *s, const void *prologue,
				  size_t prologue_len, const uint8_t *msg, size_t msg_len,
				  uint8_t *payload);
RS_MUST_CHECK int noise_write_resp(struct noise *n, const struct keypair *e, const void *payload,
				   size_t payload_len, uint8_t *out);
/* A message that does not verify leaves the state as it was, so that a forged
 * answer does not end the handshake. */
RS_MUST_CHECK int noise_read_resp(struct noise *n, const uint8_t *msg, size_t msg_len,
				  uint8_t *payload);

/* Noise's HKDF(ck, "", 3): [0] and [1] are what Split() gives, initiator's
 * sending key first; [2] is ours, for the heartbeat keys. Wipes n. */
void noise_split(struct noise *n, uint8_t out[3][NOISE_KEY_BYTES]);
void noise_wipe(struct noise *n);

#endif
