/* SPDX-License-Identifier: Apache-2.0 */
/* Cookies: proof that a client receives at the address it sends from, without
 * memory for it. cookie = HMAC(secret, address || attempt), cut to 16 bytes; the
 * secret changes every two minutes and the one before is still taken. It is
 * bound to the attempt, not to the ephemeral key: INIT with a cookie must bear
 * a new ephemeral, since its sealed part has other associated data. */
#ifndef SESSION_COOKIE_H
#define SESSION_COOKIE_H

#include "base/addr.h"
#include "crypto/x25519.h"
#include "wire/packet.h"

#define COOKIE_ROTATE_MS 120000u

struct cookie_jar {
	uint8_t secret[2][32]; /* current, previous */
	uint64_t changed_ms;
	random_fn *random;
};

/* The first len bytes, at most SHA256_BYTES, of HMAC(key, address || number): what
 * cookies, RESET tokens and path challenges are. */
void address_mac(const uint8_t key[32], const struct addr *a, uint32_t number, uint8_t *out, size_t len);

void cookie_jar_init(struct cookie_jar *j, random_fn *random, uint64_t now_ms);
void cookie_make(struct cookie_jar *j, uint64_t now_ms, const struct addr *from, uint32_t attempt,
		 uint8_t out[COOKIE_LEN]);
bool cookie_check(struct cookie_jar *j, uint64_t now_ms, const struct addr *from, uint32_t attempt,
		  const uint8_t cookie[COOKIE_LEN]);
/* Writes a whole COOKIE packet. */
void cookie_packet(struct cookie_jar *j, uint64_t now_ms, const struct addr *from, uint32_t attempt,
		   uint8_t out[COOKIE_BYTES]);

#endif
