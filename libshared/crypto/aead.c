/* SPDX-License-Identifier: Apache-2.0 */
/* One context each way, made at first use and kept to the end of the process.
 * Each call sets key and nonce anew, so that nothing of one call can reach the
 * next. One thread only. */
#include "crypto/aead.h"

#include "base/bytes.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum { NONCE_BYTES = 12 };

static EVP_CIPHER_CTX *make_context(int seal)
{
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (!gcm || !ctx || EVP_CipherInit_ex2(ctx, gcm, NULL, NULL, seal, NULL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_CIPHER_free(gcm); /* ctx holds it */
	return ctx;
}

/* The context of a direction, set to key and nonce, the associated data taken in. */
static int begin(int seal, const uint8_t *key, uint64_t nonce, const void *ad, size_t ad_len,
		 EVP_CIPHER_CTX **out)
{
	static EVP_CIPHER_CTX *contexts[2];
	EVP_CIPHER_CTX **ctx = &contexts[seal];
	uint8_t iv[NONCE_BYTES] = {0};
	int n;
	if (!*ctx && !(*ctx = make_context(seal)))
		return RS_ENOMEM;
	be_put(iv + 4, nonce, 8);
	if (EVP_CipherInit_ex2(*ctx, NULL, key, iv, seal, NULL) != 1)
		return RS_ENOMEM;
	if (ad_len && EVP_CipherUpdate(*ctx, NULL, &n, ad, (int)ad_len) != 1)
		return RS_ENOMEM;
	*out = *ctx;
	return RS_OK;
}

int aead_seal(const uint8_t key[AEAD_KEY_BYTES], uint64_t nonce, const void *ad, size_t ad_len,
	      const uint8_t *plain, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx;
	int n;
	if (len > INT_MAX - AEAD_TAG_BYTES || ad_len > INT_MAX)
		return RS_ELIMIT;
	int err = begin(1, key, nonce, ad, ad_len, &ctx);
	if (!err && ((len && EVP_EncryptUpdate(ctx, out, &n, plain, (int)len) != 1) ||
		     EVP_EncryptFinal_ex(ctx, out + len, &n) != 1 ||
		     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, out + len) != 1))
		err = RS_ENOMEM;
	if (err)
		ERR_clear_error();
	return err;
}

int aead_open(const uint8_t key[AEAD_KEY_BYTES], uint64_t nonce, const void *ad, size_t ad_len,
	      const uint8_t *sealed, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx;
	uint8_t tag[AEAD_TAG_BYTES], none[1];
	int n;
	if (len < AEAD_TAG_BYTES)
		return RS_EAUTH;
	if (len > INT_MAX || ad_len > INT_MAX)
		return RS_ELIMIT;
	len -= AEAD_TAG_BYTES;
	memcpy(tag, sealed + len, sizeof tag);
	int err = begin(0, key, nonce, ad, ad_len, &ctx);
	if (!err && (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag) != 1 ||
		     (len && EVP_DecryptUpdate(ctx, out, &n, sealed, (int)len) != 1) ||
		     EVP_DecryptFinal_ex(ctx, none, &n) != 1))
		err = RS_EAUTH;
	/* OpenSSL's error queue is left empty: a forged packet must not show up as
	 * an error of the TLS connection that is looked at next. */
	if (err) {
		ERR_clear_error();
		if (len)
			explicit_bzero(out, len);
	}
	return err;
}
