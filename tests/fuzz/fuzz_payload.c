/* SPDX-License-Identifier: Apache-2.0 */
/* What stands inside of handshakes, messages and queues: the first byte says which
 * decoder gets the rest. What can be read is written again and must give the same
 * bytes, where the format has no room for differences. */
#include "fuzz.h"

#include "base/bytes.h"
#include "base/name.h"
#include "base/utf8.h"
#include "wire/object.h"
#include "wire/packet.h"
#include "wire/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_start(void) {}

static void check_names(const struct record *r)
{
	fuzz_check(!name_fault(r->app, r->app_len), "the App's name is none");
	fuzz_check(r->topic_len == 0 || !name_fault(r->topic, r->topic_len), "the topic is no name");
	fuzz_check(r->app_id_len == 0 || !name_fault(r->app_id, r->app_id_len), "the App's id is no name");
	fuzz_check(r->body_len <= RECORD_BODY_MAX, "a body of %zu bytes", r->body_len);
}

static void try_record(const uint8_t *data, size_t len)
{
	static uint8_t out[RECORD_MAX];
	struct record r;
	if (record_parse(data, len, &r))
		return;
	check_names(&r);
	int again = record_format(&r, out, sizeof out);
	fuzz_check(again == (int)len && memcmp(out, data, len) == 0, "a record reads as another (%d)", again);
	fuzz_check(record_format(&r, out, len - 1) == RS_ELIMIT, "a record in too little room");
}

static void try_object(const uint8_t *data, size_t len)
{
	static uint8_t out[OBJECT_MAX], text[RECORD_MAX];
	struct record r, same;
	uint8_t flags;
	if (object_decode(data, len, &r, &flags))
		return;
	check_names(&r);
	int again = object_encode(&r, flags, out, sizeof out);
	fuzz_check(again == (int)len && memcmp(out, data, len) == 0, "an object reads as another (%d)", again);
	fuzz_check(object_encode(&r, flags, out, len - 1) == RS_ELIMIT, "an object in too little room");
	int formatted = record_format(&r, text, sizeof text); /* times and ids may not fit a record */
	fuzz_check(formatted < 0 || record_parse(text, (size_t)formatted, &same) == RS_OK,
		   "a record that was written cannot be read");
}

static void try_hello(const uint8_t *data, size_t len)
{
	struct init_payload init;
	struct resp_payload resp;
	uint8_t out[INIT_PAYLOAD];
	uint32_t attempt;
	if (len < INIT_PAYLOAD)
		return;
	init_payload_read(data, &init);
	init_payload_write(&init, out);
	fuzz_check(memcmp(out, data, 14) == 0, "an INIT payload reads as another");
	resp_payload_read(data, &resp);
	resp_payload_write(&resp, out);
	fuzz_check(memcmp(out, data, 6) == 0 && memcmp(out + 8, data + 8, 24) == 0,
		   "a RESP payload reads as another");
	if (packet_read_hello(data, &attempt)) {
		packet_write_hello(out, (enum packet_type)data[0], attempt);
		fuzz_check(memcmp(out, data, HELLO_HEADER) == 0, "a hello reads as another");
	}
}

static void try_ask(const uint8_t *data, size_t len)
{
	struct ask_payload p;
	uint8_t out[ASK_PAYLOAD];
	if (len < ASK_PAYLOAD || ask_payload_read(data, &p))
		return;
	fuzz_check(p.avoid_count <= ASK_AVOID_MAX, "avoids %u", p.avoid_count);
	fuzz_check(ask_payload_write(&p, out) == RS_OK && memcmp(out, data, 9 + 18u * p.avoid_count) == 0,
		   "an ASK payload reads as another");
}

static void try_answer(const uint8_t *data, size_t len)
{
	struct answer_payload p;
	uint8_t out[ANSWER_PAYLOAD_MAX];
	if (answer_payload_read(data, len, &p))
		return;
	fuzz_check(p.count <= ANSWER_BROKERS_MAX, "%u brokers", p.count);
	fuzz_check(answer_payload_write(&p, out) == len && memcmp(out, data, len) == 0,
		   "an ANSWER payload reads as another");
}

static void try_packet(const uint8_t *data, size_t len)
{
	uint8_t out[PACKET_HEADER];
	if (!packet_length_ok(data, len))
		return;
	fuzz_check(len >= HEARTBEAT_BYTES && len <= PACKET_MAX, "a packet of %zu bytes", len);
	struct packet_header h = packet_read_header(data);
	packet_write_header(out, &h);
	fuzz_check(memcmp(out, data, sizeof out) == 0, "a header reads as another");
	uint64_t next = be_get(data + 8, 8) & UINT32_MAX, full = packet_full_number(next, h.number);
	fuzz_check((full & 0xffffff) == h.number, "a number loses its low bits");
	fuzz_check(full < next + (1u << 24) && full + (1u << 24) > next, "a number that is not the nearest");
}

static void try_text(const uint8_t *data, size_t len)
{
	struct ulid id;
	char text[ULID_TEXT + 1];
	uint8_t raw[32];
	char hex[65];
	for (unsigned code = 0; len > 0 && code < 12; code++)
		fuzz_check(close_code_text(code)[0], "a code without words");
	const char *fault = name_fault(data, len);
	for (size_t i = 0; !fault && i < len; i++)
		fuzz_check(data[i] > ' ' && data[i] != '{' && data[i] != '}' && data[i] != 0x7f, "a bad name passes");
	if (len >= ULID_TEXT && ulid_parse((const char *)data, &id) == RS_OK)
		fuzz_check(memcmp(ulid_format(&id, text), data, ULID_TEXT) == 0, "an id reads as another");
	char *string = fuzz_copy(data, len + 1 > len ? len : 0);
	string = realloc(string, len + 1);
	fuzz_check(string != NULL, "out of memory");
	string[len] = '\0';
	if (hex_decode(string, raw, sizeof raw) == RS_OK)
		fuzz_check(strcasecmp(hex_encode(raw, sizeof raw, hex), string) == 0, "a key reads as another");
	free(string);
}

static void try_notice(const uint8_t *data, size_t len)
{
	char again[32];
	uint64_t count;
	if (notice_missed(data, len, &count))
		return;
	int n = snprintf(again, sizeof again, "missed %llu", (unsigned long long)count);
	fuzz_check(count > 0 && (size_t)n == len && memcmp(again, data, len) == 0, "a notice reads as another");
}

void fuzz_one(struct fuzz *in)
{
	static void (*const tries[])(const uint8_t *, size_t) = {try_record, try_object, try_hello, try_ask,
								 try_answer, try_packet, try_text, try_notice};
	unsigned which = fuzz_byte(in) % (sizeof tries / sizeof *tries);
	struct piece p = fuzz_rest(in);
	uint8_t *data = fuzz_copy(p.data, p.len);
	tries[which](data, p.len);
	free(data);
}
