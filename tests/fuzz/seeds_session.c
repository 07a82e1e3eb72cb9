/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds for the targets whose input is a list of steps: sessions, datagrams, the broker.
 * The steps are numbered in step() of each target. */
#include "seeds.h"

#include "wire/link.h"
#include "wire/packet.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void op_frames(unsigned i)
{
	uint8_t bytes[PACKET_FRAMES_MAX];
	size_t len = seed_frame_bytes(i, bytes);
	seed_byte(0);
	seed_piece(bytes, len);
}

static void op_payload(unsigned op, const void *data, size_t len)
{
	seed_byte(op);
	seed_piece(data, len);
}

static void server_sessions(void)
{
	char what[32];
	for (unsigned i = 0; i < SEED_FRAMES; i++) {
		seed_begin();
		seed_byte(1); /* logins are accepted */
		op_frames(0);
		for (unsigned n = 0; n < 3; n++)
			seed_raw("\x05\x05\x40\x04\x0a", 5); /* push, tick */
		seed_byte(0); /* a frame */
		uint8_t bytes[PACKET_FRAMES_MAX];
		size_t len = seed_frame_bytes(i, bytes);
		seed_piece(bytes, len);
		seed_raw("\x03\x00\x04\xff", 4); /* heartbeat, tick */
		snprintf(what, sizeof what, "%02x", seed_frame(i).type);
		seed_end("session_server", what);
	}
	seed_begin();
	seed_byte(1);
	op_frames(0);
	seed_raw("\x05\x07\xff", 3);
	seed_text("\x80\x01"); /* frames of another address: challenged, then answered */
	uint8_t bytes[PACKET_FRAMES_MAX];
	size_t len = seed_frame_bytes(10, bytes);
	seed_piece(bytes, len);
	seed_raw("\x04\x02\x86\x01\x83\x01\x00\x04\x02", 9);
	seed_end("session_server", "moves");
	for (unsigned how = 0; how < 3; how++) {
		seed_begin();
		seed_byte(how);
		op_frames(0);
		for (unsigned d = 0; d < 5; d++) {
			seed_raw("\x08", 1);
			seed_byte(d);
		}
		for (unsigned n = 0; n < 12; n++)
			seed_raw("\x44\xff\xff\x03\x00", 5);
		snprintf(what, sizeof what, "decided-%u", how);
		seed_end("session_server", what);
	}
}

/* Op 5: a message; op 4: time. */
static void server_timers(void)
{
	static const uint8_t all[4] = {0, 0, 0, 1};
	uint8_t bytes[PACKET_FRAMES_MAX];
	struct writer w = writer_over(bytes, sizeof bytes);
	struct frame f = {.type = FRAME_FRAGMENT_ACK, .fragment_ack = {0, 1, UINT64_MAX}};
	frame_write(&w, &f);
	seed_begin();
	seed_byte(1 | 8); /* no silence is too long */
	op_frames(0);
	SEED_RAW("\x05\x05\xff\x04\x0a\x00");
	seed_piece(bytes, writer_len(&w)); /* all is there, but not taken: asked again */
	for (unsigned i = 0; i < 4; i++)
		SEED_RAW("\x44\x08\x00");
	seed_end("session_server", "probes");
	seed_begin();
	seed_byte(1 | 8);
	op_frames(0);
	for (unsigned i = 0; i < 4; i++)
		SEED_RAW("\x05\x07\xff");
	for (unsigned i = 0; i < 12; i++)
		SEED_RAW("\x44\x20\x00");
	SEED_RAW("\x03\x00\x04\x01"); /* a sign of life */
	seed_end("session_server", "stalls");
	seed_begin();
	seed_byte(1);
	op_frames(0);
	for (unsigned i = 0; i < 3; i++) { /* forged heartbeats, 256 at a time, from elsewhere */
		SEED_RAW("\xc7\x02");
		seed_piece(i == 2 ? "\x04\x03zzzzzzzzzzzzzzzzzzzzzzzzz" : "\x00\x02xxxxxxxxxxxxxx", i == 2 ? 27 : 16);
		SEED_RAW("\x04\xff\x44\x0a\x00");
	}
	seed_end("session_server", "forged");
	w = writer_over(bytes, sizeof bytes);
	f = (struct frame){.type = FRAME_MESSAGE_ACK, .message_ack = {3, 1, all}};
	frame_write(&w, &f);
	seed_begin();
	seed_byte(1 | 4); /* a small window */
	op_frames(0);
	for (unsigned i = 0; i < 70; i++)
		SEED_RAW("\x05\x01\x40");
	SEED_RAW("\x04\x02\x00");
	seed_piece(bytes, writer_len(&w));
	SEED_RAW("\x05\x07\x40\x05\x07\x40");
	seed_end("session_server", "full");
}

