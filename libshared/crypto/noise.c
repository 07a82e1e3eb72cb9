/* SPDX-License-Identifier: Apache-2.0 */
/* The symmetric state of Noise (rev. 34, 5.2) is h, ck and k. k encrypts once
 * only in each message of NK, so that its nonce is always 0 and is not kept. */
#include "crypto/noise.h"

#include "crypto/aead.h"
#include "crypto/hash.h"

#include <string.h>

static const uint8_t protocol_name[32] = "Noise_NK_25519_AESGCM_SHA256"; /* padded with zeros */

static void mix_hash(struct noise *n, const void *data, size_t len)
{
	sha256_join(n->h, sizeof n->h, data, len, n->h);
}

/* HKDF (4.3) with 2 or 3 outputs of 32 bytes each. */
static void hkdf(const uint8_t ck[32], const void *input, size_t len, uint8_t (*out)[32],
		 unsigned count)
{
	uint8_t temp[32], block[33];
	hmac_sha256(ck, 32, input, len, temp);
	for (unsigned i = 0; i < count; i++) {
		size_t at = i ? 32 : 0;
		if (i)
			memcpy(block, out[i - 1], 32);
		block[at] = (uint8_t)(i + 1);
		hmac_sha256(temp, sizeof temp, block, at + 1, out[i]);
	}
	explicit_bzero(temp, sizeof temp);
	explicit_bzero(block, sizeof block);
}

/* MixKey(DH(priv, pub)). */
static int mix_dh(struct noise *n, const uint8_t priv[32], const uint8_t pub[32])
{
	uint8_t shared[32], out[2][32];
	int err = x25519_shared(priv, pub, shared);
	if (!err) {
		hkdf(n->ck, shared, sizeof shared, out, 2);
		memcpy(n->ck, out[0], 32);
		memcpy(n->k, out[1], 32);
	}
	explicit_bzero(shared, sizeof shared);
	explicit_bzero(out, sizeof out);
	return err;
}

static int encrypt_and_hash(struct noise *n, const void *payload, size_t len, uint8_t *out)
{
	int err = aead_seal(n->k, 0, n->h, sizeof n->h, payload, len, out);
	if (!err)
		mix_hash(n, out, len + NOISE_TAG_BYTES);
	return err;
}

/* The hash is taken first, so that the payload may replace the ciphertext. */
static int decrypt_and_hash(struct noise *n, const uint8_t *sealed, size_t len, uint8_t *payload)
{
	uint8_t ad[32];
	memcpy(ad, n->h, sizeof ad);
	mix_hash(n, sealed, len);
	return aead_open(n->k, 0, ad, sizeof ad, sealed, len, payload);
}

/* Initialize() with the pre-message <- s. */
static void start(struct noise *n, const void *prologue, size_t prologue_len,
		  const uint8_t server[X25519_BYTES])
{
	*n = (struct noise){0};
	memcpy(n->h, protocol_name, sizeof n->h);
	memcpy(n->ck, n->h, sizeof n->ck);
	mix_hash(n, prologue, prologue_len);
	mix_hash(n, server, X25519_BYTES);
}

int noise_write_init(struct noise *n, const struct keypair *e, const uint8_t server[X25519_BYTES],
		     const void *prologue, size_t prologue_len, const void *payload,
		     size_t payload_len, uint8_t *out)
{
	start(n, prologue, prologue_len, server);
	/* e */
	n->e = *e;
	mix_hash(n, e->pub, X25519_BYTES);
	/* es */
	int err = mix_dh(n, e->priv, server);
	if (!err)
		err = encrypt_and_hash(n, payload, payload_len, out + X25519_BYTES);
	memcpy(out, e->pub, X25519_BYTES);
	if (err)
		noise_wipe(n);
	return err;
}

int noise_read_init(struct noise *n, const struct keypair *s, const void *prologue,
		    size_t prologue_len, const uint8_t *msg, size_t msg_len, uint8_t *payload)
{
	int err = RS_EINVAL;
	if (msg_len < NOISE_OVERHEAD)
		goto out;
	start(n, prologue, prologue_len, s->pub);
	/* e */
	memcpy(n->re, msg, X25519_BYTES);
	mix_hash(n, n->re, X25519_BYTES);
	/* es */
	err = mix_dh(n, s->priv, n->re);
	if (!err)
		err = decrypt_and_hash(n, msg + X25519_BYTES, msg_len - X25519_BYTES, payload);
out:
	if (err)
		noise_wipe(n);
	return err;
}

int noise_write_resp(struct noise *n, const struct keypair *e, const void *payload,
		     size_t payload_len, uint8_t *out)
{
	/* e */
	n->e = *e;
	mix_hash(n, e->pub, X25519_BYTES);
	/* ee */
	int err = mix_dh(n, e->priv, n->re);
	if (!err)
		err = encrypt_and_hash(n, payload, payload_len, out + X25519_BYTES);
	memcpy(out, e->pub, X25519_BYTES);
	if (err)
		noise_wipe(n);
	return err;
}

int noise_read_resp(struct noise *n, const uint8_t *msg, size_t msg_len, uint8_t *payload)
{
	if (msg_len < NOISE_OVERHEAD)
		return RS_EINVAL;
	struct noise next = *n; /* a forged answer must leave n as it was */
	/* e */
	memcpy(next.re, msg, X25519_BYTES);
	mix_hash(&next, next.re, X25519_BYTES);
	/* ee */
	int err = mix_dh(&next, next.e.priv, next.re);
	if (!err)
		err = decrypt_and_hash(&next, msg + X25519_BYTES, msg_len - X25519_BYTES, payload);
	if (!err)
		*n = next;
	noise_wipe(&next);
	return err;
}

void noise_split(struct noise *n, uint8_t out[3][NOISE_KEY_BYTES])
{
	hkdf(n->ck, NULL, 0, out, 3);
	noise_wipe(n);
}

void noise_wipe(struct noise *n) { explicit_bzero(n, sizeof *n); }
