/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake against the vectors in tests/vectors, byte for byte, and
 * against forged messages. */
#include "crypto/noise.h"

#include "base/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/random.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

enum { MESSAGES = 6, MESSAGE_MAX = 128 };

struct blob {
	uint8_t data[MESSAGE_MAX];
	size_t len;
};

static struct vector {
	struct keypair init_e, resp_s, resp_e;
	struct blob server, init_prologue, resp_prologue;
	struct blob payload[MESSAGES], ciphertext[MESSAGES];
} v;

/* Room for a blob's text, since hex_decode() wants the exact length. */
static struct blob blob_of(const json_t *object, const char *name)
{
	struct blob b = {0};
	const char *hex = json_string_value(json_object_get(object, name));
	cr_assert_not_null(hex, "no %s", name);
	b.len = strlen(hex) / 2;
	cr_assert_leq(b.len, MESSAGE_MAX);
	cr_assert_eq(hex_decode(hex, b.data, b.len), RS_OK);
	return b;
}

static struct keypair pair_of(const json_t *object, const char *name)
{
	struct keypair pair = {{0}, {0}};
	struct blob priv = blob_of(object, name);
	cr_assert_eq(priv.len, X25519_BYTES);
	cr_assert_eq(x25519_from_private(priv.data, &pair), RS_OK);
	return pair;
}

static void load(void)
{
	json_error_t error;
	json_t *root = json_load_file(TEST_VECTORS_DIR "/noise-nk-25519-aesgcm-sha256.json", 0, &error);
	cr_assert_not_null(root, "%s", error.text);
	const json_t *o = json_array_get(json_object_get(root, "vectors"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(o, "name")), "Noise_NK_25519_AESGCM_SHA256");
	v.init_e = pair_of(o, "init_ephemeral");
	v.resp_s = pair_of(o, "resp_static");
	v.resp_e = pair_of(o, "resp_ephemeral");
	v.server = blob_of(o, "init_remote_static");
	v.init_prologue = blob_of(o, "init_prologue");
	v.resp_prologue = blob_of(o, "resp_prologue");
	const json_t *messages = json_object_get(o, "messages");
	cr_assert_eq(json_array_size(messages), MESSAGES);
	for (size_t i = 0; i < MESSAGES; i++) {
		v.payload[i] = blob_of(json_array_get(messages, i), "payload");
		v.ciphertext[i] = blob_of(json_array_get(messages, i), "ciphertext");
	}
	json_decref(root);
}

TestSuite(noise, .init = load);

static int write_init(struct noise *n, uint8_t *out)
{
	return noise_write_init(n, &v.init_e, v.server.data, v.init_prologue.data, v.init_prologue.len,
				v.payload[0].data, v.payload[0].len, out);
}

static int read_init(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload)
{
	return noise_read_init(n, &v.resp_s, v.resp_prologue.data, v.resp_prologue.len, msg, len, payload);
}

/* Both sides through the two messages. */
static void shake_hands(struct noise *init, struct noise *resp)
{
	uint8_t out[MESSAGE_MAX], payload[MESSAGE_MAX];
	cr_assert_eq(write_init(init, out), RS_OK);
	cr_assert_arr_eq(out, v.ciphertext[0].data, v.ciphertext[0].len);
	cr_assert_eq(read_init(resp, v.ciphertext[0].data, v.ciphertext[0].len, payload), RS_OK);
	cr_assert_arr_eq(payload, v.payload[0].data, v.payload[0].len);
	cr_assert_eq(noise_write_resp(resp, &v.resp_e, v.payload[1].data, v.payload[1].len, out), RS_OK);
	cr_assert_arr_eq(out, v.ciphertext[1].data, v.ciphertext[1].len);
	cr_assert_eq(noise_read_resp(init, v.ciphertext[1].data, v.ciphertext[1].len, payload), RS_OK);
	cr_assert_arr_eq(payload, v.payload[1].data, v.payload[1].len);
}

static bool is_wiped(const struct noise *n)
{
	static const struct noise zero;
	return memcmp(n, &zero, sizeof zero) == 0;
}

