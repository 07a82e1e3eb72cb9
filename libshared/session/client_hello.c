/* SPDX-License-Identifier: Apache-2.0 */
/* The two handshakes of a client: ASK with a balancer, INIT with a broker. They
 * differ in their lengths and in what is sealed. */
#include "session/client_state.h"

#include "base/bytes.h"

#include <string.h>

enum { COOKIE_AT = HELLO_HEADER, NOISE_AT = HELLO_HEADER + COOKIE_LEN };

static bool asks(const struct client *c) { return c->state == CLIENT_ASKING; }
static size_t hello_len(const struct client *c) { return asks(c) ? ASK_BYTES : INIT_BYTES; }

static const uint8_t *peer_key(const struct client *c)
{
	return asks(c) ? c->config.balancer[c->balancer].key[c->balancer_key] : c->choice.at[c->at].key;
}

static int write_payload(const struct client *c, uint64_t wall_ms, uint8_t *out)
{
	if (!asks(c)) {
		struct init_payload p = {wall_ms, c->config.window, c->config.heartbeat_s};
		init_payload_write(&p, out);
		return RS_OK;
	}
	struct ask_payload p = {.client_ms = wall_ms, .avoid_count = c->avoid_count};
	memcpy(p.avoid, c->avoid, sizeof p.avoid);
	return ask_payload_write(&p, out);
}

/* A new attempt, or with a cookie the same attempt again; always with a new
 * ephemeral key, since the sealed bytes or what they are bound to differ. */
void client_send_hello(struct client *c, uint64_t wall_ms, const uint8_t *cookie)
{
	uint8_t prologue[NOISE_PROLOGUE], payload[ASK_PAYLOAD];
	struct keypair e;
	if (!cookie) {
		c->config.random(&c->attempt, sizeof c->attempt);
		c->cookie_used = false;
	}
	packet_write_hello(c->hello, asks(c) ? PACKET_ASK : PACKET_INIT, c->attempt);
	if (cookie)
		memcpy(c->hello + COOKIE_AT, cookie, COOKIE_LEN);
	else
		memset(c->hello + COOKIE_AT, 0, COOKIE_LEN);
	packet_prologue(c->hello, prologue);
	bool ahead = c->config.ephemeral && c->config.ephemeral(c->ctx, &e);
	int err = ahead ? RS_OK : x25519_generate(c->config.random, &e);
	if (!err)
		err = write_payload(c, wall_ms, payload);
	if (!err)
		err = noise_write_init(&c->noise, &e, peer_key(c), prologue, sizeof prologue, payload,
				       asks(c) ? ASK_PAYLOAD : INIT_PAYLOAD, c->hello + NOISE_AT);
	explicit_bzero(&e, sizeof e);
	if (!err)
		c->handler.send(c->ctx, &c->peer, c->hello, hello_len(c));
}

/* Only the first cookie of an attempt is used: a forger cannot keep us busy. */
static void on_cookie(struct client *c, uint64_t wall_ms, const uint8_t *data)
{
	if (c->cookie_used)
		return;
	c->cookie_used = true;
	client_send_hello(c, wall_ms, data + HELLO_HEADER);
}

static void on_resp(struct client *c, uint64_t now_ms, const uint8_t *data)
{
	uint8_t payload[RESP_PAYLOAD];
	struct resp_payload p;
	if (noise_read_resp(&c->noise, data + HELLO_HEADER, RESP_BYTES - HELLO_HEADER, payload)) {
		c->stats.bad_packets++;
		return;
	}
	resp_payload_read(payload, &p);
	keys_from_noise(&c->keys, &c->noise, true);
	c->conn = p.conn;
	c->heartbeat_s = p.heartbeat_s ? p.heartbeat_s : 1;
	memcpy(c->reset_token, p.reset_token, RESET_TOKEN);
	c->next_number = 0;
	c->received = (struct replay){0};
	inbox_deinit(&c->inbox);
	inbox_init(&c->inbox, c->config.window);
	c->ack_count = c->piece_count = 0;
	c->offer_ms = 0;
	c->born_ms = now_ms;
	c->beat_waits = c->beat_urgent = c->beat_soon = c->beat_idle = false;
	c->heard_ms = now_ms;
	client_set_state(c, CLIENT_LOGIN, 0, now_ms);
}

static void on_answer(struct client *c, uint64_t now_ms, uint64_t wall_ms, const uint8_t *data, size_t len)
{
	uint8_t payload[ANSWER_PAYLOAD_MAX];
	struct answer_payload p;
	if (noise_read_resp(&c->noise, data + HELLO_HEADER, len - HELLO_HEADER, payload) ||
	    answer_payload_read(payload, len - HELLO_HEADER - NOISE_OVERHEAD, &p)) {
		c->stats.bad_packets++;
		return;
	}
	if (p.status != 0 || p.count == 0) {
		uint32_t retry_ms = p.retry_ms ? p.retry_ms : CLIENT_BACKOFF_MIN_MS;
		client_begin_again(c, now_ms, CLOSE_OVERLOADED, retry_ms, retry_ms);
		return;
	}
	c->choice.count = p.count;
	memcpy(c->choice.at, p.broker, sizeof c->choice.at);
	c->at = 0;
	client_start_hello(c, now_ms, wall_ms);
}

void client_on_hello(struct client *c, uint64_t now_ms, uint64_t wall_ms, const uint8_t *data,
		     size_t len)
{
	uint32_t attempt;
	bool right = c->state == CLIENT_ASKING || c->state == CLIENT_HELLO;
	if (!right || !packet_read_hello(data, &attempt) || attempt != c->attempt) {
		c->stats.bad_packets++;
		return;
	}
	if (data[0] == PACKET_COOKIE)
		on_cookie(c, wall_ms, data);
	else if (data[0] == PACKET_RESP && c->state == CLIENT_HELLO)
		on_resp(c, now_ms, data);
	else if (data[0] == PACKET_ANSWER && c->state == CLIENT_ASKING)
		on_answer(c, now_ms, wall_ms, data, len);
	else
		c->stats.bad_packets++;
}
