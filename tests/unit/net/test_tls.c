/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of net/tls.h, the bytes carried by hand; and an impostor of OpenSSL's
 * own making. Sockets are in test_stream_*.c. */
#include "net/tls.h"

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

static struct tls_context *context(const char *secret)
{
	struct tls_context *c = NULL;
	cr_assert_eq(tls_context_new(&c, secret, strlen(secret)), RS_OK);
	return c;
}

/* Moves what `from` has to say into `to`; says whether there was something. */
static bool carry(struct tls *from, struct tls *to)
{
	struct buf wire = {0};
	cr_assert_eq(tls_take(from, &wire), RS_OK);
	size_t len = buf_len(&wire);
	cr_assert_eq(tls_feed(to, wire.data + wire.start, len), RS_OK);
	buf_deinit(&wire);
	return len > 0;
}

struct pair {
	struct tls_context *cc, *sc;
	struct tls *client, *server;
	int client_err, server_err;
};

static struct pair make_pair(const char *client_secret, const char *server_secret)
{
	struct pair p = {.cc = context(client_secret), .sc = context(server_secret)};
	cr_assert_eq(tls_new(&p.client, p.cc, false), RS_OK);
	cr_assert_eq(tls_new(&p.server, p.sc, true), RS_OK);
	p.client_err = p.server_err = RS_EAGAIN;
	return p;
}

static void free_pair(struct pair *p)
{
	tls_free(p->client);
	tls_free(p->server);
	tls_context_free(p->cc);
	tls_context_free(p->sc);
}

static void shake_hands(struct pair *p)
{
	bool moved = true;
	while (moved) {
		if (p->client_err == RS_EAGAIN)
			p->client_err = tls_handshake(p->client);
		moved = carry(p->client, p->server);
		if (p->server_err == RS_EAGAIN)
			p->server_err = tls_handshake(p->server);
		moved |= carry(p->server, p->client);
	}
}

static void assert_arrives(struct tls *from, struct tls *to, const char *text)
{
	struct buf in = {0};
	cr_assert_eq(tls_write(from, text, strlen(text)), RS_OK);
	carry(from, to);
	cr_assert_eq(tls_read(to, &in, 1000), RS_OK);
	cr_assert_eq(buf_len(&in), strlen(text));
	cr_assert_arr_eq(buf_head(&in), text, strlen(text));
	cr_assert_eq(tls_read(to, &in, 1000), RS_EAGAIN);
	buf_deinit(&in);
}

Test(tls, the_same_secret_opens_both_ways)
{
	struct pair p = make_pair("open sesame", "open sesame");
	shake_hands(&p);
	cr_assert_eq(p.client_err, RS_OK);
	cr_assert_eq(p.server_err, RS_OK);
	assert_arrives(p.client, p.server, "up");
	assert_arrives(p.server, p.client, "down");
	free_pair(&p);
}

Test(tls, one_context_plays_both_roles)
{
	struct pair p = make_pair("one", "one");
	tls_free(p.server);
	cr_assert_eq(tls_new(&p.server, p.cc, true), RS_OK);
	shake_hands(&p);
	cr_assert_eq(p.client_err, RS_OK);
	cr_assert_eq(p.server_err, RS_OK);
	free_pair(&p);
}

Test(tls, the_closing_notice_is_an_end)
{
	struct pair p = make_pair("one", "one");
	struct buf in = {0};
	shake_hands(&p);
	tls_finish(p.client);
	carry(p.client, p.server);
	cr_assert_eq(tls_read(p.server, &in, 1000), RS_EDOWN);
	buf_deinit(&in);
	free_pair(&p);
}

Test(tls, a_wrong_secret_is_refused_on_both_sides)
{
	struct pair p = make_pair("right", "wrong");
	shake_hands(&p);
	cr_assert_eq(p.server_err, RS_EAUTH);
	cr_assert_eq(p.client_err, RS_EAUTH);
	cr_assert(strstr(tls_fault(p.client), "cluster secret"), "%s", tls_fault(p.client));
	free_pair(&p);
}