/* Long messages, each acknowledged as a whole: the window grows over what goes out at once. */
static void server_bursts(void)
{
	seed_begin();
	seed_byte(1 | 8);
	op_frames(0);
	for (unsigned i = 0; i < 16; i++) {
		SEED_RAW("\x05\x07\xff");
		for (unsigned n = 0; n < 4; n++) {
			uint8_t bytes[PACKET_FRAMES_MAX];
			struct writer w = writer_over(bytes, sizeof bytes);
			struct frame f = {.type = FRAME_FRAGMENT_ACK, .fragment_ack = {i, 1 + i + n, UINT64_MAX}};
			frame_write(&w, &f);
			SEED_RAW("\x04\x01\x00");
			seed_piece(bytes, writer_len(&w));
		}
		if (i % 4 == 3)
			SEED_RAW("\x04\x14");
	}
	SEED_RAW("\x44\x20\x00");
	seed_end("session_server", "bursts");
}

/* Op 45: the application answers a request or withdraws a message. */
static void server_requests(void)
{
	uint8_t bytes[PACKET_FRAMES_MAX];
	size_t len = seed_frame_bytes(11, bytes);
	for (unsigned at_once = 0; at_once < 2; at_once++) {
		seed_begin();
		seed_byte(1 | at_once << 4);
		op_frames(0);
		op_frames(11);
		op_frames(11); /* while the first is under way */
		SEED_RAW("\x45\x80\x45\x80");
		op_frames(11);
		SEED_RAW("\x80\x01"); /* from elsewhere */
		seed_piece(bytes, len);
		SEED_RAW("\x02\xfe"); /* overtaken */
		seed_piece(bytes, len);
		bytes[FRAME_HEADER + 4] = 9; /* of a kind that is not known */
		op_payload(0, bytes, len);
		bytes[FRAME_HEADER + 4] = REQUEST_STORE_OFF;
		op_payload(0, bytes, len);
		seed_end("session_server", at_once ? "requests-at-once" : "requests");
	}
	seed_begin();
	seed_byte(1);
	op_frames(0);
	SEED_RAW("\x05\x05\xff\x45\x00\x05\x05\xff\x04\x01\x45\x01\x04\xff\x45\x01\x45\x07");
	op_frames(5); /* both are acknowledged */
	SEED_RAW("\x45\x00\x04\xff");
	seed_end("session_server", "withdrawn");
}

static void client_requests(const uint8_t *resp, size_t resp_len)
{
	uint8_t bytes[PACKET_FRAMES_MAX];
	static const unsigned codes[] = {REPLY_DONE, REPLY_LATER};
	for (unsigned i = 0; i < 2; i++) {
		seed_begin();
		seed_byte(0);
		SEED_RAW("\x0d\x09");
		seed_piece("news/+", 6); /* asks again from inside the answer */
		op_payload(3, resp, resp_len);
		SEED_RAW("\x0a\x00");
		op_payload(4, bytes, seed_frame_bytes(1, bytes)); /* LOGIN_OK */
		SEED_RAW("\x0d\x04");
		seed_piece("*", 1);
		for (unsigned n = 1; n <= 3; n++) {
			struct frame f = {.type = FRAME_REPLY, .reply = {n, (uint16_t)codes[i]}};
			struct writer w = writer_over(bytes, sizeof bytes);
			SEED_RAW("\x0a\x00");
			frame_write(&w, &f);
			op_payload(4, bytes, writer_len(&w));
		}
		for (unsigned n = 0; n < 36; n++) {
			SEED_RAW("\x0d\x01"); /* more than may wait */
			seed_piece("a", 1);
		}
		SEED_RAW("\x0d\x05");
		seed_piece("a b", 3);
		seed_end("session_client", i ? "requests-later" : "requests");
	}
}

