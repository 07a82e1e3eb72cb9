/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM. One cipher context for the process, keyed for each call: a
 * context per session would cost a kilobyte each and is slower. The nonce is
 * Noise's: 4 zero bytes, then the 64-bit number, big-endian. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_BYTES 32
#define AEAD_TAG_BYTES 16

/* out: len + AEAD_TAG_BYTES bytes; may be the plaintext's own place. */
RS_MUST_CHECK int aead_seal(const uint8_t key[AEAD_KEY_BYTES], uint64_t nonce, const void *ad,
			    size_t ad_len, const uint8_t *plain, size_t len, uint8_t *out);
/* len includes the tag; out: len - AEAD_TAG_BYTES bytes, not to be read unless 0
 * was returned. RS_EAUTH if it does not verify; may work in place. */
RS_MUST_CHECK int aead_open(const uint8_t key[AEAD_KEY_BYTES], uint64_t nonce, const void *ad,
			    size_t ad_len, const uint8_t *sealed, size_t len, uint8_t *out);

#endif
