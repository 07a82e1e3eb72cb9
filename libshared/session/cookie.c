/* SPDX-License-Identifier: Apache-2.0 */
#include "session/cookie.h"

#include "base/bytes.h"
#include "crypto/hash.h"

#include <string.h>

void address_mac(const uint8_t key[32], const struct addr *a, uint32_t number, uint8_t *out, size_t len)
{
	uint8_t text[sizeof *a + 4], mac[SHA256_BYTES];
	memcpy(text, a, sizeof *a);
	be_put(text + sizeof *a, number, 4);
	hmac_sha256(key, 32, text, sizeof text, mac);
	memcpy(out, mac, len);
}

void cookie_jar_init(struct cookie_jar *j, random_fn *random, uint64_t now_ms)
{
	j->random = random;
	j->changed_ms = now_ms;
	random(j->secret, sizeof j->secret);
}

static void rotate(struct cookie_jar *j, uint64_t now_ms)
{
	if (now_ms - j->changed_ms < COOKIE_ROTATE_MS)
		return;
	if (now_ms - j->changed_ms < 2 * COOKIE_ROTATE_MS)
		memcpy(j->secret[1], j->secret[0], sizeof j->secret[0]);
	else /* nobody asked for long: the present one is too old as well */
		j->random(j->secret[1], sizeof j->secret[1]);
	j->random(j->secret[0], sizeof j->secret[0]);
	j->changed_ms = now_ms;
}

void cookie_make(struct cookie_jar *j, uint64_t now_ms, const struct addr *from, uint32_t attempt,
		 uint8_t out[COOKIE_LEN])
{
	rotate(j, now_ms);
	address_mac(j->secret[0], from, attempt, out, COOKIE_LEN);
}

bool cookie_check(struct cookie_jar *j, uint64_t now_ms, const struct addr *from, uint32_t attempt,
		  const uint8_t cookie[COOKIE_LEN])
{
	uint8_t right[COOKIE_LEN];
	rotate(j, now_ms);
	for (int i = 0; i < 2; i++) {
		address_mac(j->secret[i], from, attempt, right, sizeof right);
		if (bytes_equal_ct(right, cookie, COOKIE_LEN))
			return true;
	}
	return false;
}

void cookie_packet(struct cookie_jar *j, uint64_t now_ms, const struct addr *from, uint32_t attempt,
		   uint8_t out[COOKIE_BYTES])
{
	packet_write_hello(out, PACKET_COOKIE, attempt);
	cookie_make(j, now_ms, from, attempt, out + HELLO_HEADER);
}