static void client_sessions(void)
{
	uint8_t answer[ANSWER_PAYLOAD_MAX], resp[RESP_PAYLOAD], bytes[PACKET_FRAMES_MAX];
	struct answer_payload a = {.count = 2};
	struct resp_payload p = {.conn = 9, .heartbeat_s = 30, .boot = 5, .server_ms = 6, .reset_token = "1234567"};
	struct frame_brokers b = seed_brokers();
	char what[32];
	memcpy(a.broker, b.at, sizeof a.broker);
	size_t answer_len = answer_payload_write(&a, answer);
	resp_payload_write(&p, resp);
	for (unsigned i = 0; i < SEED_FRAMES + 4; i++) {
		seed_begin();
		seed_byte(i & 1 ? 9 : 0); /* with a balancer, or none */
		if (i & 1)
			op_payload(2, answer, answer_len);
		op_payload(3, resp, sizeof resp);
		seed_raw("\x0a\x00", 2);
		op_payload(4, bytes, seed_frame_bytes(1, bytes)); /* LOGIN_OK */
		seed_raw("\x07\x01\x10\x05\x07\x00\x02\x06", 8); /* messages, the second first */
		if (i < SEED_FRAMES)
			op_payload(4, bytes, seed_frame_bytes(i, bytes));
		else
			seed_raw(i == SEED_FRAMES ? "\x0a\x00\x08\x00" : i == SEED_FRAMES + 1 ? "\x0a\x00\x08\x02\x0a\x00" :
			    i == SEED_FRAMES + 2 ? "\x09\x0a\x00\x0a\x00" : "\x0b\x02\x07\x00\x05\x03\x0a\x64", 4 + 4 * (i > SEED_FRAMES + 2));
		for (unsigned n = 0; n < 6; n++)
			seed_raw("\x0a\x00", 2); /* to the next deadline */
		snprintf(what, sizeof what, i < SEED_FRAMES ? "%02x" : "op-%u", i < SEED_FRAMES ? seed_frame(i).type : i - SEED_FRAMES);
		seed_end("session_client", what);
	}
	client_requests(resp, sizeof resp);
	seed_begin();
	seed_byte(9);
	seed_raw("\x01\x00\x02\xab\xcd", 5); /* COOKIE */
	op_payload(2, "\x01\x00\x00\x03\xe8\x00", 6); /* no broker now */
	for (unsigned n = 0; n < 40; n++)
		seed_raw("\x0a\x00", 2);
	seed_end("session_client", "nobody");
}

static void op_message(uint32_t ref, uint16_t total, const char *piece)
{
	uint8_t bytes[PACKET_FRAMES_MAX];
	struct writer w = writer_over(bytes, sizeof bytes);
	struct frame f = {.type = FRAME_MESSAGE};
	f.message = (struct frame_message){ref, total, 0, (const uint8_t *)piece, (uint16_t)strlen(piece)};
	frame_write(&w, &f);
	op_payload(4, bytes, writer_len(&w));
}

static void begin_online(unsigned how)
{
	struct resp_payload p = {.conn = 9, .heartbeat_s = 30, .boot = 5, .server_ms = 6, .reset_token = "1234567"};
	uint8_t resp[RESP_PAYLOAD], bytes[PACKET_FRAMES_MAX];
	resp_payload_write(&p, resp);
	seed_begin();
	seed_byte(how);
	op_payload(3, resp, sizeof resp);
	SEED_RAW("\x0a\x00");
	op_payload(4, bytes, seed_frame_bytes(1, bytes)); /* LOGIN_OK */
}

