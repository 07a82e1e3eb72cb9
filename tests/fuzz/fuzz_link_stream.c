/* SPDX-License-Identifier: Apache-2.0 */
/* A link as its bytes come, from both ends: brokers that link with a hub, or a DC to
 * which a broker has linked. In any pieces, with breaks and silences between. The
 * first bit says which end is looked at. */
#include "fake_loop.h"
#include "fake_redis.h"
#include "fake_stream.h"

#include "app/hub.h"
#include "app/peers.h"
#include "base/bytes.h"
#include "net/link.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS = 48, LINKS = 3 };

struct world {
	struct hub *hub;
	struct peers *peers;
	struct rds *rds;
	struct stream *at[LINKS];
	unsigned known; /* brokers that are linked, as the handlers said */
	unsigned up;
};

void fuzz_start(void) {}

/* ---- the hub's owner ---- */

static int on_known(void *ctx, struct hub_link *l)
{
	struct world *w = ctx;
	fuzz_check(l->known && !name_fault(l->id, strlen(l->id)), "a broker without a name");
	fuzz_check(hub_find(w->hub, (struct link_name){l->id, strlen(l->id)}, l->boot) == l, "a broker is not found");
	w->known++;
	l->user = fuzz_copy("", 1);
	return l->boot == 666 ? RS_ENOMEM : RS_OK;
}

static int on_hub_message(void *ctx, struct hub_link *l, const struct link_message *m, const uint8_t *data,
			  size_t len)
{
	struct link_message again;
	(void)ctx;
	fuzz_check(l->known && l->user, "a message of nobody");
	fuzz_check(link_decode(data, len, &again) == RS_OK && again.type == m->type, "not what came");
	if (m->type == LINK_KICK)
		fuzz_check(hub_pass_on(l, data, len) == RS_OK, "not passed on");
	if (m->type == LINK_NUDGE)
		fuzz_check(hub_send(l, m) == RS_OK, "not sent");
	return m->type == LINK_LOAD ? RS_EINVAL : RS_OK;
}

static void on_gone(void *ctx, struct hub_link *l)
{
	struct world *w = ctx;
	fuzz_check(w->known > 0, "a broker is gone twice");
	w->known--;
	free(l->user);
}

/* ---- the peers' owner ---- */

static void on_up(void *ctx, size_t peer)
{
	struct world *w = ctx;
	w->up++;
	fuzz_check(peers_is_up(w->peers, peer) && peers_up_count(w->peers) == w->up, "up, but not up");
	fuzz_check(peers_pick(w->peers, 7) == (int)peer, "the one peer is not picked");
}

static int on_peer_message(void *ctx, size_t peer, const struct link_message *m)
{
	struct world *w = ctx;
	fuzz_check(peers_is_up(w->peers, peer), "a message of one that is not up");
	if (m->type == LINK_NUDGE)
		peers_send_all(w->peers, m);
	return m->type == LINK_LOAD ? RS_EINVAL : RS_OK;
}

static void on_down(void *ctx, size_t peer)
{
	struct world *w = ctx;
	fuzz_check(w->up > 0 && !peers_is_up(w->peers, peer), "down, but it was not up");
	w->up--;
}

static struct stream *dial(bool refused)
{
	for (unsigned i = 0; i < 3; i++) {
		fake_loop_advance(1000);
		fake_redis_registry();
	}
	if (refused)
		fake_stream_refused();
	return refused ? NULL : fake_stream_connected();
}

/* ---- what the input does ---- */

static void open_link(struct world *w, unsigned n, bool refused)
{
	struct addr from = fuzz_addr(n);
	fake_stream_break(w->at[n]);
	w->at[n] = w->hub ? fake_stream_accepted(0, &from) : n == 0 ? dial(refused) : NULL;
}

static void feed_framed(struct world *w, unsigned n, struct piece p)
{
	uint8_t length[4];
	be_put(length, p.len, 4);
	fake_stream_feed(w->at[n], length, sizeof length);
	fake_stream_feed(w->at[n], p.data, p.len);
}

static void feed_hello(struct world *w, unsigned n, uint8_t how)
{
	uint8_t bytes[64];
	struct link_message m = {.type = w->hub ? LINK_HELLO : LINK_WELCOME};
	m.hello = (struct link_hello){how & 2 ? 666 : how, {how & 1 ? "mb1" : "dc1", 3}};
	int len = link_encode(&m, bytes, sizeof bytes);
	fuzz_check(len > 0, "no HELLO");
	feed_framed(w, n, (struct piece){bytes, (size_t)len});
}

static void step(struct world *w, struct fuzz *in)
{
	uint8_t op = fuzz_byte(in);
	unsigned n = (op >> 4) % LINKS;
	switch (op & 15) {
	case 0: open_link(w, n, op & 0x80); break;
	case 1:
	case 2: {
		struct piece p = fuzz_piece(in, 65535);
		fake_stream_feed(w->at[n], p.data, p.len);
		break;
	}
	case 3:
	case 4:
	case 5: feed_framed(w, n, fuzz_piece(in, 65535)); break;
	case 6: feed_hello(w, n, fuzz_byte(in)); break;
	case 7:
		fake_loop_advance(fuzz_number(in, 1) * 50);
		fake_redis_registry();
		break;
	case 8: fake_stream_break(w->at[n]); break;
	case 9: fake_stream_end(w->at[n]); break;
	case 10: fake_stream_take(w->at[n], op & 0x80); break;
	default: break;
	}
}

static void check_output(unsigned n)
{
	const struct buf *out = fake_stream_output(n);
	size_t at = 0;
	struct link_message m;
	while (at + 4 <= buf_len(out)) {
		size_t len = (size_t)be_get(buf_head(out) + at, 4);
		fuzz_check(at + 4 + len <= buf_len(out), "a message is cut");
		fuzz_check(link_decode(buf_head(out) + at + 4, len, &m) == RS_OK, "a malformed message is sent");
		at += 4 + len;
	}
	fuzz_check(at == buf_len(out), "more than messages is sent");
}

static void open_world(struct world *w, bool hub)
{
	static const struct hub_handler hub_events = {on_known, on_hub_message, on_gone};
	static const struct peers_handler peer_events = {on_up, on_peer_message, on_down};
	struct hub_config config = {.id = "dc1", .boot = 3};
	int err = hub ? hub_new(&w->hub, fake_loop, &config, &hub_events, w) : rds_new(&w->rds, fake_loop, NULL, NULL, NULL);
	if (!err && !hub)
		err = peers_new(&w->peers, fake_loop, w->rds, "dc", NULL, "mb1", 5, &peer_events, w);
	fuzz_check(err == RS_OK, "nothing to link with");
	open_link(w, 0, false);
}

void fuzz_one(struct fuzz *in)
{
	struct world w = {.known = 0};
	fake_redis_reset();
	fake_stream_reset();
	fake_loop_reset();
	open_world(&w, fuzz_byte(in) & 1);
	for (unsigned i = 0; i < STEPS && fuzz_left(in) > 0; i++)
		step(&w, in);
	for (unsigned i = 0; i < LINKS; i++)
		fake_stream_take(w.at[i], true);
	rds_free(w.rds);
	hub_free(w.hub);
	peers_free(w.peers);
	fuzz_check(w.known == 0, "%u brokers are not gone", w.known);
	fuzz_check(fake_loop_timers() == 0, "a timer is left");
	check_output(0);
	check_output(FAKE_STREAM_OUT);
	fake_stream_reset();
}
