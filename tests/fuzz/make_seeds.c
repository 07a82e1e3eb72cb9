/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the inputs with which the fuzz targets begin: true ones, of every kind, from
 * the project's own encoders. `make_seeds DIR` makes DIR/<target>/seed-<what>. To be run
 * again when a format changes; what fuzzing found lies beside them under other names. */
#include "seeds.h"

#include "resp.h"

#include "base/addr.h"
#include "base/bytes.h"
#include "wire/link.h"
#include "wire/object.h"
#include "wire/packet.h"
#include "wire/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *top;
static uint8_t seed[65536];
static struct writer out;

void seed_check(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(1);
}

void seed_begin(void) { out = writer_over(seed, sizeof seed); }
void seed_byte(unsigned v) { write_uint(&out, v, 1); }
void seed_raw(const void *data, size_t len) { write_bytes(&out, data, len); }
void seed_text(const char *s) { seed_raw(s, strlen(s)); }

void seed_text8(const char *s)
{
	seed_byte((unsigned)strlen(s));
	seed_text(s);
}

void seed_piece(const void *data, size_t len)
{
	write_uint(&out, len, 2);
	seed_raw(data, len);
}

void seed_bulk(const char *s)
{
	char head[24];
	snprintf(head, sizeof head, "$%zu\r\n", strlen(s));
	seed_text(head);
	seed_text(s);
	seed_text("\r\n");
}

void seed_words(const char *words)
{
	char text[4096];
	seed_raw(text, resp_of(words, text, sizeof text));
}

void seed_end(const char *target, const char *what)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", top, target);
	mkdir(path, 0777);
	snprintf(path, sizeof path, "%s/%s/seed-%s", top, target, what);
	FILE *f = fopen(path, "we");
	seed_check(f && !out.failed && fwrite(seed, 1, writer_len(&out), f) == writer_len(&out) && fclose(f) == 0, path);
}

/* ---- frames ---- */

struct frame_brokers seed_brokers(void)
{
	struct frame_brokers b = {.count = 2};
	for (unsigned i = 0; i < 2; i++) {
		seed_check(addr_parse(i ? "[2001:db8::1]:7200" : "10.0.0.2:4000", &b.at[i].address) == 0, "address");
		memset(b.at[i].key, (int)i + 1, 32);
	}
	return b;
}

struct frame seed_frame(unsigned i)
{
	static const uint8_t refs[8] = {0, 0, 0, 1, 0, 0, 0, 2}, part[FRAME_PIECE];
	static const enum frame_type types[SEED_FRAMES] = {
		FRAME_LOGIN, FRAME_LOGIN_OK, FRAME_LOGIN_FAIL, FRAME_MESSAGE, FRAME_FRAGMENT_ACK, FRAME_MESSAGE_ACK,
		FRAME_CHALLENGE, FRAME_RESPONSE, FRAME_REDIRECT, FRAME_CLOSE, FRAME_MOVE,
		FRAME_REQUEST, FRAME_REPLY};
	struct frame f = {.type = types[i]};
	switch (f.type) {
	case FRAME_LOGIN: f.login = (struct frame_login){.user = "alice", .session = "session", .user_len = 5, .session_len = 7}; break;
	case FRAME_LOGIN_OK: f.login_ok = (struct frame_login_ok){77, 30, seed_brokers()}; break;
	case FRAME_LOGIN_FAIL: f.login_fail = (struct frame_login_fail){CLOSE_OVERLOADED, 1000}; break;
	case FRAME_MESSAGE: f.message = (struct frame_message){1, 500, 0, part, FRAME_PIECE}; break;
	case FRAME_FRAGMENT_ACK: f.fragment_ack = (struct frame_fragment_ack){3, 1, 1}; break;
	case FRAME_MESSAGE_ACK: f.message_ack = (struct frame_message_ack){4, 2, refs}; break;
	case FRAME_REDIRECT: f.redirect = (struct frame_redirect){2000, seed_brokers()}; break;
	case FRAME_CLOSE: f.close_code = CLOSE_SUPERSEDED; break;
	case FRAME_REQUEST: f.request = (struct frame_request){1, REQUEST_SUBSCRIBE, 6, "news/+"}; break;
	case FRAME_REPLY: f.reply = (struct frame_reply){1, REPLY_DONE}; break;
	default: break;
	}
	return f;
}

