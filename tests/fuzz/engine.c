/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include "base/bytes.h"

#include <string.h>

enum { NOISE_AT = HELLO_HEADER + COOKIE_LEN };

struct keypair engine_key;

static void make_key(struct keypair *out)
{
	uint8_t priv[X25519_BYTES];
	fuzz_random(priv, sizeof priv);
	fuzz_check(x25519_from_private(priv, out) == RS_OK, "no key");
}

/* One for all handshakes: what it costs is not what is looked for here. */
static struct keypair ephemeral;

void engine_start(void)
{
	make_key(&engine_key);
	make_key(&ephemeral);
}

static void fill(uint8_t *out, size_t len, struct piece p)
{
	memset(out, 0, len);
	memcpy(out, p.data, p.len < len ? p.len : len);
}

size_t engine_write_hello(struct noise *n, enum packet_type type, uint32_t attempt, const uint8_t *cookie,
			  struct piece payload, uint8_t packet[PACKET_MAX])
{
	uint8_t plain[ASK_PAYLOAD], prologue[NOISE_PROLOGUE];
	size_t len = type == PACKET_ASK ? ASK_PAYLOAD : INIT_PAYLOAD;
	fill(plain, len, payload);
	packet_write_hello(packet, type, attempt);
	memset(packet + HELLO_HEADER, 0, COOKIE_LEN);
	if (cookie)
		memcpy(packet + HELLO_HEADER, cookie, COOKIE_LEN);
	packet_prologue(packet, prologue);
	fuzz_check(noise_write_init(n, &ephemeral, engine_key.pub, prologue, sizeof prologue, plain, len,
				    packet + NOISE_AT) == RS_OK, "no hello");
	return NOISE_AT + len + NOISE_OVERHEAD;
}

size_t engine_read_answer(struct noise *n, const uint8_t *packet, size_t len, uint8_t payload[PACKET_MAX])
{
	int err = noise_read_resp(n, packet + HELLO_HEADER, len - HELLO_HEADER, payload);
	fuzz_check(err == RS_OK, "the answer to a handshake does not verify");
	return len - HELLO_HEADER - NOISE_OVERHEAD;
}

size_t engine_answer_hello(struct noise *n, const uint8_t *hello, enum packet_type type,
			   struct piece payload, uint8_t packet[PACKET_MAX])
{
	uint8_t plain[PACKET_MAX], prologue[NOISE_PROLOGUE];
	size_t hello_len = hello[0] == PACKET_ASK ? ASK_BYTES : INIT_BYTES;
	size_t len = type == PACKET_RESP ? RESP_PAYLOAD : payload.len;
	packet_prologue(hello, prologue);
	int err = noise_read_init(n, &engine_key, prologue, sizeof prologue, hello + NOISE_AT,
				  hello_len - NOISE_AT, plain);
	fuzz_check(err == RS_OK, "a client's hello does not verify");
	fill(plain, len, payload);
	packet_write_hello(packet, type, (uint32_t)be_get(hello + 4, 4));
	err = noise_write_resp(n, &ephemeral, plain, len, packet + HELLO_HEADER);
	fuzz_check(err == RS_OK, "no answer");
	return HELLO_HEADER + len + NOISE_OVERHEAD;
}

static size_t length_of(uint8_t type)
{
	switch (type) {
	case PACKET_INIT: return INIT_BYTES;
	case PACKET_RESP: return RESP_BYTES;
	case PACKET_COOKIE: return COOKIE_BYTES;
	case PACKET_ASK: return ASK_BYTES;
	case PACKET_ANSWER: return ANSWER_BYTES_MIN + 50;
	case PACKET_DATA: return 0; /* any */
	default: return HEARTBEAT_BYTES;
	}
}

size_t engine_shape(struct piece p, uint32_t conn, uint32_t attempt, uint8_t packet[PACKET_MAX + 64])
{
	static const uint8_t types[] = {PACKET_HEARTBEAT, PACKET_HEARTBEAT_ACK, PACKET_HEARTBEAT_MORE,
					PACKET_HEARTBEAT_MOVED, PACKET_DATA, PACKET_RESET, PACKET_INIT,
					PACKET_RESP, PACKET_COOKIE, PACKET_ASK, PACKET_ANSWER};
	size_t len = p.len > 2 ? p.len - 2 : 0;
	if (p.len > 1 && p.data[1] % 2 == 0 && length_of(types[p.data[0] % sizeof types]))
		len = length_of(types[p.data[0] % sizeof types]);
	fill(packet, PACKET_MAX + 64, p.len > 2 ? (struct piece){p.data + 2, p.len - 2} : p);
	if (len > PACKET_MAX + 64)
		len = PACKET_MAX + 64;
	if (p.len > 0)
		packet[0] = types[p.data[0] % sizeof types];
	if (p.len > 1 && p.data[1] & 2)
		be_put(packet + 1, conn, 4);
	if (p.len > 1 && p.data[1] & 4)
		packet_write_hello(packet, (enum packet_type)packet[0], attempt);
	return len;
}

uint64_t engine_take_number(uint64_t *next, int8_t skip)
{
	int64_t by = skip >= -64 && skip < 64 ? skip : (int64_t)skip * 60000;
	if (by >= 0)
		*next += (uint64_t)by;
	uint64_t number = by < 0 && (uint64_t)-by <= *next ? *next - (uint64_t)-by : *next;
	if (number == *next)
		++*next;
	return number;
}

void engine_check_answer(const struct addr *to, const struct addr *from, const uint8_t *data, size_t len,
			 size_t *allowed)
{
	fuzz_check(packet_length_ok(data, len), "a malformed packet is sent");
	fuzz_check(addr_equal(to, from), "an answer goes to somebody else");
	fuzz_check(len <= *allowed, "%zu bytes are answered where %zu may be", len, *allowed);
	*allowed -= len;
}
