/* SPDX-License-Identifier: Apache-2.0 */
/* The messages on the links: each type there and back, and what must be refused. */
#include "wire/link.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { CAP = 4096 };

static const uint8_t two_ids[2 * LINK_ACK_BYTES] = {1, 2, 3, [LINK_ACK_BYTES] = 4, 5, 6};
static const uint8_t key[32] = {0xaa, [31] = 0xbb};
static const uint8_t record[] = "01JDCF3K7Q9R8W2ZT5XV6YB4NM chat 1732370000000 1732456400000 -\nhello";
static uint8_t blobs[256];

static struct link_name name(const char *text)
{
	return (struct link_name){.text = text, .len = strlen(text)};
}

/* One message of each type, with every field other than zero. */
static struct link_message sample(enum link_type type)
{
	struct link_message m = {.type = type};
	struct link_owner o = {.conn = 0x01020304, .owner = 0x1122334455667788};
	struct ulid id = {{9, 8, 7, [15] = 1}};
	struct writer w = writer_over(blobs, sizeof blobs);
	switch (type) {
	case LINK_HELLO:
	case LINK_WELCOME: m.hello = (struct link_hello){.boot = 77, .id = name("mb1")}; break;
	case LINK_PING:
	case LINK_PONG:
	case LINK_KEPT: break;
	case LINK_FETCH:
		m.fetch = (struct link_fetch){.to = o, .lane = PRIORITY_HIGH, .after = id, .skip = 5, .max_count = 100,
					      .max_bytes = 70000, .user = name("alice")};
		break;
	case LINK_BATCH:
		link_add_record(&w, record, sizeof record);
		link_add_record(&w, "x", 1);
		m.batch = (struct link_batch){.to = o, .lane = PRIORITY_LOW, .status = LINK_FENCED, .left = 3, .count = 2,
					      .records = reader_over(blobs, writer_len(&w))};
		break;
	case LINK_ACK:
		m.ack = (struct link_ack){.from = o, .lane = PRIORITY_HIGH, .user = name("alice"), .count = 2, .ids = two_ids};
		break;
	case LINK_ACKED:
		m.acked = (struct link_acked){.to = o, .lane = PRIORITY_LOW, .status = LINK_UNAVAILABLE, .removed = 300,
					      .left = 400000};
		break;
	case LINK_PUSH:
		m.push = (struct link_push){.to = o, .lane = PRIORITY_HIGH, .stored = true, .prev = id, .record = record,
					    .record_len = sizeof record};
		break;
	case LINK_NUDGE: m.nudge = o; break;
	case LINK_KICK: m.kick = (struct link_kick){.boot = 99, .of = o, .broker = name("mb2")}; break;
	case LINK_WITHDRAW: m.withdraw = (struct link_withdraw){.to = o, .id = id}; break;
	case LINK_PRESENCE:
		m.presence = (struct link_presence){.online = true, .at_ms = 1732370000000, .user = name("alice")};
		break;
	case LINK_BROADCAST:
		m.broadcast = (struct link_broadcast){.record = record, .record_len = sizeof record};
		break;
	case LINK_LOAD:
		m.load = (struct link_load){.sessions = 10, .capacity = 20, .packets = 30, .lag_ms = 40,
					    .draining = true, .address = {.ip = {1, [15] = 2}, .port = {3, 4}},
					    .key = key, .zone = name("eu-1"), .isp_count = 1, .path_count = 2};
		link_add_isp(&w, &(struct link_isp){name("norda"), {.ip = {5}, .port = {6}}});
		m.load.isps = reader_over(blobs, writer_len(&w));
		link_add_path(&w, &(struct link_path){name("norda"), 33, 7});
		link_add_path(&w, &(struct link_path){name("sudor"), 65535, LINK_LOSS_MAX});
		m.load.paths = reader_over(m.load.isps.end, writer_len(&w) - reader_left(&m.load.isps));
		break;
	}
	return m;
}

static const enum link_type types[] = {LINK_HELLO, LINK_WELCOME, LINK_PING, LINK_PONG,
				       LINK_FETCH, LINK_BATCH, LINK_ACK, LINK_ACKED,
				       LINK_PUSH, LINK_NUDGE, LINK_WITHDRAW, LINK_KICK,
				       LINK_BROADCAST, LINK_KEPT, LINK_LOAD, LINK_PRESENCE};