static void client_cases(void)
{
	begin_online(0);
	op_message(1, 5, "xxxxx"); /* nothing that can be understood */
	op_message(2, 500, "");
	SEED_RAW("\x07\x05\x10\x05");
	op_message(3, 0, ""); /* void, of which there were pieces */
	op_message(2, 0, "");
	op_message(1, 0, "");
	seed_end("session_client", "void");
	begin_online(0);
	for (unsigned i = 0; i < 5; i++)
		SEED_RAW("\x0a\x00\x08\x02"); /* the NAT forgets */
	seed_end("session_client", "moved");
	begin_online(0);
	for (unsigned i = 0; i < 70; i++) { /* many, in one batch; then the oldest of them */
		SEED_RAW("\x47");
		seed_byte(i < 20 ? 22 - i : 3);
		seed_byte(0);
		seed_byte(i);
	}
	SEED_RAW("\x47\x00\x00\x01\x0a\x00");
	seed_end("session_client", "many");
	begin_online(0xf8);
	SEED_RAW("\x07\x03\x00\x09\x07\x03\x00\x0a");
	seed_end("session_client", "forgets");
	begin_online(0);
	SEED_RAW("\x8b\x00\x07\x03\x00\x01\x0c\x01\x8c\x8c"); /* stops inside of a message */
	seed_end("session_client", "stops");
	begin_online(0);
	SEED_RAW("\x00\x03");
	seed_piece("\x04\x03zzzzzzzzzzzzzzzzzzzzzzzzz", 27);
	SEED_RAW("\x00\x03");
	seed_piece("\x05\x02zzzzzzzzzzzz", 14);
	SEED_RAW("\x00\x03");
	seed_piece("\x07\x04zzzzzzzzzzzz", 14);
	SEED_RAW("\x8c\x0a\x00\x0a\x00\x0a\x00\x0a\x00");
	seed_end("session_client", "forged");
	for (unsigned i = 0; i < 3; i++) {
		static const char *const wrong[] = {"\x07\x04", "\x0a\x04", "\x08\x04"}; /* RESP, ANSWER, COOKIE */
		seed_begin();
		seed_byte(i ? 0 : 9);
		SEED_RAW("\x00\x03");
		seed_piece(wrong[i], 2);
		SEED_RAW("\x00\x03");
		seed_piece(wrong[i], 2);
		seed_end("session_client", i == 0 ? "early-resp" : i == 1 ? "early-answer" : "cookie");
	}
}

/* So many handshakes of an address, so many bad packets. */
static void datagram_limits(void)
{
	seed_begin();
	seed_byte(1 | 4 | 8);
	for (unsigned i = 0; i < 16; i++) {
		seed_byte(2);
		seed_byte(0);
		seed_byte(i << 2 | 1);
		seed_piece("", 0);
		SEED_RAW("\x02\x01\x0c"); /* of another: for its cookie */
		seed_piece("", 0);
	}
	seed_end("datagram_server", "many");
	seed_begin();
	seed_byte(0);
	SEED_RAW("\x00\x80");
	seed_piece("\x00\x00xxxxxxxxxxxxxx", 16); /* a heartbeat of nobody: RESET */
	SEED_RAW("\x00\x80");
	seed_piece("\x07\x00", 2); /* what a client never sends, ... */
	for (unsigned i = 0; i < 3; i++)
		SEED_RAW("\x04\xfc");
	SEED_RAW("\x00\x80");
	seed_piece("\x00\x00xxxxxxxxxxxxxx", 16); /* ... too often */
	SEED_RAW("\x02\x00\x04");
	seed_piece("", 0);
	seed_end("datagram_server", "distrusted");
}

