/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/packet.h"

#include "base/bytes.h"
#include "wire/cursor.h"

#include <string.h>

const char *close_code_text(unsigned code)
{
	switch (code) {
	case CLOSE_NORMAL: return "logged out";
	case CLOSE_BAD_SESSION: return "session id unknown or not of this user";
	case CLOSE_EXPIRED: return "session id expired";
	case CLOSE_UNAVAILABLE: return "the broker cannot check the session now";
	case CLOSE_OVERLOADED: return "the broker is full";
	case CLOSE_SUPERSEDED: return "the user logged in elsewhere";
	case CLOSE_SHUTDOWN: return "the broker stops";
	case CLOSE_TIMEOUT: return "nothing heard for too long";
	case CLOSE_PROTOCOL: return "protocol error";
	case CLOSE_LEASE_LOST: return "the broker lost the user's presence";
	default: return "unknown code";
	}
}

bool packet_length_ok(const uint8_t *data, size_t len)
{
	if (len < HEARTBEAT_BYTES || len > PACKET_MAX)
		return false;
	switch (data[0]) {
	case PACKET_HEARTBEAT:
	case PACKET_HEARTBEAT_ACK:
	case PACKET_HEARTBEAT_MORE:
	case PACKET_HEARTBEAT_MOVED: return len == HEARTBEAT_BYTES;
	case PACKET_DATA: return len > PACKET_HEADER + PACKET_TAG;
	case PACKET_RESET: return len == RESET_BYTES;
	case PACKET_INIT: return len == INIT_BYTES;
	case PACKET_RESP: return len == RESP_BYTES;
	case PACKET_COOKIE: return len == COOKIE_BYTES;
	case PACKET_ASK: return len == ASK_BYTES;
	case PACKET_ANSWER: return len >= ANSWER_BYTES_MIN && len <= ANSWER_BYTES_MAX;
	default: return false;
	}
}

void packet_write_header(uint8_t out[PACKET_HEADER], const struct packet_header *h)
{
	out[0] = (uint8_t)h->type;
	be_put(out + 1, h->conn, 4);
	be_put(out + 5, h->number, 3);
}

struct packet_header packet_read_header(const uint8_t data[PACKET_HEADER])
{
	return (struct packet_header){.type = (enum packet_type)data[0],
				      .conn = (uint32_t)be_get(data + 1, 4),
				      .number = (uint32_t)be_get(data + 5, 3)};
}

uint64_t packet_full_number(uint64_t next, uint32_t low)
{
	const uint64_t win = 1u << 24, half = win / 2;
	uint64_t guess = (next & ~(win - 1)) | low;
	if (guess + half <= next)
		return guess + win;
	if (guess > next + half && guess >= win)
		return guess - win;
	return guess;
}

void packet_write_hello(uint8_t out[HELLO_HEADER], enum packet_type type, uint32_t attempt)
{
	out[0] = (uint8_t)type;
	out[1] = PROTOCOL_VERSION;
	out[2] = out[3] = 0;
	be_put(out + 4, attempt, 4);
}

bool packet_read_hello(const uint8_t *data, uint32_t *attempt)
{
	*attempt = (uint32_t)be_get(data + 4, 4);
	return data[1] == PROTOCOL_VERSION && data[2] == 0 && data[3] == 0;
}

void packet_prologue(const uint8_t *init, uint8_t out[NOISE_PROLOGUE])
{
	memcpy(out, PROTOCOL_LABEL, 8);
	memcpy(out + 8, init, HELLO_HEADER + COOKIE_LEN);
}

void init_payload_write(const struct init_payload *p, uint8_t out[INIT_PAYLOAD])
{
	memset(out, 0, INIT_PAYLOAD);
	be_put(out, p->client_ms, 8);
	be_put(out + 8, p->window, 4);
	be_put(out + 12, p->heartbeat_s, 2);
}

void init_payload_read(const uint8_t data[INIT_PAYLOAD], struct init_payload *out)
{
	out->client_ms = be_get(data, 8);
	out->window = (uint32_t)be_get(data + 8, 4);
	out->heartbeat_s = (uint16_t)be_get(data + 12, 2);
}

void resp_payload_write(const struct resp_payload *p, uint8_t out[RESP_PAYLOAD])
{
	memset(out, 0, RESP_PAYLOAD);
	be_put(out, p->conn, 4);
	be_put(out + 4, p->heartbeat_s, 2);
	be_put(out + 8, p->boot, 8);
	be_put(out + 16, p->server_ms, 8);
	memcpy(out + 24, p->reset_token, RESET_TOKEN);
}

void resp_payload_read(const uint8_t data[RESP_PAYLOAD], struct resp_payload *out)
{
	out->conn = (uint32_t)be_get(data, 4);
	out->heartbeat_s = (uint16_t)be_get(data + 4, 2);
	out->boot = be_get(data + 8, 8);
	out->server_ms = be_get(data + 16, 8);
	memcpy(out->reset_token, data + 24, RESET_TOKEN);
}

int ask_payload_write(const struct ask_payload *p, uint8_t out[ASK_PAYLOAD])
{
	if (p->avoid_count > ASK_AVOID_MAX)
		return RS_ELIMIT;
	memset(out, 0, ASK_PAYLOAD);
	be_put(out, p->client_ms, 8);
	out[8] = p->avoid_count;
	memcpy(out + 9, p->avoid, p->avoid_count * sizeof *p->avoid);
	return RS_OK;
}

int ask_payload_read(const uint8_t data[ASK_PAYLOAD], struct ask_payload *out)
{
	struct reader r = reader_over(data, ASK_PAYLOAD);
	memset(out, 0, sizeof *out);
	out->client_ms = read_uint(&r, 8);
	out->avoid_count = (uint8_t)read_uint(&r, 1);
	if (out->avoid_count > ASK_AVOID_MAX)
		return RS_ELIMIT;
	read_copy(&r, out->avoid, out->avoid_count * sizeof *out->avoid);
	return r.failed ? RS_EINVAL : RS_OK;
}

size_t answer_payload_write(const struct answer_payload *p, uint8_t out[ANSWER_PAYLOAD_MAX])
{
	struct writer w = writer_over(out, ANSWER_PAYLOAD_MAX);
	write_uint(&w, p->status, 1);
	write_uint(&w, p->retry_ms, 4);
	write_uint(&w, p->count, 1);
	for (unsigned i = 0; i < p->count && i < ANSWER_BROKERS_MAX; i++) {
		write_bytes(&w, &p->broker[i].address, sizeof p->broker[i].address);
		write_bytes(&w, p->broker[i].key, 32);
	}
	return writer_len(&w);
}

int answer_payload_read(const uint8_t *data, size_t len, struct answer_payload *out)
{
	struct reader r = reader_over(data, len);
	memset(out, 0, sizeof *out);
	out->status = (uint8_t)read_uint(&r, 1);
	out->retry_ms = (uint32_t)read_uint(&r, 4);
	out->count = (uint8_t)read_uint(&r, 1);
	if (out->count > ANSWER_BROKERS_MAX)
		return RS_ELIMIT;
	for (unsigned i = 0; i < out->count; i++) {
		read_copy(&r, &out->broker[i].address, sizeof out->broker[i].address);
		read_copy(&r, out->broker[i].key, 32);
	}
	return reader_done(&r) ? RS_OK : RS_EINVAL;
}
