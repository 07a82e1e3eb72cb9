/* SPDX-License-Identifier: Apache-2.0 */
#include "session/balancer.h"

#include "crypto/noise.h"

#include <string.h>

enum { NOISE_AT = HELLO_HEADER + COOKIE_LEN };

int balancer_init(struct balancer *b, const struct balancer_config *config,
		  const struct balancer_handler *handler, void *ctx, uint64_t now_ms)
{
	*b = (struct balancer){.config = *config, .handler = *handler, .ctx = ctx};
	return gate_init(&b->gate, &config->gate, now_ms);
}

void balancer_deinit(struct balancer *b)
{
	gate_deinit(&b->gate);
	explicit_bzero(b, sizeof *b);
}

static int send_answer(struct balancer *b, struct noise *noise, const struct addr *to,
		       uint32_t attempt, const struct answer_payload *answer)
{
	uint8_t payload[ANSWER_PAYLOAD_MAX], packet[PACKET_MAX];
	struct keypair e;
	size_t len = answer_payload_write(answer, payload);
	packet_write_hello(packet, PACKET_ANSWER, attempt);
	int err = x25519_generate(b->config.gate.random, &e);
	if (!err)
		err = noise_write_resp(noise, &e, payload, len, packet + HELLO_HEADER);
	explicit_bzero(&e, sizeof e);
	if (err)
		return err;
	b->stats.answers++;
	b->handler.send(b->ctx, to, packet, HELLO_HEADER + len + NOISE_OVERHEAD);
	return RS_OK;
}

void balancer_recv(struct balancer *b, uint64_t now_ms, const struct addr *from, const uint8_t *data,
		   size_t len)
{
	uint32_t attempt;
	uint8_t prologue[NOISE_PROLOGUE], payload[ASK_PAYLOAD];
	struct noise noise;
	struct ask_payload ask;
	struct answer_payload answer = {0};
	if (!packet_length_ok(data, len) || data[0] != PACKET_ASK || !packet_read_hello(data, &attempt)) {
		b->stats.bad_packets++;
		gate_bad(&b->gate, now_ms, from);
		return;
	}
	if (!gate_lets_in(&b->gate, now_ms, from, data, false, b->handler.send, b->ctx))
		return;
	packet_prologue(data, prologue);
	if (noise_read_init(&noise, &b->config.key, prologue, sizeof prologue, data + NOISE_AT,
			    ASK_BYTES - NOISE_AT, payload) ||
	    ask_payload_read(payload, &ask)) {
		b->stats.asks_bad++;
		gate_bad_hello(&b->gate, now_ms, from);
		return;
	}
	b->stats.asks++;
	b->handler.choose(b->ctx, from, &ask, &answer);
	if (send_answer(b, &noise, from, attempt, &answer))
		b->stats.bad_packets++;
	noise_wipe(&noise);
}