static void datagrams(void)
{
	struct init_payload p = {1, 65536, 10};
	struct ask_payload ask = {.client_ms = 1, .avoid_count = 1};
	uint8_t init[INIT_PAYLOAD], ask_bytes[ASK_PAYLOAD], load[256];
	char what[32];
	init_payload_write(&p, init);
	seed_check(ask_payload_write(&ask, ask_bytes) == 0, "ask");
	size_t load_len = seed_message_bytes(11, load, sizeof load);
	for (unsigned how = 0; how < 16; how++) {
		seed_begin();
		seed_byte(how);
		for (unsigned i = 0; i < 6; i++) {
			seed_byte(2);
			seed_byte(i & 1);
			seed_byte(i < 2 ? 4 : 3 + 4 * (i & 1)); /* then with the cookie, twice */
			seed_piece(init, sizeof init);
			seed_raw("\x00\x81", 2); /* a packet for that connection */
			seed_piece(i & 1 ? "\x00\x02xxxxxxxxxxxxxx" : "\x04\x03xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", i & 1 ? 16 : 32);
			seed_raw("\x03\x01\x00\x05", 4);
			seed_byte(i == 4);
		}
		snprintf(what, sizeof what, "%u", how);
		seed_end("datagram_server", what);
		if (how > 7)
			continue;
		seed_begin();
		seed_byte(how);
		seed_raw("\x83", 1);
		seed_piece("0.0.0.0/0 norda eu1 #\n10.0.0.0/8 b\n::/0 norda\n", 46);
		seed_raw("\x03\x00\x01", 3);
		seed_piece(load, load_len);
		seed_raw("\x41\x01", 2);
		seed_raw("\x04\x02\x01\x01\x00\x05\x01\x05\x02\x08\x02\x00\x00\x09\x00\x06\x01\x02", 18);
		for (unsigned i = 0; i < 4; i++) {
			seed_raw("\x01\x01", 2);
			seed_byte(i & 1);
			seed_piece(ask_bytes, i == 3 ? 20 : sizeof ask_bytes);
			seed_raw("\x05\x01\x00", 3);
		}
		seed_raw("\x03\x00\x01\x00\x00\x05\xff\xff", 8);
		seed_end("balancer", what);
	}
}

static void load_of(unsigned broker, unsigned rtt, bool draining)
{
	static const uint8_t key[32] = {9};
	uint8_t bytes[256], blobs[256];
	struct writer w = writer_over(blobs, sizeof blobs);
	struct link_message m = {.type = LINK_LOAD};
	m.load = (struct link_load){1, 10, 345, 6, draining, {.port = {1, 2}}, key, {"eu2", 3}, 1, rtt > 0, {0}, {0}};
	link_add_isp(&w, &(struct link_isp){{"norda", 5}, {.port = {3, (uint8_t)broker}}});
	m.load.isps = reader_over(blobs, writer_len(&w));
	link_add_path(&w, &(struct link_path){{"norda", 5}, (uint16_t)rtt, 7});
	m.load.paths = reader_over(m.load.isps.end, rtt ? writer_len(&w) - reader_left(&m.load.isps) : 0);
	int len = link_encode(&m, bytes, sizeof bytes);
	seed_check(len > 0, "load");
	SEED_RAW("\x03");
	seed_byte(broker);
	SEED_RAW("\x01");
	seed_piece(bytes, (size_t)len);
}

/* Three brokers that are listed and tell their load: near, far, without figures, and
 * one that drains. */
static void choices(void)
{
	struct ask_payload ask = {.client_ms = 1, .avoid_count = 1, .avoid = {{.port = {3, 0}}}};
	uint8_t ask_bytes[ASK_PAYLOAD];
	seed_check(ask_payload_write(&ask, ask_bytes) == 0, "ask");
	seed_begin();
	seed_byte(0);
	SEED_RAW("\x41\x01"); /* none is known */
	SEED_RAW("\x83");
	seed_piece("10.0.0.0/8 norda eu1\n", 21);
	SEED_RAW("\x04\x04");
	for (unsigned i = 0; i < 4; i++) {
		seed_byte(i);
		SEED_RAW("\x01\x00\x05\x01");
		seed_byte(5 + i);
		SEED_RAW("\x01\x08");
	}
	for (unsigned i = 0; i < 4; i++)
		load_of(i, i == 0 ? 20 : i == 1 ? 900 : 0, i == 3);
	SEED_RAW("\x41\x01\x41\x02");
	for (unsigned i = 0; i < 3; i++) {
		SEED_RAW("\x01\x01");
		seed_byte(i & 1);
		seed_piece(ask_bytes, sizeof ask_bytes);
	}
	SEED_RAW("\x05\x03\xe8\x03\x00\x01\x00\x00\x41\x01\x05\xff\xff\x41\x01");
	seed_end("balancer", "choices");
}

