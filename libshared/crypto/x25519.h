/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 (RFC 7748) on OpenSSL. */
#ifndef CRYPTO_X25519_H
#define CRYPTO_X25519_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define X25519_BYTES 32

/* Where an engine gets its random bytes from: random_bytes(), or in a simulation
 * what follows from a seed. */
typedef void random_fn(void *out, size_t len);

struct keypair {
	uint8_t priv[X25519_BYTES]; /* wipe with explicit_bzero when done */
	uint8_t pub[X25519_BYTES];
};

RS_MUST_CHECK int x25519_generate(random_fn *random, struct keypair *out);
/* Fills out->pub from priv. */
RS_MUST_CHECK int x25519_from_private(const uint8_t priv[X25519_BYTES], struct keypair *out);
/* RS_EAUTH if the result is all zero (a peer key of small order). */
RS_MUST_CHECK int x25519_shared(const uint8_t priv[X25519_BYTES], const uint8_t peer[X25519_BYTES],
				uint8_t out[X25519_BYTES]);

#endif
