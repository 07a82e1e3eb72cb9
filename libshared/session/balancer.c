/* SPDX-License-Identifier: Apache-2.0 */
#include "session/balancer.h"

#include "base/bytes.h"
#include "crypto/noise.h"

#include <string.h>

enum { COOKIE_AT = HELLO_HEADER, NOISE_AT = HELLO_HEADER + COOKIE_LEN };

void balancer_init(struct balancer *b, const struct balancer_config *config,
		   const struct balancer_handler *handler, void *ctx, uint64_t now_ms)
{
	*b = (struct balancer){.config = *config, .handler = *handler, .ctx = ctx, .second_ms = now_ms};
	if (b->config.cookie_above == 0)
		b->config.cookie_above = BALANCER_ANSWERS_PER_S;
	cookie_jar_init(&b->jar, config->random, now_ms);
}

void balancer_deinit(struct balancer *b) { explicit_bzero(b, sizeof *b); }

static bool pass_cookie(struct balancer *b, uint64_t now_ms, const struct addr *from,
			uint32_t attempt, const uint8_t *ask)
{
	static const uint8_t none[COOKIE_LEN];
	if (now_ms - b->second_ms >= 1000) {
		b->second_ms = now_ms;
		b->in_second = 0;
	}
	if (b->in_second < b->config.cookie_above)
		return true;
	if (bytes_equal_ct(ask + COOKIE_AT, none, COOKIE_LEN)) {
		uint8_t packet[COOKIE_BYTES];
		cookie_packet(&b->jar, now_ms, from, attempt, packet);
		b->stats.cookies_sent++;
		b->handler.send(b->ctx, from, packet, sizeof packet);
		return false;
	}
	if (cookie_check(&b->jar, now_ms, from, attempt, ask + COOKIE_AT))
		return true;
	b->stats.cookies_bad++;
	return false;
}

static int send_answer(struct balancer *b, struct noise *noise, const struct addr *to,
		       uint32_t attempt, const struct answer_payload *answer)
{
	uint8_t payload[ANSWER_PAYLOAD_MAX], packet[PACKET_MAX];
	struct keypair e;
	size_t len = answer_payload_write(answer, payload);
	packet_write_hello(packet, PACKET_ANSWER, attempt);
	int err = x25519_generate(&e);
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
		return;
	}
	if (!pass_cookie(b, now_ms, from, attempt, data))
		return;
	b->in_second++;
	packet_prologue(data, prologue);
	if (noise_read_init(&noise, &b->config.key, prologue, sizeof prologue, data + NOISE_AT,
			    ASK_BYTES - NOISE_AT, payload) ||
	    ask_payload_read(payload, &ask)) {
		b->stats.bad_packets++;
		return;
	}
	b->stats.asks++;
	b->handler.choose(b->ctx, from, &ask, &answer);
	if (send_answer(b, &noise, from, attempt, &answer))
		b->stats.bad_packets++;
	noise_wipe(&noise);
}