enum { TYPES = sizeof types / sizeof types[0] };

static size_t encode(const struct link_message *m, uint8_t out[CAP])
{
	int len = link_encode(m, out, CAP);
	cr_assert_gt(len, 0, "type %d: %s", m->type, err_str(len));
	return (size_t)len;
}

/* Decodes an exact copy on the heap, so that a read past the end is seen. */
static int decode(const uint8_t *data, size_t len)
{
	struct link_message m;
	uint8_t *copy = malloc(len ? len : 1);
	cr_assert_not_null(copy);
	memcpy(copy, data, len);
	int err = link_decode(copy, len, &m);
	free(copy);
	return err;
}

static void assert_name(struct link_name n, const char *text)
{
	cr_assert_eq(n.len, strlen(text));
	cr_assert_arr_eq(n.text, text, n.len);
}

static void assert_owner(struct link_owner o)
{
	cr_assert_eq(o.conn, 0x01020304);
	cr_assert_eq(o.owner, 0x1122334455667788);
}

static struct link_message there_and_back(enum link_type type)
{
	static uint8_t wire[CAP];
	struct link_message m = sample(type), back;
	size_t len = encode(&m, wire);
	cr_assert_eq(wire[0], type);
	cr_assert_eq(link_decode(wire, len, &back), RS_OK, "type %d", type);
	cr_assert_eq(back.type, type);
	return back;
}

Test(link_messages, every_type_encodes_to_the_same_bytes_again)
{
	for (size_t i = 0; i < TYPES; i++) {
		uint8_t first[CAP], second[CAP];
		struct link_message m = sample(types[i]), back;
		size_t len = encode(&m, first);
		cr_assert_eq(link_decode(first, len, &back), RS_OK);
		cr_assert_eq(encode(&back, second), len);
		cr_assert_arr_eq(first, second, len, "type %d", types[i]);
	}
}

Test(link_messages, hello_and_welcome_keep_their_fields)
{
	static const enum link_type both[] = {LINK_HELLO, LINK_WELCOME};
	for (int i = 0; i < 2; i++) {
		struct link_message m = there_and_back(both[i]);
		cr_assert_eq(m.hello.boot, 77);
		assert_name(m.hello.id, "mb1");
	}
}

Test(link_messages, fetch_keeps_its_fields)
{
	struct link_message m = there_and_back(LINK_FETCH);
	assert_owner(m.fetch.to);
	cr_assert_eq(m.fetch.lane, PRIORITY_HIGH);
	cr_assert_eq(m.fetch.after.b[0], 9);
	cr_assert_eq(m.fetch.skip, 5);
	cr_assert_eq(m.fetch.max_count, 100);
	cr_assert_eq(m.fetch.max_bytes, 70000);
	assert_name(m.fetch.user, "alice");
}

Test(link_messages, batch_hands_out_its_records_in_order)
{
	struct link_message m = there_and_back(LINK_BATCH);
	size_t len;
	assert_owner(m.batch.to);
	cr_assert_eq(m.batch.lane, PRIORITY_LOW);
	cr_assert_eq(m.batch.status, LINK_FENCED);
	cr_assert_eq(m.batch.left, 3);
	cr_assert_eq(m.batch.count, 2);
	const uint8_t *r = link_next_record(&m.batch.records, &len);
	cr_assert_eq(len, sizeof record);
	cr_assert_arr_eq(r, record, len);
	r = link_next_record(&m.batch.records, &len);
	cr_assert_eq(len, 1);
	cr_assert_eq(*r, 'x');
	cr_assert(reader_done(&m.batch.records));
	cr_assert_null(link_next_record(&m.batch.records, &len));
	cr_assert_eq(len, 0);
}

Test(link_messages, an_empty_batch_is_good)
{
	uint8_t wire[CAP];
	struct link_message m = {.type = LINK_BATCH}, back;
	size_t len = encode(&m, wire);
	cr_assert_eq(link_decode(wire, len, &back), RS_OK);
	cr_assert_eq(back.batch.count, 0);
}

