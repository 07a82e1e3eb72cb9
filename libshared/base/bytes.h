/* SPDX-License-Identifier: Apache-2.0 */
/* Big-endian integers, hexadecimal, constant-time compare, mixing for hash tables. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void be_put(uint8_t *p, uint64_t v, unsigned len)
{
	for (unsigned i = len; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

static inline uint64_t be_get(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

/* A step of a hash for tables with a random seed; not for secrets. */
static inline uint64_t bytes_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

/* The hash of 16 bytes. */
static inline uint64_t bytes_hash16(uint64_t seed, const uint8_t p[16])
{
	uint64_t h = bytes_mix(bytes_mix(seed, be_get(p, 8)), be_get(p + 8, 8));
	return bytes_mix(h, seed >> 7);
}

/* out has room for 2 * len + 1 characters; returns out. */
char *hex_encode(const uint8_t *data, size_t len, char *out);
/* text is exactly 2 * len hexadecimal digits. */
RS_MUST_CHECK int hex_decode(const char *text, uint8_t *out, size_t len);

/* Equal, in time that depends on len only. */
bool bytes_equal_ct(const void *a, const void *b, size_t len);

#endif