size_t seed_frame_bytes(unsigned i, uint8_t bytes[PACKET_FRAMES_MAX])
{
	struct writer w = writer_over(bytes, PACKET_FRAMES_MAX);
	struct frame f = seed_frame(i);
	frame_write(&w, &f);
	seed_check(!w.failed, "frame");
	return writer_len(&w);
}

static void frames(void)
{
	uint8_t bytes[PACKET_FRAMES_MAX];
	char what[32];
	for (unsigned i = 0; i < SEED_FRAMES; i++) {
		snprintf(what, sizeof what, "%02x", seed_frame(i).type);
		seed_begin();
		seed_raw(bytes, seed_frame_bytes(i, bytes));
		seed_end("frame", what);
	}
	seed_begin();
	for (unsigned i = 4; i < 8; i++)
		seed_raw(bytes, seed_frame_bytes(i, bytes));
	seed_text("\x7f"); /* unknown */
	write_uint(&out, 2, 2);
	seed_text("??");
	seed_end("frame", "several");
}

/* ---- payloads ---- */

static struct record record(void)
{
	return (struct record){.id = {{1, 2, 3}}, .sent_ms = 1800000000000, .expires_ms = 1800000100000, .app = "chat",
			       .app_len = 4, .app_id = "order-17", .app_id_len = 8,
			       .body = (const uint8_t *)"hello", .body_len = 5};
}

static size_t record_bytes(uint8_t *bytes, size_t cap)
{
	struct record r = record();
	int len = record_format(&r, bytes, cap);
	seed_check(len > 0, "record");
	return (size_t)len;
}

static void payload(unsigned which, const void *data, size_t len, const char *what)
{
	seed_begin();
	seed_byte(which);
	seed_raw(data, len);
	seed_end("payload", what);
}

static void payloads(void)
{
	uint8_t bytes[1024], ask[ASK_PAYLOAD], init[INIT_PAYLOAD], answer[ANSWER_PAYLOAD_MAX];
	struct record r = record();
	struct init_payload ip = {1, 65536, 30};
	struct ask_payload ap = {.client_ms = 1, .avoid_count = 2};
	struct answer_payload an = {.count = 2};
	struct frame_brokers b = seed_brokers();
	memcpy(an.broker, b.at, sizeof an.broker);
	payload(0, bytes, record_bytes(bytes, sizeof bytes), "record");
	payload(1, bytes, (size_t)object_encode(&r, OBJECT_STORED, bytes, sizeof bytes), "object");
	r.topic = "news/today";
	r.topic_len = 10;
	payload(1, bytes, (size_t)object_encode(&r, OBJECT_STORED, bytes, sizeof bytes), "object-topic");
	r.topic_len = 0;
	payload(7, "missed 42", 9, "notice");
	r.app_id_len = 0;
	payload(0, bytes, (size_t)record_format(&r, bytes, sizeof bytes), "record-no-id");
	init_payload_write(&ip, init);
	payload(2, init, sizeof init, "init");
	packet_write_hello(init, PACKET_RESP, 7);
	payload(2, init, sizeof init, "hello");
	seed_check(ask_payload_write(&ap, ask) == 0, "ask");
	payload(3, ask, sizeof ask, "ask");
	payload(4, answer, answer_payload_write(&an, answer), "answer");
	payload(5, "\x01\0\0\0\x07\0\0\x05" "01234567", 16, "packet");
	payload(6, "alice", 5, "name");
	payload(6, "na\xc3\xafve\xe2\x82\xac\xf0\x9f\x98\x80", 13, "name-utf8");
	payload(6, "01JDCF3K7Q9R8W2ZT5XV6YB4NM", 26, "id");
	payload(6, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 64, "key");
}

/* ---- links ---- */