static void broker_cases(void)
{
#define CASE(t) {t, sizeof(t) - 1}
	static const struct {
		const char *steps;
		size_t len;
	} cases[] = {
		CASE("\x00\x00\x01\x02\x01\x0a\x06\x40\x01\x27\x06\x40\x29\x27\x06\x40\x51\x27\x09\x02"), /* more than fits */
		CASE("\x00\x00\x01\x06\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00"), /* expired, wrong */
		CASE("\x00\x00\x01\x02\x07\x06\x01\x06\x09\x02"), /* kicked before */
		CASE("\x00\x4c\x00\x4c\x01\x02\x4c\x00\x01\x02\x4c"), /* Redis away */
		CASE("\x00\x00\x01\x02\x01\x00\x09\xff\x4c\x09\x40\x4c\x09\xff\x01\x01\x07\x01\x09\x02"), /* renewals */
		CASE("\x00\x00\x01\x02\x01\x00\x05\x01\x01\x00\x01x\x08\x01\x00\x07\x03\x09\x0a\x07\x05\x09\x0a"), /* acks refused */
		CASE("\x00\x09\xff\x09\xff\x00\x01\x02\x01\x08\x4b\x09\x02"), /* late */
		CASE("\x00\x00\x01\x02\x01\x00\x05\x05\x01\x00\x01x\x05\x08\x01\x00\x01x\x06\x58\x01\x05\x05\x0d\x01\x00\x00"), /* cut, damaged */
		CASE("\x00\x00\x01\x02\x01\x01\x07\x04\x01\x01\x01\x05\x09\x02\x08\x01\x01\x01\x01\x09\x28\x07\x04\x01\x02\x01\x00\x09\x02"), /* kept, taken, withdrawn */
		CASE("\x00\x07\x04\x01\x02\x01\x07\x00\x01\x02\x01\x01\x08\x00\x02\x01\x00\x09\x02\x07\x08\x07\x10\x09\x02\x08\x03\x02\x0d\x01\x01"), /* kept before the login; unkept ones */
		CASE("\x00\x00\x42\x02\x4d\x01\x01\x00\x03" "a/+" "\x01\x00\x01\x01\x01\x01\x01\x01\x42\x01"
		     "\x4d\x02\x02\x00\x03" "a/+" "\x01\x00\x01\x01\x01\x00\x01\x00\x01\x01\x01\x00\x01\x01\x42\x00"), /* subscribed, and not any more */
		CASE("\x00\x00\x42\x02\x4d\x01\x03\x00\x01*\x42\x00\x4d\x02\x04\x00\x04" "chat" "\x42\x01\x4d\x03\x03\x00\x01*\x42\x02"
		     "\x4d\x04\x03\x00\x01*\x42\x03\x4d\x05\x03\x00\x03" "a b" "\x4d\x06\x01\x00\x03" "a+b" "\x4d\x07\x07\x00\x01x"), /* storage */
		CASE("\x00\x00\x42\x02\x4d\x01\x01\x00\x01" "a" "\x42\x02\x4d\x02\x01\x00\x01" "b" "\x42\x01\x4d\x03\x01\x00\x01" "c" "\x0a\x4c"
		     "\x4d\x04\x01\x00\x01" "d"), /* too many, fenced, lost, away */
		CASE("\x00\x00\x42\x02\x05\x01\x01\x00\x01x\x2d\x01\x05\x01\x02\x00\x01y\x08\x01\x01\x2d\x02\x09\x14\x2d\x09\x09\x14"), /* withdrawn */
		CASE("\x00\x00\x42\x02\x05\x01\x01\x00\x01x\x09\x14\x08\x00\x1f\x09\x14\x07\x0d\x05\x01\x04\x00\x01x\x08\x00\x1f\x09\x14\x07\x0b"
		     "\x09\x14\x07\x25\x09\x14\x07\x0d"), /* acks taken, and not */
		CASE("\x00\x00\x42\x02\x07\x02\x09\x02\x01\x00"), /* kicked */
		CASE("\x00\x00\x01\x02\x01\x0a\x06\x40\x01\x27\x06\x40\x29\x27\x06\x40\x51\x27\x07\x04\x42\x05\x07\x08\x07\x10\x09\x02\x07\x04\x42\x06\x09\x14"
		     "\x08\x00\x1f\x08\x20\x1f\x09\x14\x08\x40\x1f\x42\x00\x09\x02"), /* no room for what is sent to all */
		CASE("\x00\x00\x42\x02\x4d\x01\x01\x00\x03" "a+b"), /* not a filter */
		CASE("\x00\x00\x42\x02\x07\x04\x42\x05\x09\x14\x07\x04\x42\x06\x09\x14\x07\x04\x42\x00\x09\x14"), /* kept ones withdrawn */
		CASE("\x00\x00\x42\x02\x07\x08\x07\x08\x07\x88\x07\x04\x42\x05\x09\xff\x09\xff\x09\xff\x09\xff\x09\xff\x09\xff\x09\xff\x09\xff\x09\xff\x07\x04\x42\x06"),
	};
#undef CASE
	char what[32];
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		seed_begin();
		seed_raw(cases[i].steps, cases[i].len);
		snprintf(what, sizeof what, "case-%u", i);
		seed_end("broker", what);
	}
}