Test(noise, vectors_byte_for_byte)
{
	struct noise init, resp;
	uint8_t keys[3][NOISE_KEY_BYTES], other[3][NOISE_KEY_BYTES], out[MESSAGE_MAX];
	cr_assert_arr_eq(v.resp_s.pub, v.server.data, X25519_BYTES);
	for (size_t i = 0; i < MESSAGES; i++)
		cr_assert_eq(v.ciphertext[i].len,
			     v.payload[i].len + (i < 2 ? NOISE_OVERHEAD : AEAD_TAG_BYTES));
	shake_hands(&init, &resp);
	noise_split(&init, keys);
	noise_split(&resp, other);
	cr_assert_arr_eq(keys, other, sizeof keys);
	cr_expect(is_wiped(&init) && is_wiped(&resp));
	/* The initiator sends the even ones; each direction counts from 0. */
	for (size_t i = 2; i < MESSAGES; i++) {
		const struct blob *p = &v.payload[i], *c = &v.ciphertext[i];
		uint64_t nonce = (i - 2) / 2;
		cr_assert_eq(aead_seal(keys[i % 2], nonce, NULL, 0, p->data, p->len, out), RS_OK);
		cr_assert_arr_eq(out, c->data, c->len, "message %zu", i);
		cr_assert_eq(aead_open(keys[i % 2], nonce, NULL, 0, c->data, c->len, out), RS_OK);
		cr_assert_arr_eq(out, p->data, p->len, "message %zu", i);
		cr_assert_eq(aead_open(keys[(i + 1) % 2], nonce, NULL, 0, c->data, c->len, out), RS_EAUTH);
	}
}

/* HKDF with three outputs (Noise rev. 34, 4.3), taken step by step. */
Test(noise, split_gives_a_third_key)
{
	struct noise init, resp;
	uint8_t keys[3][NOISE_KEY_BYTES], temp[32], block[33], want[32];
	shake_hands(&init, &resp);
	hmac_sha256(init.ck, sizeof init.ck, "", 0, temp);
	noise_split(&init, keys);
	memcpy(block, keys[1], 32);
	block[32] = 3;
	hmac_sha256(temp, sizeof temp, block, sizeof block, want);
	cr_expect_arr_eq(keys[2], want, sizeof want);
	cr_expect_arr_neq(keys[0], keys[1], sizeof want);
}

Test(noise, payload_may_replace_the_message)
{
	struct noise init, resp;
	struct blob one = v.ciphertext[0], two = v.ciphertext[1];
	uint8_t out[MESSAGE_MAX], keys[2][3][NOISE_KEY_BYTES];
	cr_assert_eq(write_init(&init, out), RS_OK);
	cr_assert_eq(read_init(&resp, one.data, one.len, one.data + X25519_BYTES), RS_OK);
	cr_assert_arr_eq(one.data + X25519_BYTES, v.payload[0].data, v.payload[0].len);
	cr_assert_eq(noise_write_resp(&resp, &v.resp_e, v.payload[1].data, v.payload[1].len, out), RS_OK);
	cr_assert_arr_eq(out, two.data, two.len);
	cr_assert_eq(noise_read_resp(&init, two.data, two.len, two.data + X25519_BYTES), RS_OK);
	cr_assert_arr_eq(two.data + X25519_BYTES, v.payload[1].data, v.payload[1].len);
	noise_split(&init, keys[0]);
	noise_split(&resp, keys[1]);
	cr_expect_arr_eq(keys[0], keys[1], sizeof keys[0]);
}

Test(noise, empty_payloads_and_no_prologue)
{
	struct noise init, resp;
	uint8_t msg[NOISE_OVERHEAD], none[1];
	cr_assert_eq(noise_write_init(&init, &v.init_e, v.server.data, NULL, 0, NULL, 0, msg), RS_OK);
	cr_assert_eq(noise_read_init(&resp, &v.resp_s, NULL, 0, msg, sizeof msg, none), RS_OK);
	cr_assert_eq(noise_write_resp(&resp, &v.resp_e, NULL, 0, msg), RS_OK);
	cr_assert_eq(noise_read_resp(&init, msg, sizeof msg, none), RS_OK);
}

/* X25519 ignores the top bit of a public key, but the hash does not: so this
 * holds for the ephemeral too. */