Test(link_messages, ack_and_acked_keep_their_fields)
{
	struct link_message m = there_and_back(LINK_ACK);
	assert_owner(m.ack.from);
	assert_name(m.ack.user, "alice");
	cr_assert_eq(m.ack.lane, PRIORITY_HIGH);
	cr_assert_eq(m.ack.count, 2);
	cr_assert_arr_eq(m.ack.ids, two_ids, sizeof two_ids);
	m = there_and_back(LINK_ACKED);
	assert_owner(m.acked.to);
	cr_assert_eq(m.acked.lane, PRIORITY_LOW);
	cr_assert_eq(m.acked.status, LINK_UNAVAILABLE);
	cr_assert_eq(m.acked.removed, 300);
	cr_assert_eq(m.acked.left, 400000);
}

Test(link_messages, push_nudge_and_kick_keep_their_fields)
{
	struct link_message m = there_and_back(LINK_PUSH);
	assert_owner(m.push.to);
	cr_assert_eq(m.push.lane, PRIORITY_HIGH);
	cr_assert(m.push.stored);
	cr_assert_eq(m.push.prev.b[15], 1);
	cr_assert_eq(m.push.record_len, sizeof record);
	cr_assert_arr_eq(m.push.record, record, sizeof record);
	m = there_and_back(LINK_NUDGE);
	assert_owner(m.nudge);
	m = there_and_back(LINK_KICK);
	cr_assert_eq(m.kick.boot, 99);
	assert_owner(m.kick.of);
	assert_name(m.kick.broker, "mb2");
}

Test(link_messages, withdraw_and_presence_keep_their_fields)
{
	struct link_message m = there_and_back(LINK_WITHDRAW);
	assert_owner(m.withdraw.to);
	cr_assert_eq(m.withdraw.id.b[0], 9);
	m = there_and_back(LINK_PRESENCE);
	cr_assert(m.presence.online);
	cr_assert_eq(m.presence.at_ms, 1732370000000);
	assert_name(m.presence.user, "alice");
}

Test(link_messages, broadcast_keeps_its_record)
{
	struct link_message m = there_and_back(LINK_BROADCAST);
	cr_assert_eq(m.broadcast.record_len, sizeof record);
	cr_assert_arr_eq(m.broadcast.record, record, sizeof record);
	uint8_t wire[CAP];
	m.broadcast.record_len = RECORD_MAX + 1;
	cr_assert_eq(link_encode(&m, wire, sizeof wire), RS_ELIMIT);
}

Test(link_messages, load_keeps_its_fields)
{
	struct link_message m = there_and_back(LINK_LOAD);
	cr_assert_eq(m.load.sessions, 10);
	cr_assert_eq(m.load.capacity, 20);
	cr_assert(m.load.draining);
	cr_assert_eq(m.load.address.ip[15], 2);
	cr_assert_eq(addr_port(&m.load.address), 0x0304);
	cr_assert_arr_eq(m.load.key, key, sizeof key);
	assert_name(m.load.zone, "eu-1");
	cr_assert_eq(m.load.packets, 30);
	cr_assert_eq(m.load.lag_ms, 40);
	cr_assert_eq(m.load.isp_count, 1);
	struct link_isp i = link_next_isp(&m.load.isps);
	assert_name(i.isp, "norda");
	cr_assert(i.address.ip[0] == 5 && i.address.port[0] == 6);
	cr_assert_eq(m.load.path_count, 2);
	struct link_path p = link_next_path(&m.load.paths);
	assert_name(p.isp, "norda");
	cr_assert(p.rtt_ms == 33 && p.loss == 7);
	p = link_next_path(&m.load.paths);
	assert_name(p.isp, "sudor");
	cr_assert(p.rtt_ms == 65535 && p.loss == LINK_LOSS_MAX);
	cr_assert(reader_done(&m.load.isps) && reader_done(&m.load.paths));
}

