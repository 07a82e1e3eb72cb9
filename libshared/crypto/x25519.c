/* SPDX-License-Identifier: Apache-2.0 */
/* The context that imports keys and the object for the other side's key are
 * made at first use and kept to the end of the process. One thread only. */
#include "crypto/x25519.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

/* A private key as OpenSSL's object, or NULL. Without `pub` OpenSSL works the
 * public key out, which costs as much as the agreement itself. */
static EVP_PKEY *import_private(const uint8_t *priv, const uint8_t *pub)
{
	static EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;
	if (!ctx && !(ctx = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL)))
		return NULL;
	OSSL_PARAM params[3] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)priv, X25519_BYTES),
		OSSL_PARAM_construct_end(),
		OSSL_PARAM_construct_end(),
	};
	if (pub)
		params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)pub,
							      X25519_BYTES);
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		return NULL;
	return key;
}

/* The one object for the other side's key, holding `pub`, or NULL. Borrowed. */
static EVP_PKEY *peer_key(const uint8_t *pub)
{
	static EVP_PKEY *key;
	if (!key && !(key = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, pub, X25519_BYTES)))
		return NULL;
	return EVP_PKEY_set1_encoded_public_key(key, pub, X25519_BYTES) == 1 ? key : NULL;
}

int x25519_from_private(const uint8_t priv[X25519_BYTES], struct keypair *out)
{
	struct keypair made;
	size_t len = X25519_BYTES;
	int err = RS_OK;
	EVP_PKEY *key = import_private(priv, NULL);
	if (!key || EVP_PKEY_get_raw_public_key(key, made.pub, &len) != 1) {
		ERR_clear_error();
		err = RS_ENOMEM;
		goto out;
	}
	memcpy(made.priv, priv, X25519_BYTES);
	*out = made;
out:
	explicit_bzero(&made, sizeof made);
	EVP_PKEY_free(key);
	return err;
}

int x25519_generate(random_fn *random, struct keypair *out)
{
	uint8_t priv[X25519_BYTES];
	random(priv, sizeof priv);
	int err = x25519_from_private(priv, out);
	explicit_bzero(priv, sizeof priv);
	return err;
}

int x25519_shared(const uint8_t priv[X25519_BYTES], const uint8_t peer[X25519_BYTES],
		  uint8_t out[X25519_BYTES])
{
	static const uint8_t unused_pub[X25519_BYTES]; /* the agreement does not look at it */
	size_t len = X25519_BYTES;
	int err = RS_ENOMEM;
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *own = import_private(priv, unused_pub), *other = peer_key(peer);
	if (!own || !other)
		goto out;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	if (!ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer_ex(ctx, other, 0) != 1)
		goto out;
	/* OpenSSL refuses a result of zeros itself (RFC 7748, 6.1). */
	err = EVP_PKEY_derive(ctx, out, &len) == 1 && len == X25519_BYTES ? RS_OK : RS_EAUTH;
out:
	if (err) {
		ERR_clear_error();
		explicit_bzero(out, X25519_BYTES);
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(own); /* OpenSSL wipes it */
	return err;
}
