/* SPDX-License-Identifier: Apache-2.0 */
/* The balancer's side of the client protocol, without I/O: one ASK in, one ANSWER
 * out (or a COOKIE, under load), and nothing is kept for the client. */
#ifndef SESSION_BALANCER_H
#define SESSION_BALANCER_H

#include "crypto/x25519.h"
#include "session/gate.h"

struct balancer_config {
	struct keypair key;
	struct gate_config gate; /* with the source of random bytes */
};

struct balancer_handler {
	void (*send)(void *ctx, const struct addr *to, const uint8_t *data, size_t len);
	/* Fills the answer for a client at `from`. */
	void (*choose)(void *ctx, const struct addr *from, const struct ask_payload *ask,
		       struct answer_payload *out);
};

struct balancer_stats {
	uint64_t asks, answers, bad_packets, asks_bad; /* not verified */
};

struct balancer {
	struct balancer_config config;
	struct balancer_handler handler;
	void *ctx;
	struct gate gate;
	struct balancer_stats stats;
};

RS_MUST_CHECK int balancer_init(struct balancer *b, const struct balancer_config *config,
				const struct balancer_handler *handler, void *ctx, uint64_t now_ms);
void balancer_deinit(struct balancer *b); /* wipes the key */
void balancer_recv(struct balancer *b, uint64_t now_ms, const struct addr *from, const uint8_t *data,
		   size_t len);

#endif
