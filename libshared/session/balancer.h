/* SPDX-License-Identifier: Apache-2.0 */
/* The balancer's side of the client protocol, without I/O: one ASK in, one ANSWER
 * out (or a COOKIE, under load), and nothing is kept for the client. */
#ifndef SESSION_BALANCER_H
#define SESSION_BALANCER_H

#include "crypto/x25519.h"
#include "session/cookie.h"

#define BALANCER_ANSWERS_PER_S 1000 /* above this rate the cookie is required */

struct balancer_config {
	struct keypair key;
	random_fn *random;
	uint32_t cookie_above; /* answers in a second; 0: BALANCER_ANSWERS_PER_S */
};

struct balancer_handler {
	void (*send)(void *ctx, const struct addr *to, const uint8_t *data, size_t len);
	/* Fills the answer for a client at `from`. */
	void (*choose)(void *ctx, const struct addr *from, const struct ask_payload *ask,
		       struct answer_payload *out);
};

struct balancer_stats {
	uint64_t asks, answers, cookies_sent, cookies_bad, bad_packets;
};

struct balancer {
	struct balancer_config config;
	struct balancer_handler handler;
	void *ctx;
	struct cookie_jar jar;
	uint64_t second_ms; /* start of the second that `in_second` counts */
	uint32_t in_second;
	struct balancer_stats stats;
};

void balancer_init(struct balancer *b, const struct balancer_config *config,
		   const struct balancer_handler *handler, void *ctx, uint64_t now_ms);
void balancer_deinit(struct balancer *b); /* wipes the key */
void balancer_recv(struct balancer *b, uint64_t now_ms, const struct addr *from, const uint8_t *data,
		   size_t len);

#endif
