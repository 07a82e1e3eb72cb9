/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), HMAC (RFC 4231) and CMAC (RFC 4493) against published
 * figures. */
#include "crypto/hash.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(const uint8_t *got, size_t len, const char *hex)
{
	char text[2 * SHA256_BYTES + 1];
	cr_expect_str_eq(hex_encode(got, len, text), hex);
}

static const char *const sha_empty =
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char *const sha_abc =
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Test(hash, sha256)
{
	uint8_t out[SHA256_BYTES];
	char hex[2 * SHA256_BYTES + 1];
	sha256(NULL, 0, out);
	expect(out, sizeof out, sha_empty);
	sha256("abc", 3, out);
	expect(out, sizeof out, sha_abc);
	sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
	cr_expect_str_eq(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(hash, sha256_join_is_the_hash_of_both)
{
	uint8_t out[SHA256_BYTES];
	for (size_t cut = 0; cut <= 3; cut++) {
		sha256_join("abc", cut, &"abc"[cut], 3 - cut, out);
		expect(out, sizeof out, sha_abc);
	}
	sha256_join(NULL, 0, NULL, 0, out);
	expect(out, sizeof out, sha_empty);
	memcpy(out, "abc", 3);
	sha256_join(out, 3, "", 0, out);
	expect(out, sizeof out, sha_abc);
}

/* RFC 4231, 4.2 to 4.8 without 4.6 (a truncated output). A key or text given
 * as one byte is that byte repeated. */
static const struct {
	const char *key;
	size_t key_len;
	const char *text;
	size_t text_len;
	const char *mac;
} hmacs[] = {
	{"\x0b", 20, "Hi There", 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{"Jefe", 4, "what do ya want for nothing?", 28,
	 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{"\xaa", 20, "\xdd", 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	{"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17"
	 "\x18\x19",
	 25, "\xcd", 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
	{"\xaa", 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
	 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	{"\xaa", 131,
	 "This is a test using a larger than block-size key and a larger than block-size data. The key "
	 "needs to be hashed before being used by the HMAC algorithm.",
	 152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
	{"", 0, "", 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void spread(uint8_t *out, const char *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)from[strlen(from) == 1 ? 0 : i];
}

Test(hash, hmac_sha256)
{
	for (size_t i = 0; i < sizeof hmacs / sizeof *hmacs; i++) {
		uint8_t key[160], text[160], out[SHA256_BYTES];
		spread(key, hmacs[i].key, hmacs[i].key_len);
		spread(text, hmacs[i].text, hmacs[i].text_len);
		hmac_sha256(key, hmacs[i].key_len, text, hmacs[i].text_len, out);
		expect(out, sizeof out, hmacs[i].mac);
	}
}

/* The first is RFC 4493, example 2. The others are what `openssl mac` gives:
 * with three of these keys the subkey wraps around (2.3), with two it does not. */
Test(hash, cmac_block)
{
	static const struct {
		const char *key, *block, *mac;
	} cases[] = {
		{"2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a",
		 "070a16b46b4d4144f79bdd9dd04a287c"},
		{"000102030405060708090a0b0c0d0e0f", "0102030405060708090a0b0c0d0e0f10",
		 "f9d2bd284973c6fd13e918bf535ceee2"},
		{"ffffffffffffffffffffffffffffffff", "0102030405060708090a0b0c0d0e0f10",
		 "738840a36ef206ed7c0e6f729f88e8dc"},
		{"00000000000000000000000000000000", "0102030405060708090a0b0c0d0e0f10",
		 "9c35dcc75301a278ca885bf0062816f4"},
		{"c0ffee00c0ffee00c0ffee00c0ffee00", "0102030405060708090a0b0c0d0e0f10",
		 "ad3892511a95ee424322597707ec0a06"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t key[CMAC_KEY_BYTES], block[16], out[CMAC_BYTES];
		cr_assert_eq(hex_decode(cases[i].key, key, sizeof key), RS_OK);
		cr_assert_eq(hex_decode(cases[i].block, block, sizeof block), RS_OK);
		cmac_block(key, block, out);
		expect(out, sizeof out, cases[i].mac);
		cmac_block(key, block, block); /* in place */
		expect(block, sizeof block, cases[i].mac);
	}
}