Test(link_messages, lists_of_a_load_have_a_bound)
{
	static uint8_t many[64 * 128];
	uint8_t wire[sizeof many + 256];
	struct link_message m = sample(LINK_LOAD);
	struct writer w = writer_over(many, sizeof many);
	for (int i = 0; i <= LINK_PATHS_MAX; i++)
		link_add_path(&w, &(struct link_path){name("norda"), 1, 1});
	m.load.path_count = LINK_PATHS_MAX;
	m.load.paths = reader_over(many, LINK_PATHS_MAX * 10);
	cr_assert_gt(link_encode(&m, wire, sizeof wire), 0);
	m.load.path_count++;
	cr_assert_eq(link_encode(&m, wire, sizeof wire), RS_ELIMIT);
	m = sample(LINK_LOAD);
	m.load.isp_count = LINK_ISPS_MAX + 1;
	cr_assert_eq(link_encode(&m, wire, sizeof wire), RS_ELIMIT);
	m = sample(LINK_LOAD);
	size_t len = encode(&m, wire);
	wire[len - 2] = 0xff; /* more than all packets are lost */
	cr_assert_eq(decode(wire, len), RS_EINVAL);
}

Test(link_messages, the_zone_alone_may_be_empty)
{
	uint8_t wire[CAP];
	struct link_message m = sample(LINK_LOAD);
	m.load.zone.len = 0;
	cr_assert_eq(decode(wire, encode(&m, wire)), RS_OK);
	m = sample(LINK_FETCH);
	m.fetch.user.len = 0;
	cr_assert_eq(decode(wire, encode(&m, wire)), RS_EINVAL);
}

Test(link_messages, every_truncation_of_every_type_is_refused)
{
	for (size_t i = 0; i < TYPES; i++) {
		uint8_t wire[CAP];
		struct link_message m = sample(types[i]);
		size_t len = encode(&m, wire);
		for (size_t cut = 0; cut < len; cut++)
			cr_assert_eq(decode(wire, cut), RS_EINVAL, "type %d cut to %zu", types[i], cut);
	}
}

Test(link_messages, trailing_bytes_are_refused)
{
	for (size_t i = 0; i < TYPES; i++) {
		uint8_t wire[CAP] = {0};
		struct link_message m = sample(types[i]);
		size_t len = encode(&m, wire);
		cr_assert_eq(decode(wire, len + 1), RS_EINVAL, "type %d", types[i]);
	}
}

Test(link_messages, every_too_small_output_is_refused)
{
	for (size_t i = 0; i < TYPES; i++) {
		uint8_t wire[CAP];
		struct link_message m = sample(types[i]);
		size_t len = encode(&m, wire);
		for (size_t cap = 0; cap < len; cap++)
			cr_assert_eq(link_encode(&m, wire, cap), RS_ELIMIT, "type %d into %zu", types[i], cap);
	}
}

Test(link_messages, unknown_types_are_refused)
{
	for (int type = 0; type < 256; type++) {
		bool known = false;
		for (size_t i = 0; i < TYPES; i++)
			known |= types[i] == (enum link_type)type;
		uint8_t wire[64] = {(uint8_t)type};
		if (!known)
			for (size_t len = 1; len < sizeof wire; len++)
				cr_assert_eq(decode(wire, len), RS_EINVAL, "type %d", type);
	}
}

Test(link_messages, names_that_are_not_names_are_refused)
{
	static const char *const bad[] = {"has space", "{alice}", "tab\there", "\xff\xfe", "a\nb"};
	static const enum link_type with_name[] = {LINK_HELLO, LINK_WELCOME, LINK_FETCH,
						   LINK_ACK,   LINK_KICK,    LINK_LOAD};
	for (size_t t = 0; t < sizeof with_name / sizeof with_name[0]; t++) {
		for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
			uint8_t wire[CAP];
			struct link_message m = sample(with_name[t]);
			switch (m.type) {
			case LINK_FETCH: m.fetch.user = name(bad[i]); break;
			case LINK_ACK: m.ack.user = name(bad[i]); break;
			case LINK_KICK: m.kick.broker = name(bad[i]); break;
			case LINK_LOAD: m.load.zone = name(bad[i]); break;
			default: m.hello.id = name(bad[i]);
			}
			cr_assert_eq(decode(wire, encode(&m, wire)), RS_EINVAL, "type %d '%s'", m.type, bad[i]);
		}
	}
}