Test(tls, plaintext_is_refused_and_named)
{
	struct pair p = make_pair("one", "one");
	static const char text[] = "AUTH 1\r\napp chat\r\n\r\n";
	cr_assert_eq(tls_feed(p.server, (const uint8_t *)text, sizeof text), RS_OK);
	cr_assert_eq(tls_handshake(p.server), RS_EAUTH);
	cr_assert(strstr(tls_fault(p.server), "does not speak TLS"), "%s", tls_fault(p.server));
	free_pair(&p);
}

Test(tls, a_changed_byte_is_refused)
{
	struct pair p = make_pair("one", "one");
	struct buf wire = {0}, in = {0};
	shake_hands(&p);
	cr_assert_eq(tls_write(p.client, "hello", 5), RS_OK);
	cr_assert_eq(tls_take(p.client, &wire), RS_OK);
	wire.data[wire.end - 1] ^= 1;
	cr_assert_eq(tls_feed(p.server, buf_head(&wire), buf_len(&wire)), RS_OK);
	cr_assert_eq(tls_read(p.server, &in, 1000), RS_EAUTH);
	cr_assert_eq(buf_len(&in), 0);
	buf_deinit(&wire);
	buf_deinit(&in);
	free_pair(&p);
}

Test(tls, no_secret_makes_no_context)
{
	struct tls_context *c = NULL;
	cr_assert_eq(tls_context_new(&c, "", 0), RS_EINVAL);
	cr_assert_null(c);
}

/* --- a server that has a certificate, but not the secret --- */

static X509 *self_signed(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME *n = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)"x", -1, -1, 0);
	X509_set_issuer_name(x, n);
	cr_assert_gt(X509_sign(x, key, EVP_sha256()), 0);
	return x;
}

Test(tls, a_server_with_a_certificate_instead_of_the_secret_is_refused)
{
	struct pair p = make_pair("one", "one");
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert = self_signed(key);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	cr_assert_eq(SSL_CTX_use_certificate(ctx, cert), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
	SSL *impostor = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL_set_bio(impostor, in, out);
	SSL_set_accept_state(impostor);

	int err = RS_EAGAIN;
	for (int i = 0; i < 4 && err == RS_EAGAIN; i++) {
		struct buf wire = {0};
		uint8_t answer[8192];
		err = tls_handshake(p.client);
		cr_assert_eq(tls_take(p.client, &wire), RS_OK);
		if (buf_len(&wire))
			BIO_write(in, buf_head(&wire), (int)buf_len(&wire));
		buf_deinit(&wire);
		SSL_do_handshake(impostor);
		int n = BIO_read(out, answer, sizeof answer);
		if (n > 0)
			cr_assert_eq(tls_feed(p.client, answer, (size_t)n), RS_OK);
	}
	cr_assert_eq(err, RS_EAUTH, "%s", err_str(err));
	SSL_free(impostor);
	SSL_CTX_free(ctx);
	X509_free(cert);
	EVP_PKEY_free(key);
	free_pair(&p);
}

/* --- what goes over the wire --- */

Test(tls, no_tickets_follow_the_handshake)
{
	struct pair p = make_pair("one", "one");
	struct buf wire = {0};
	while (p.client_err == RS_EAGAIN) {
		p.client_err = tls_handshake(p.client);
		carry(p.client, p.server);
		if (p.client_err == RS_EAGAIN) {
			p.server_err = tls_handshake(p.server);
			carry(p.server, p.client);
		}
	}
	p.server_err = tls_handshake(p.server);
	cr_assert_eq(p.client_err, RS_OK);
	cr_assert_eq(p.server_err, RS_OK);
	cr_assert_eq(tls_take(p.server, &wire), RS_OK);
	cr_assert_eq(buf_len(&wire), 0);
	buf_deinit(&wire);
	free_pair(&p);
}
