/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, HMAC-SHA-256 (RFC 2104), AES-128-CMAC (RFC 4493). */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define CMAC_KEY_BYTES 16
#define CMAC_BYTES 16

void sha256(const void *data, size_t len, uint8_t out[SHA256_BYTES]);
/* The hash of a and b, one after the other; neither needs to be there if its length is 0. */
void sha256_join(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[SHA256_BYTES]);
/* The hash as 64 lower-case hexadecimal digits and a NUL. */
void sha256_hex(const void *data, size_t len, char out[2 * SHA256_BYTES + 1]);
void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		 uint8_t out[SHA256_BYTES]);
/* CMAC of exactly one 16-byte block (a heartbeat), fast path: two AES calls. */
void cmac_block(const uint8_t key[CMAC_KEY_BYTES], const uint8_t block[16], uint8_t out[CMAC_BYTES]);

#endif
