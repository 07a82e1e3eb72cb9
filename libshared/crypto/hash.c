/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithms are fetched at first use and kept, with one context each, to
 * the end of the process: a fetch costs more than a hash. One thread only.
 *
 * HMAC and CMAC are put together from their parts here: EVP_MAC takes one and
 * a half to three and a half times as long for messages of our size. */
#include "crypto/hash.h"

#include "base/bytes.h"
#include "crypto/fatal.h"

#include <openssl/evp.h>
#include <string.h>

enum { SHA256_BLOCK = 64, AES_BLOCK = 16 };

/* A context that is set to SHA-256; initialising it again needs no fetch. */
static EVP_MD_CTX *sha256_context(void)
{
	static EVP_MD_CTX *ctx;
	if (ctx)
		return ctx;
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	ctx = EVP_MD_CTX_new();
	if (!md || !ctx || EVP_DigestInit_ex2(ctx, md, NULL) != 1)
		crypto_fatal("SHA-256");
	EVP_MD_free(md); /* ctx holds it */
	return ctx;
}

void sha256_join(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[SHA256_BYTES])
{
	EVP_MD_CTX *ctx = sha256_context();
	if (EVP_DigestInit_ex2(ctx, NULL, NULL) != 1 || EVP_DigestUpdate(ctx, a, a_len) != 1 ||
	    EVP_DigestUpdate(ctx, b, b_len) != 1 || EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		crypto_fatal("SHA-256");
}

void sha256(const void *data, size_t len, uint8_t out[SHA256_BYTES])
{
	sha256_join(data, len, NULL, 0, out);
}

void sha256_hex(const void *data, size_t len, char out[2 * SHA256_BYTES + 1])
{
	uint8_t digest[SHA256_BYTES];
	sha256(data, len, digest);
	hex_encode(digest, sizeof digest, out);
}

void hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		 uint8_t out[SHA256_BYTES])
{
	uint8_t pad[SHA256_BLOCK] = {0}, inner[SHA256_BYTES];
	if (key_len > sizeof pad)
		sha256(key, key_len, pad);
	else if (key_len)
		memcpy(pad, key, key_len);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36;
	sha256_join(pad, sizeof pad, data, len, inner);
	for (size_t i = 0; i < sizeof pad; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha256_join(pad, sizeof pad, inner, sizeof inner, out);
	explicit_bzero(pad, sizeof pad);
	explicit_bzero(inner, sizeof inner);
}

static EVP_CIPHER_CTX *aes_context(void)
{
	static EVP_CIPHER_CTX *ctx;
	if (ctx)
		return ctx;
	EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	ctx = EVP_CIPHER_CTX_new();
	if (!aes || !ctx || EVP_EncryptInit_ex2(ctx, aes, NULL, NULL, NULL) != 1)
		crypto_fatal("AES-128");
	EVP_CIPHER_free(aes);
	return ctx;
}

/* Encrypting whole blocks with EncryptUpdate holds nothing back, so that the
 * padding setting does not matter as long as nobody calls EncryptFinal. */
static void aes_block(EVP_CIPHER_CTX *ctx, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK])
{
	int len = 0;
	if (EVP_EncryptUpdate(ctx, out, &len, in, AES_BLOCK) != 1 || len != AES_BLOCK)
		crypto_fatal("AES-128");
}

/* RFC 4493, 2.4 for n = 1 and a complete block: AES(K, block xor K1), where K1
 * is L = AES(K, 0) doubled in GF(2^128) (2.3). */
void cmac_block(const uint8_t key[CMAC_KEY_BYTES], const uint8_t block[16], uint8_t out[CMAC_BYTES])
{
	static const uint8_t zero[AES_BLOCK];
	uint8_t l[AES_BLOCK], x[AES_BLOCK];
	EVP_CIPHER_CTX *ctx = aes_context();
	if (EVP_EncryptInit_ex2(ctx, NULL, key, NULL, NULL) != 1)
		crypto_fatal("AES-128");
	aes_block(ctx, zero, l);
	uint64_t hi = be_get(l, 8), lo = be_get(l + 8, 8);
	uint64_t reduce = 0x87 & (0 - (hi >> 63)); /* no branch on a secret bit */
	be_put(x, be_get(block, 8) ^ (hi << 1 | lo >> 63), 8);
	be_put(x + 8, be_get(block + 8, 8) ^ (lo << 1 ^ reduce), 8);
	aes_block(ctx, x, out);
	explicit_bzero(l, sizeof l);
	explicit_bzero(x, sizeof x);
}
