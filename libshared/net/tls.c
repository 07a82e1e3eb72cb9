/* SPDX-License-Identifier: Apache-2.0 */
/* TLS between two memory BIOs: stream.c moves the bytes to and from the socket.
 * A client that accepted a certificate instead of the key would talk to anyone,
 * so it verifies (against no root at all) and both sides insist at the end that
 * the pre-shared key was used. */
#include "net/tls.h"

#include "crypto/hash.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char identity[] = "restante-1";
static const char psk_label[] = "restante link psk 1";
static const unsigned char aes_128_gcm_sha256[2] = {0x13, 0x01};

struct tls_context {
	SSL_CTX *ctx;
	uint8_t psk[SHA256_BYTES];
};

struct tls {
	SSL *ssl;      /* owns both BIOs */
	BIO *from_net; /* what came from the socket */
	BIO *to_net;   /* what is to be sent */
};

static char fault[200];

/* --- the key --- */

/* The "session" in which OpenSSL wants an external key; NULL on failure. */
static SSL_SESSION *psk_session(SSL *ssl)
{
	struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
	SSL_SESSION *session = SSL_SESSION_new();
	if (session && cipher && SSL_SESSION_set1_master_key(session, c->psk, sizeof c->psk) &&
	    SSL_SESSION_set_cipher(session, cipher) &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len,
		   SSL_SESSION **session)
{
	(void)md; /* there is one cipher, so one hash */
	*session = psk_session(ssl);
	*id = (const unsigned char *)identity;
	*id_len = sizeof identity - 1;
	return *session != NULL;
}

static int find_psk(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session)
{
	*session = NULL;
	if (id_len != sizeof identity - 1 || memcmp(id, identity, id_len) != 0)
		return 1; /* unknown: the handshake goes on without a key, and fails */
	*session = psk_session(ssl);
	return *session != NULL;
}

/* --- the context --- */

static int configure(SSL_CTX *ctx)
{
	if (!SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ||
	    !SSL_CTX_set1_groups_list(ctx, "X25519:P-256") || !SSL_CTX_set_num_tickets(ctx, 0))
		return RS_ESYS;
	/* A peer that was killed sends no closing notice: that is an end like another,
	 * for every message carries its length. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_psk_use_session_callback(ctx, use_psk);
	SSL_CTX_set_psk_find_session_callback(ctx, find_psk);
	return RS_OK;
}

int tls_context_new(struct tls_context **out, const void *secret, size_t len)
{
	if (len == 0)
		return RS_EINVAL;
	struct tls_context *c = calloc(1, sizeof *c);
	if (!c)
		return RS_ENOMEM;
	hmac_sha256(secret, len, psk_label, sizeof psk_label - 1, c->psk);
	c->ctx = SSL_CTX_new(TLS_method());
	if (!c->ctx || configure(c->ctx)) {
		ERR_clear_error();
		tls_context_free(c);
		return RS_ESYS;
	}
	SSL_CTX_set_app_data(c->ctx, c);
	*out = c;
	return RS_OK;
}

void tls_context_free(struct tls_context *c)
{
	if (!c)
		return;
	SSL_CTX_free(c->ctx);
	explicit_bzero(c, sizeof *c);
	free(c);
}

/* --- a connection --- */

static int set_up(struct tls *t, struct tls_context *c, bool server)
{
	BIO *from_net = BIO_new(BIO_s_mem()), *to_net = BIO_new(BIO_s_mem());
	t->ssl = SSL_new(c->ctx);
	if (!from_net || !to_net || !t->ssl) {
		BIO_free(from_net);
		BIO_free(to_net);
		return RS_ENOMEM;
	}
	SSL_set_bio(t->ssl, from_net, to_net);
	t->from_net = from_net;
	t->to_net = to_net;
	if (server) {
		SSL_set_accept_state(t->ssl);
	} else {
		SSL_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
		SSL_set_connect_state(t->ssl);
	}
	return RS_OK;
}

int tls_new(struct tls **out, struct tls_context *c, bool server)
{
	struct tls *t = calloc(1, sizeof *t);
	if (!t)
		return RS_ENOMEM;
	int err = set_up(t, c, server);
	if (err) {
		tls_free(t);
		return err;
	}
	*out = t;
	return RS_OK;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t);
}

/* What lies behind the failures that an operator meets. */
static const char *hint(int reason)
{
	switch (reason) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_UNEXPECTED_MESSAGE:
		return "the other side does not speak TLS";
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
		return "the other side does not speak TLS 1.3";
	default:
		return "is the cluster secret the same on both sides?";
	}
}

/* The code for a failed call, and the text behind tls_fault(). */
static int failed(struct tls *t, int ret)
{
	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return RS_EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return RS_EDOWN;
	default:
		break;
	}
	unsigned long e = ERR_peek_error();
	const char *reason = ERR_reason_error_string(e);
	snprintf(fault, sizeof fault, "TLS: %s (%s)", reason ? reason : "failed",
		 hint(ERR_GET_REASON(e)));
	ERR_clear_error();
	return RS_EAUTH;
}

const char *tls_fault(const struct tls *t)
{
	(void)t;
	return fault;
}

int tls_feed(struct tls *t, const uint8_t *raw, size_t len)
{
	size_t done;
	return len == 0 || BIO_write_ex(t->from_net, raw, len, &done) ? RS_OK : RS_ENOMEM;
}

int tls_handshake(struct tls *t)
{
	ERR_clear_error();
	int ret = SSL_do_handshake(t->ssl);
	if (ret != 1) {
		int err = failed(t, ret);
		return err == RS_EDOWN ? RS_EAUTH : err;
	}
	if (!SSL_session_reused(t->ssl)) {
		snprintf(fault, sizeof fault, "TLS: the other side did not use the cluster secret");
		return RS_EAUTH;
	}
	return RS_OK;
}

int tls_read(struct tls *t, struct buf *in, size_t max)
{
	enum { RECORD = 16384 };
	size_t room = max < RECORD ? max : RECORD, got = 0;
	/* Room is made for what is there: an idle connection holds no 16 KiB. */
	ERR_clear_error();
	uint8_t first;
	int ret = SSL_peek_ex(t->ssl, &first, 1, &got);
	if (ret != 1)
		return failed(t, ret);
	size_t pending = (size_t)SSL_pending(t->ssl);
	if (room > pending)
		room = pending;
	int err = buf_reserve(in, room);
	if (err)
		return err;
	ret = SSL_read_ex(t->ssl, buf_tail(in), room, &got);
	if (ret != 1)
		return failed(t, ret);
	buf_commit(in, got);
	return RS_OK;
}

int tls_write(struct tls *t, const void *data, size_t len)
{
	size_t done;
	ERR_clear_error();
	if (len == 0)
		return RS_OK;
	int ret = SSL_write_ex(t->ssl, data, len, &done);
	return ret == 1 ? RS_OK : failed(t, ret);
}

void tls_finish(struct tls *t)
{
	ERR_clear_error();
	if (SSL_is_init_finished(t->ssl))
		(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

int tls_take(struct tls *t, struct buf *wire)
{
	size_t len = BIO_ctrl_pending(t->to_net), got = 0;
	if (len == 0)
		return RS_OK;
	int err = buf_reserve(wire, len);
	if (err)
		return err;
	if (!BIO_read_ex(t->to_net, buf_tail(wire), len, &got))
		return RS_ENOMEM;
	buf_commit(wire, got);
	return RS_OK;
}