/* Messages until there is no room, and then one to all, which is withdrawn. */
static void full_session(void)
{
	for (unsigned n = 0; n < 2; n++) {
		seed_begin();
		SEED_RAW("\x00\x00\x42\x02");
		for (unsigned i = 1; i < 34; i++) {
			SEED_RAW("\x05\x00");
			seed_byte(i);
			seed_piece("x", 1);
		}
		SEED_RAW("\x07\x04\x42\x05\x07\x08\x07\x10\x07\x04");
		SEED_RAW("\x42\x06\x09\x14\x07\x04\x42\x00\x09\x02");
		SEED_RAW("\x08\x00\x1f\x08\x20\x1f\x09\x02\x07\x18");
		SEED_RAW("\x08\x00\x3f\x42");
		seed_byte(n);
		SEED_RAW("\x09\x14\x4c\x4c\x42\x05");
		seed_end("broker", n ? "full-1" : "full-0");
	}
}

static void broker(void)
{
	static const char *const logins[] = {"\x01\x02\x01\x03", "\x01\x02\x01\x22", "\x01\x00", "\x0a"};
	uint8_t bytes[4096];
	char what[32];
	for (unsigned i = 0; i < 4; i++)
		for (unsigned m = 4; m < 11; m++) {
			seed_begin();
			seed_byte(i & 1);
			seed_byte(0);
			seed_text(logins[i]);
			size_t len = seed_message_bytes(m, bytes, sizeof bytes);
			seed_raw("\x05\x01\x01\x00\x05hello", 10);      /* PUSH */
			seed_raw("\x05\x03\x02\x00\x05hello", 10);
			seed_raw("\x06\x40\x03\x05\x06\x08\x08\x03", 8); /* BATCH, one with a damaged record */
			seed_raw("\x07\x00\x08\x01\x05\x07\x09\x07\x00", 9);
			seed_byte(4);
			seed_piece(bytes, len);
			seed_raw("\x09\x0a\x09\xff\x01\x01\x01\x00\x07\x02\x0c", 11);
			snprintf(what, sizeof what, "%u-%02u", i, bytes[0]);
			seed_end("broker", what);
		}
}

void seeds_sessions(void)
{
	server_sessions();
	server_timers();
	server_requests();
	server_bursts();
	client_sessions();
	client_cases();
	datagrams();
	datagram_limits();
	choices();
	broker();
	full_session();
	broker_cases();
}
