/* SPDX-License-Identifier: Apache-2.0 */
#include "session/keys.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct two {
	struct keys client, server;
};

/* A whole handshake between the two. */
static struct two agree(uint8_t seed)
{
	struct two t;
	struct noise i, r;
	struct keypair s, ei, er;
	uint8_t priv[32], msg[128], payload[64];
	memset(priv, seed, sizeof priv);
	cr_assert_eq(x25519_from_private(priv, &s), RS_OK);
	memset(priv, seed + 1, sizeof priv);
	cr_assert_eq(x25519_from_private(priv, &ei), RS_OK);
	memset(priv, seed + 2, sizeof priv);
	cr_assert_eq(x25519_from_private(priv, &er), RS_OK);
	cr_assert_eq(noise_write_init(&i, &ei, s.pub, "p", 1, "x", 1, msg), RS_OK);
	cr_assert_eq(noise_read_init(&r, &s, "p", 1, msg, 1 + NOISE_OVERHEAD, payload), RS_OK);
	cr_assert_eq(noise_write_resp(&r, &er, "y", 1, msg), RS_OK);
	cr_assert_eq(noise_read_resp(&i, msg, 1 + NOISE_OVERHEAD, payload), RS_OK);
	keys_from_noise(&t.client, &i, true);
	keys_from_noise(&t.server, &r, false);
	static const struct noise none;
	cr_expect_arr_eq(&i, &none, sizeof none, "the handshake is wiped");
	return t;
}

Test(keys, both_sides_have_the_same_the_other_way_round)
{
	struct two t = agree(1), other = agree(10);
	cr_expect_arr_eq(t.client.send, t.server.recv, AEAD_KEY_BYTES);
	cr_expect_arr_eq(t.client.recv, t.server.send, AEAD_KEY_BYTES);
	cr_expect_arr_eq(t.client.beat, t.server.beat, CMAC_KEY_BYTES);
	cr_expect_arr_neq(t.client.send, t.client.recv, AEAD_KEY_BYTES);
	cr_expect_arr_neq(t.client.send, other.client.send, AEAD_KEY_BYTES);
	cr_expect_arr_neq(t.client.beat, other.client.beat, CMAC_KEY_BYTES);
}

Test(keys, data_round_trip_of_every_length)
{
	struct two t = agree(1);
	for (size_t len = 1; len <= PACKET_FRAMES_MAX; len++) {
		uint8_t packet[PACKET_MAX], plain[PACKET_FRAMES_MAX];
		for (size_t i = 0; i < len; i++)
			plain[i] = (uint8_t)(i + len);
		memcpy(packet + PACKET_HEADER, plain, len);
		cr_assert_eq(keys_seal(&t.client, 7, len, packet, len), (int)(len + 24));
		cr_assert(packet_length_ok(packet, len + 24));
		cr_assert_eq(keys_open(&t.server, len, packet, len + 24), (int)len);
		cr_assert_arr_eq(packet + PACKET_HEADER, plain, len);
	}
}

/* The full number counts, not only the 24 bits that travel. */
Test(keys, data_opens_only_with_its_own_number_key_and_header)
{
	static const uint64_t wrong[] = {0, 4, 6, 5 + (1ull << 24), 5 + (1ull << 32)};
	struct two t = agree(1);
	uint8_t packet[64] = {0}, copy[64];
	int len = keys_seal(&t.client, 7, 5, packet, 20);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		memcpy(copy, packet, sizeof copy);
		cr_expect_eq(keys_open(&t.server, wrong[i], copy, (size_t)len), RS_EAUTH, "number %zu", i);
	}
	memcpy(copy, packet, sizeof copy);
	cr_expect_eq(keys_open(&t.client, 5, copy, (size_t)len), RS_EAUTH, "sent back to its sender");
	for (unsigned bit = 0; bit < 8u * (unsigned)len; bit++) {
		memcpy(copy, packet, sizeof copy);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect_eq(keys_open(&t.server, 5, copy, (size_t)len), RS_EAUTH, "bit %u", bit);
	}
	for (size_t cut = PACKET_HEADER + PACKET_TAG; cut < (size_t)len; cut++) {
		uint8_t *exact = malloc(cut);
		memcpy(exact, packet, cut);
		cr_expect_eq(keys_open(&t.server, 5, exact, cut), RS_EAUTH, "cut to %zu", cut);
		free(exact);
	}
}

Test(keys, a_heartbeat_proves_its_type_conn_and_full_number)
{
	struct two t = agree(1), other = agree(4);
	uint8_t p[HEARTBEAT_BYTES];
	keys_write_beat(&t.client, PACKET_HEARTBEAT, 0x01020304, 0x1000005, p);
	cr_expect_arr_eq(p, ((uint8_t[]){1, 1, 2, 3, 4, 0, 0, 5}), 8);
	cr_expect(keys_check_beat(&t.server, 0x1000005, p));
	cr_expect_not(keys_check_beat(&t.server, 5, p), "another number with the same low bits");
	cr_expect_not(keys_check_beat(&t.server, 0x1000006, p));
	cr_expect_not(keys_check_beat(&other.server, 0x1000005, p));
	for (unsigned bit = 0; bit < 8 * HEARTBEAT_BYTES; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect_not(keys_check_beat(&t.server, 0x1000005, p), "bit %u", bit);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