Test(noise, every_flipped_bit_of_message_1_is_refused)
{
	struct noise n;
	struct blob m = v.ciphertext[0];
	uint8_t payload[MESSAGE_MAX];
	for (size_t bit = 0; bit < 8 * m.len; bit++) {
		m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(read_init(&n, m.data, m.len, payload), RS_EAUTH, "bit %zu", bit);
		cr_assert(is_wiped(&n), "bit %zu", bit);
		m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_eq(read_init(&n, m.data, m.len, payload), RS_OK);
}

/* One state takes all the forged answers and then the true one. */
Test(noise, every_flipped_bit_of_message_2_is_refused_and_the_true_one_still_taken)
{
	struct noise n, before;
	struct blob m = v.ciphertext[1];
	uint8_t payload[MESSAGE_MAX];
	cr_assert_eq(write_init(&n, payload), RS_OK);
	before = n;
	for (size_t bit = 0; bit < 8 * m.len; bit++) {
		m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(noise_read_resp(&n, m.data, m.len, payload), RS_EAUTH, "bit %zu", bit);
		m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_arr_eq(&n, &before, sizeof n);
	cr_assert_eq(noise_read_resp(&n, m.data, m.len, payload), RS_OK);
	cr_assert_arr_eq(payload, v.payload[1].data, v.payload[1].len);
}

Test(noise, every_flipped_bit_of_a_transport_message_is_refused)
{
	struct noise init, resp;
	struct blob m = v.ciphertext[2];
	uint8_t keys[3][NOISE_KEY_BYTES], out[MESSAGE_MAX];
	shake_hands(&init, &resp);
	noise_split(&resp, keys);
	for (size_t bit = 0; bit < 8 * m.len; bit++) {
		m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(aead_open(keys[0], 0, NULL, 0, m.data, m.len, out), RS_EAUTH, "bit %zu", bit);
		m.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_eq(aead_open(keys[0], 0, NULL, 0, m.data, m.len, out), RS_OK);
}

Test(noise, every_other_length_is_refused)
{
	struct noise n, kept;
	uint8_t payload[MESSAGE_MAX];
	const struct blob *one = &v.ciphertext[0], *two = &v.ciphertext[1];
	for (size_t len = 0; len <= one->len + 1; len++)
		if (len != one->len)
			cr_assert_eq(read_init(&n, one->data, len, payload),
				     len < NOISE_OVERHEAD ? RS_EINVAL : RS_EAUTH, "length %zu", len);
	cr_assert_eq(write_init(&kept, payload), RS_OK);
	for (size_t len = 0; len <= two->len + 1; len++)
		if (len != two->len)
			cr_assert_eq(noise_read_resp(&kept, two->data, len, payload),
				     len < NOISE_OVERHEAD ? RS_EINVAL : RS_EAUTH, "length %zu", len);
	cr_assert_eq(noise_read_resp(&kept, two->data, two->len, payload), RS_OK);
}

Test(noise, another_prologue_or_server_key_is_refused)
{
	struct noise n;
	struct keypair other;
	uint8_t payload[MESSAGE_MAX];
	const struct blob *m = &v.ciphertext[0];
	cr_assert_eq(x25519_generate(random_bytes, &other), RS_OK);
	cr_expect_eq(noise_read_init(&n, &v.resp_s, "x", 1, m->data, m->len, payload), RS_EAUTH);
	cr_expect_eq(noise_read_init(&n, &v.resp_s, NULL, 0, m->data, m->len, payload), RS_EAUTH);
	cr_expect_eq(noise_read_init(&n, &other, v.resp_prologue.data, v.resp_prologue.len, m->data, m->len,
				     payload),
		     RS_EAUTH);
}

/* With a key of small order the shared secret is zero, whoever computes it. */
Test(noise, an_all_zero_shared_secret_is_refused)
{
	static const uint8_t zero_key[X25519_BYTES];
	struct noise n, before;
	struct blob m = v.ciphertext[0];
	uint8_t out[MESSAGE_MAX];
	cr_expect_eq(noise_write_init(&n, &v.init_e, zero_key, "", 0, "", 0, out), RS_EAUTH);
	cr_expect(is_wiped(&n));
	memset(m.data, 0, X25519_BYTES);
	cr_expect_eq(read_init(&n, m.data, m.len, out), RS_EAUTH);
	cr_expect(is_wiped(&n));
	cr_assert_eq(read_init(&n, v.ciphertext[0].data, v.ciphertext[0].len, out), RS_OK);
	memset(n.re, 0, sizeof n.re);
	cr_expect_eq(noise_write_resp(&n, &v.resp_e, "", 0, out), RS_EAUTH);
	cr_expect(is_wiped(&n));
	cr_assert_eq(write_init(&n, out), RS_OK);
	before = n;
	m = v.ciphertext[1];
	memset(m.data, 0, X25519_BYTES);
	cr_expect_eq(noise_read_resp(&n, m.data, m.len, out), RS_EAUTH);
	cr_expect_arr_eq(&n, &before, sizeof n);
}
