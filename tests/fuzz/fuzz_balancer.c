/* SPDX-License-Identifier: Apache-2.0 */
/* A balancer: datagrams, true ASKs of any payload, with and without cookie, LOADs of
 * brokers and listings of the registry, tables of prefixes. One answer for one ASK, not longer, and
 * it names only brokers that are there. */
#include "engine.h"

#include "lb/choose.h"
#include "session/balancer.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 64, ADDRESSES = 4 };

struct world {
	struct balancer balancer;
	struct table table;
	struct prefixes *prefixes;
	struct addr from;
	size_t allowed;
	struct noise noise;
	bool asked;
	uint8_t cookie[COOKIE_LEN];
};

void fuzz_start(void) { engine_start(); }

static void take_answer(struct world *w, const uint8_t *data, size_t len)
{
	uint8_t payload[PACKET_MAX];
	struct answer_payload a;
	fuzz_check(w->asked, "an answer that nobody asked for");
	len = engine_read_answer(&w->noise, data, len, payload);
	fuzz_check(answer_payload_read(payload, len, &a) == RS_OK, "a malformed answer");
	fuzz_check((a.status == 0) == (a.count > 0) && (a.count > 0 || a.retry_ms > 0), "an answer without sense");
	w->asked = false;
}

static void sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct world *w = ctx;
	engine_check_answer(to, &w->from, data, len, &w->allowed);
	if (data[0] == PACKET_COOKIE)
		memcpy(w->cookie, data + HELLO_HEADER, COOKIE_LEN);
	else
		take_answer(w, data, len);
}

static void choose(void *ctx, const struct addr *from, const struct ask_payload *ask,
		   struct answer_payload *out)
{
	struct world *w = ctx;
	fuzz_check(addr_equal(from, &w->from), "another asked");
	fuzz_check(ask->avoid_count <= ASK_AVOID_MAX, "avoids %u", ask->avoid_count);
	struct chooser c = {&w->table, w->prefixes, fuzz_random};
	choose_brokers(&c, from, ask, fuzz_now_ms, out);
}

/* What a person would be told. */
static void explain(struct world *w, unsigned who)
{
	struct buf out = {0};
	struct chooser c = {&w->table, w->prefixes, fuzz_random};
	struct addr from = fuzz_addr(who % ADDRESSES);
	fuzz_check(choose_explain(&c, &from, fuzz_now_ms, &out) == RS_OK && buf_len(&out) > 0, "no explanation");
	buf_deinit(&out);
}

/* Another table of prefixes, if it is a good one; else the former stays. */
static void take_prefixes(struct world *w, struct piece p)
{
	char fault[PREFIXES_FAULT_MAX];
	size_t line = 0;
	struct prefixes *new = NULL;
	if (prefixes_parse(&new, (const char *)p.data, p.len, &line, fault)) {
		fuzz_check(fault[0] && line > 0, "no word of what is wrong");
		return;
	}
	prefixes_free(w->prefixes);
	w->prefixes = new;
}

static void receive(struct world *w, unsigned who, const uint8_t *data, size_t len)
{
	uint8_t *exact = fuzz_copy(data, len);
	w->from = fuzz_addr(who % ADDRESSES);
	w->allowed = len;
	balancer_recv(&w->balancer, fuzz_now_ms, &w->from, exact, len);
	w->allowed = 0;
	free(exact);
}

static void receive_ask(struct world *w, struct fuzz *in)
{
	uint8_t packet[PACKET_MAX];
	unsigned who = fuzz_byte(in), how = fuzz_byte(in);
	size_t len = engine_write_hello(&w->noise, PACKET_ASK, how >> 2, how & 1 ? w->cookie : NULL,
					fuzz_piece(in, ASK_PAYLOAD), packet);
	w->asked = true;
	receive(w, who, packet, len);
	w->asked = false;
}

static void take_load(struct world *w, struct fuzz *in)
{
	char id[2] = {(char)('a' + fuzz_byte(in) % 8), '\0'};
	uint64_t boot = fuzz_byte(in) % 3;
	struct piece p = fuzz_piece(in, 256);
	struct link_message m;
	if (p.len == 0)
		table_on_link_lost(&w->table, id, boot, fuzz_now_ms);
	else if (link_decode(p.data, p.len, &m) == RS_OK && m.type == LINK_LOAD)
		table_on_load(&w->table, id, boot, &m.load, fuzz_now_ms);
}

static void take_listing(struct world *w, struct fuzz *in)
{
	struct member list[4];
	size_t count = fuzz_byte(in) % 5;
	memset(list, 0, sizeof list);
	for (size_t i = 0; i < count; i++) {
		list[i].id[0] = (char)('a' + fuzz_byte(in) % 12);
		list[i].boot = fuzz_byte(in) % 3;
		list[i].beat_ms = fuzz_wall_ms() - fuzz_number(in, 2);
		list[i].alive = fuzz_byte(in) & 1;
		list[i].address = fuzz_addr(fuzz_byte(in));
		list[i].sessions = (uint32_t)fuzz_number(in, 1);
		list[i].capacity = (uint32_t)fuzz_number(in, 1) << (i * 8);
	}
	table_on_members(&w->table, list, count, fuzz_wall_ms(), fuzz_now_ms);
}

static void step(struct world *w, struct fuzz *in)
{
	uint8_t packet[PACKET_MAX + 64];
	uint8_t op = fuzz_byte(in);
	switch (op % 6) {
	case 0: {
		unsigned who = fuzz_byte(in);
		struct piece p = fuzz_piece(in, PACKET_MAX + 64);
		if (op & 0x80)
			receive(w, who, packet, engine_shape(p, 0, who, packet));
		else
			receive(w, who, p.data, p.len);
		break;
	}
	case 1:
	case 2: receive_ask(w, in); break;
	case 3: take_load(w, in); break;
	case 4: take_listing(w, in); break;
	case 5:
		if (op & 0x80)
			take_prefixes(w, fuzz_piece(in, 1024));
		else if (op & 0x40)
			explain(w, fuzz_byte(in));
		else
			fuzz_now_ms += fuzz_number(in, 2);
		break;
	}
}

void fuzz_one(struct fuzz *in)
{
	static const struct balancer_handler handler = {sends, choose};
	struct world *w = calloc(1, sizeof *w);
	unsigned how = fuzz_byte(in);
	struct balancer_config config = {.key = engine_key};
	config.gate.random = fuzz_random;
	config.gate.free_per_s = how & 1 ? 1 : 0;
	config.gate.most_per_s = how & 2 ? 2 : 0;
	config.gate.address_per_s = how & 4 ? 1 : 0;
	fuzz_check(w && balancer_init(&w->balancer, &config, &handler, w, fuzz_now_ms) == RS_OK, "no balancer");
	for (unsigned i = 0; i < STEPS && fuzz_left(in) > 0; i++)
		step(w, in);
	fuzz_check(w->table.count <= TABLE_MAX, "%zu brokers", w->table.count);
	table_alive_count(&w->table, fuzz_now_ms);
	prefixes_free(w->prefixes);
	balancer_deinit(&w->balancer);
	free(w);
}