Test(link_messages, a_name_that_is_too_long_is_not_encoded)
{
	uint8_t wire[CAP];
	char text[NAME_MAX_BYTES + 1];
	memset(text, 'a', sizeof text);
	struct link_message m = sample(LINK_FETCH);
	m.fetch.user = (struct link_name){.text = text, .len = NAME_MAX_BYTES};
	cr_assert_eq(decode(wire, encode(&m, wire)), RS_OK);
	m.fetch.user.len++;
	cr_assert_eq(link_encode(&m, wire, sizeof wire), RS_ELIMIT);
}

Test(link_messages, another_version_is_refused)
{
	uint8_t wire[CAP];
	struct link_message m = sample(LINK_HELLO);
	size_t len = encode(&m, wire);
	wire[1]++;
	cr_assert_eq(decode(wire, len), RS_EINVAL);
}

Test(link_messages, flags_and_status_out_of_range_are_refused)
{
	static const struct {
		enum link_type type;
		size_t at;
		uint8_t value;
	} cases[] = {
		{LINK_BATCH, 1 + 13, 3}, {LINK_ACKED, 1 + 13, 3},    {LINK_PUSH, 1 + 13, 2},
		{LINK_LOAD, 1 + 14, 2},  {LINK_ACKED, 1 + 13, 0xff}, {LINK_PRESENCE, 1, 2},
		{LINK_BATCH, 1 + 12, 3}, {LINK_ACKED, 1 + 12, 3},    {LINK_PUSH, 1 + 12, 3},
		{LINK_FETCH, 1 + 12, 3}, {LINK_ACK, 1 + 12, 3},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t wire[CAP];
		struct link_message m = sample(cases[i].type);
		size_t len = encode(&m, wire);
		wire[cases[i].at] = cases[i].value;
		cr_assert_eq(decode(wire, len), RS_EINVAL, "case %zu", i);
	}
}

Test(link_messages, a_batch_whose_count_lies_is_refused)
{
	uint8_t wire[CAP];
	struct link_message m = sample(LINK_BATCH);
	size_t len = encode(&m, wire), count_at = 1 + 12 + 1 + 1 + 4;
	cr_assert_eq(wire[count_at + 1], 2);
	for (unsigned count = 0; count < 65536; count += count < 8 ? 1 : 251) {
		wire[count_at] = (uint8_t)(count >> 8);
		wire[count_at + 1] = (uint8_t)count;
		cr_assert_eq(decode(wire, len), count == 2 ? RS_OK : RS_EINVAL, "count %u", count);
	}
	m.batch.count = 3;
	cr_assert_eq(link_encode(&m, wire, sizeof wire), RS_ELIMIT);
}

Test(link_messages, a_record_longer_than_the_message_is_refused)
{
	static const uint8_t lies[] = {0x00, 0x01, 0x7f, 0xff};
	uint8_t wire[CAP];
	struct link_message m = sample(LINK_PUSH);
	size_t len = encode(&m, wire), length_at = 1 + 12 + 1 + 1 + 16;
	for (size_t i = 0; i < sizeof lies; i++) {
		wire[length_at] = lies[i];
		wire[length_at + 1] = lies[sizeof lies - 1 - i];
		cr_assert_eq(decode(wire, len), RS_EINVAL);
	}
}

Test(link_messages, more_than_the_limits_is_refused)
{
	static uint8_t ids[(LINK_ACK_MAX + 1) * LINK_ACK_BYTES], wire[sizeof ids + 256];
	struct link_message m = sample(LINK_ACK);
	m.ack.ids = ids;
	m.ack.count = LINK_ACK_MAX;
	int len = link_encode(&m, wire, sizeof wire);
	cr_assert_gt(len, 0);
	cr_assert_eq(decode(wire, (size_t)len), RS_OK);
	size_t count_at = 1 + 12 + 1 + 1 + 5;
	wire[count_at + 1]++; /* 1025, and one id more behind it */
	cr_assert_eq(decode(wire, (size_t)len + LINK_ACK_BYTES), RS_EINVAL);
	m.ack.count++;
	cr_assert_eq(link_encode(&m, wire, sizeof wire), RS_ELIMIT);
}