size_t seed_message_bytes(unsigned i, uint8_t *bytes, size_t cap)
{
	static uint8_t rec[1024], blobs[2 * 1024];
	static const uint8_t ids[2 * LINK_ACK_BYTES] = {1, 2, 3}, key[32] = {9};
	static const enum link_type types[SEED_MESSAGES] = {LINK_HELLO, LINK_WELCOME, LINK_PING, LINK_PONG, LINK_FETCH,
						       LINK_BATCH, LINK_ACK, LINK_ACKED, LINK_PUSH, LINK_NUDGE,
						       LINK_KICK, LINK_LOAD, LINK_BROADCAST, LINK_KEPT,
						       LINK_WITHDRAW, LINK_PRESENCE};
	struct link_message m = {.type = types[i]};
	struct writer w = writer_over(blobs, sizeof blobs);
	size_t rec_len = record_bytes(rec, sizeof rec);
	switch (m.type) {
	case LINK_HELLO:
	case LINK_WELCOME: m.hello = (struct link_hello){3, {i ? "dc1" : "mb1", 3}}; break;
	case LINK_FETCH: m.fetch = (struct link_fetch){{9, 77}, PRIORITY_HIGH, {{1}}, 3, 64, 65536, {"alice", 5}}; break;
	case LINK_BATCH:
		link_add_record(&w, rec, rec_len);
		link_add_record(&w, rec, rec_len);
		m.batch = (struct link_batch){{9, 77}, PRIORITY_LOW, LINK_DONE, 5, 2, reader_over(blobs, writer_len(&w))};
		break;
	case LINK_ACK: m.ack = (struct link_ack){{9, 77}, PRIORITY_NORMAL, {"alice", 5}, 2, ids}; break;
	case LINK_ACKED: m.acked = (struct link_acked){{9, 77}, PRIORITY_HIGH, LINK_FENCED, 2, 1}; break;
	case LINK_PUSH: m.push = (struct link_push){{9, 77}, PRIORITY_LOW, true, {{1}}, rec, rec_len}; break;
	case LINK_NUDGE: m.nudge = (struct link_owner){9, 77}; break;
	case LINK_WITHDRAW: m.withdraw = (struct link_withdraw){{9, 77}, {{1}}}; break;
	case LINK_PRESENCE: m.presence = (struct link_presence){true, 1732370000000, {"alice", 5}}; break;
	case LINK_KICK: m.kick = (struct link_kick){5, {9, 77}, {"mb1", 3}}; break;
	case LINK_BROADCAST: m.broadcast = (struct link_broadcast){rec, rec_len}; break;
	case LINK_LOAD:
		m.load = (struct link_load){12, 1000, 345, 6, false, {.port = {1, 2}}, key, {"eu1", 3}, 1, 1, {0}, {0}};
		link_add_isp(&w, &(struct link_isp){{"norda", 5}, {.port = {3, 4}}});
		m.load.isps = reader_over(blobs, writer_len(&w));
		link_add_path(&w, &(struct link_path){{"norda", 5}, 33, 7});
		m.load.paths = reader_over(m.load.isps.end, writer_len(&w) - reader_left(&m.load.isps));
		break;
	default: break;
	}
	int len = link_encode(&m, bytes, cap);
	seed_check(len > 0, "message");
	return (size_t)len;
}

static void links(void)
{
	uint8_t bytes[4096];
	char what[32];
	for (unsigned i = 0; i < SEED_MESSAGES; i++) {
		size_t len = seed_message_bytes(i, bytes, sizeof bytes);
		snprintf(what, sizeof what, "%02u", bytes[0]);
		seed_begin();
		seed_raw(bytes, len);
		seed_end("link", what);
		for (unsigned hub = 0; hub < 2; hub++) {
			snprintf(what, sizeof what, "%s-%02u", hub ? "hub" : "peer", bytes[0]);
			seed_begin();
			seed_byte(hub);
			seed_raw("\x06\x05", 2); /* HELLO or WELCOME */
			seed_byte(3);
			seed_piece(bytes, len);
			seed_raw("\x07\x40\x07\xff", 4); /* time goes on */
			seed_end("link_stream", what);
			seed_begin();
			seed_byte(hub);
			seed_raw("\x08\x90\x90\x07\xff\x00\x06\x05", 8); /* lost, refused twice, made */
			seed_byte(3);
			seed_piece(bytes, len);
			seed_end("link_stream", hub ? "hub-again" : "peer-again");
		}
	}
}

int main(int argc, char **argv)
{
	seed_check(argc == 2, "make_seeds wants: DIR");
	top = argv[1];
	mkdir(top, 0777);
	frames();
	payloads();
	links();
	seeds_sessions();
	seeds_texts();
	seeds_redis();
	seeds_dc();
	return 0;
}
