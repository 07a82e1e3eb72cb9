/* SPDX-License-Identifier: Apache-2.0 */
#include "net/link.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/listener.h"
#include "net/tls.h"
#include "support/net_support.h"
#include "wire/link.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 10000, MANY = 10000 };

enum where { NOWHERE, IN_UP, IN_MESSAGE, IN_DOWN };

struct end {
	struct link *l;
	unsigned ups, downs, messages, bytes;
	uint32_t next;       /* the number that the next message must bear */
	bool in_order, accepted, echoes, refuses;
	enum where free_in;
	uint64_t up_ms, down_ms;
	char why[256];
};

struct world {
	struct ev_loop *loop;
	struct tls_context *tls;
	struct listener *listener;
	struct addr at, from;
	struct end client, server;
	unsigned accepted, want;
};

static void maybe_free(struct end *e, enum where where)
{
	if (e->free_in != where)
		return;
	link_free(e->l);
	e->l = NULL;
}

static void on_up(void *ctx)
{
	struct end *e = ctx;
	e->ups++;
	e->up_ms = clock_mono_ms();
	cr_assert(link_is_up(e->l));
	maybe_free(e, IN_UP);
}

static int on_message(void *ctx, const uint8_t *data, size_t len)
{
	struct end *e = ctx;
	e->messages++;
	e->bytes += (unsigned)len;
	if (len == 4) {
		if (be_get(data, 4) != e->next)
			e->in_order = false;
		e->next++;
	}
	if (e->echoes)
		cr_assert_eq(link_send(e->l, data, len), RS_OK);
	maybe_free(e, IN_MESSAGE);
	return e->refuses ? RS_EINVAL : RS_OK;
}

static void on_down(void *ctx, const char *why)
{
	struct end *e = ctx;
	e->downs++;
	e->down_ms = clock_mono_ms();
	strncpy(e->why, why, sizeof e->why - 1);
	maybe_free(e, IN_DOWN);
	if (e->accepted)
		e->l = NULL;
	else if (e->l)
		cr_assert_not(link_is_up(e->l));
}

static const struct link_handler handler = {
	.on_up = on_up, .on_message = on_message, .on_down = on_down};

static void on_accept(void *ctx, int fd, const struct addr *from)
{
	struct world *w = ctx;
	w->accepted++;
	w->from = *from;
	w->server.accepted = true;
	if (w->server.l) {
		close(fd);
		return;
	}
	cr_assert_eq(link_accept(&w->server.l, w->loop, fd, w->tls, &handler, &w->server), RS_OK);
}

static void listen_at(struct world *w, struct addr at)
{
	struct listener_config config = {.local = at};
	cr_assert_eq(listener_open(&w->listener, w->loop, &config, on_accept, w), RS_OK);
	w->at = listener_local(w->listener);
}

static void stop_listening(struct world *w)
{
	for (; w->accepted > 0; w->accepted--)
		listener_release(w->listener, &w->from);
	listener_close(w->listener);
	w->listener = NULL;
}

static void setup(struct world *w, bool with_tls)
{
	log_setup("test", LOG_ERROR, LOG_LOGFMT);
	*w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
	w->client.in_order = w->server.in_order = true;
	if (with_tls)
		cr_assert_eq(tls_context_new(&w->tls, "secret", 6), RS_OK);
	listen_at(w, net_loopback(0));
}

static void teardown(struct world *w)
{
	link_free(w->client.l);
	link_free(w->server.l);
	stop_listening(w);
	tls_context_free(w->tls);
	ev_loop_destroy(w->loop);
}

static bool both_up(void *ctx)
{
	struct world *w = ctx;
	return w->client.l && w->server.l && link_is_up(w->client.l) && link_is_up(w->server.l);
}

static bool both_down(void *ctx)
{
	struct world *w = ctx;
	return w->client.downs && w->server.downs;
}

static bool server_down(void *ctx) { return ((struct world *)ctx)->server.downs > 0; }
static bool client_down(void *ctx) { return ((struct world *)ctx)->client.downs > 0; }
static bool was_accepted(void *ctx) { return ((struct world *)ctx)->accepted > 0; }

static bool client_has_wanted(void *ctx)
{
	struct world *w = ctx;
	return w->client.messages >= w->want;
}

static void dial(struct world *w)
{
	cr_assert_eq(link_connect(&w->client.l, w->loop, &w->at, w->tls, &handler, &w->client), RS_OK);
}

static void connect_both(struct world *w)
{
	dial(w);
	cr_assert(net_run_until(w->loop, both_up, w, DEADLINE_MS));
}

/* --- messages --- */

static void in_order(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.server.echoes = true;
	connect_both(&w);
	for (uint32_t i = 0; i < MANY; i++) {
		uint8_t message[4];
		be_put(message, i, 4);
		cr_assert_eq(link_send(w.client.l, message, 4), RS_OK);
	}
	w.want = MANY;
	cr_assert(net_run_until(w.loop, client_has_wanted, &w, DEADLINE_MS));
	cr_assert(w.client.in_order && w.server.in_order);
	cr_assert_eq(w.server.messages, MANY);
	cr_assert_eq(w.client.messages, MANY);
	teardown(&w);
}

Test(link, ten_thousand_messages_in_order_in_plaintext) { in_order(false); }
Test(link, ten_thousand_messages_in_order_over_tls) { in_order(true); }

Test(link, the_largest_message_passes_and_a_larger_one_is_refused)
{
	static uint8_t large[LINK_MESSAGE_MAX + 1];
	struct world w;
	memset(large, 20, sizeof large);
	setup(&w, true);
	w.server.echoes = true;
	connect_both(&w);
	cr_assert_eq(link_send(w.client.l, large, sizeof large), RS_ELIMIT);
	cr_assert_eq(link_send(w.client.l, large, 0), RS_ELIMIT);
	cr_assert_eq(link_send(w.client.l, large, LINK_MESSAGE_MAX), RS_OK);
	w.want = 1;
	cr_assert(net_run_until(w.loop, client_has_wanted, &w, DEADLINE_MS));
	cr_assert_eq(w.client.bytes, LINK_MESSAGE_MAX);
	teardown(&w);
}

Test(link, a_full_queue_says_busy)
{
	static uint8_t large[LINK_MESSAGE_MAX];
	struct world w;
	setup(&w, false);
	connect_both(&w);
	int err = RS_OK, sent = 0;
	while (err == RS_OK && sent < 100) {
		err = link_send(w.client.l, large, sizeof large);
		sent++;
	}
	cr_assert_eq(err, RS_EBUSY);
	cr_assert_eq(sent, 16, "15 whole messages of 1 MiB and their lengths fit into 16 MiB");
	cr_expect_eq(link_send(w.client.l, large, LINK_MESSAGE_MAX - 15 * 5), RS_OK, "16 MiB to some bytes");
	cr_expect_eq(link_send(w.client.l, large, LINK_SHORT_MAX + 1), RS_EBUSY);
	for (sent = 0; sent < 1000000 && link_send(w.client.l, large, LINK_SHORT_MAX) == RS_OK;)
		sent++;
	cr_expect(sent > 3000 && sent < 5000, "%d short ones had room", sent);
	teardown(&w);
}

Test(link, nothing_is_sent_while_down)
{
	struct world w;
	setup(&w, false);
	dial(&w);
	cr_assert_not(link_is_up(w.client.l));
	cr_assert_eq(link_send(w.client.l, "x", 1), RS_EDOWN);
	teardown(&w);
}

/* --- loss and return --- */

static void comes_back(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	connect_both(&w);
	stop_listening(&w);
	link_free(w.server.l);
	w.server.l = NULL;
	cr_assert(net_run_until(w.loop, client_down, &w, DEADLINE_MS));
	net_run_for(w.loop, 600); /* some attempts in vain */
	cr_assert_eq(w.client.downs, 1, "failed attempts are not told");
	cr_assert_eq(w.client.ups, 1);
	listen_at(&w, w.at);
	cr_assert(net_run_until(w.loop, both_up, &w, DEADLINE_MS));
	cr_assert_eq(w.client.ups, 2);
	w.server.echoes = true;
	cr_assert_eq(link_send(w.client.l, "again", 5), RS_OK);
	w.want = 1;
	cr_assert(net_run_until(w.loop, client_has_wanted, &w, DEADLINE_MS));
	teardown(&w);
}

Test(link, comes_back_with_the_listener_in_plaintext) { comes_back(false); }
Test(link, comes_back_with_the_listener_over_tls) { comes_back(true); }

Test(link, tries_on_when_nobody_listens_yet)
{
	struct world w;
	setup(&w, false);
	stop_listening(&w);
	dial(&w);
	net_run_for(w.loop, 300);
	listen_at(&w, w.at);
	cr_assert(net_run_until(w.loop, both_up, &w, DEADLINE_MS));
	cr_assert_eq(w.client.downs, 0);
	teardown(&w);
}

/* A server that accepts and closes at once is not hammered. */
Test(link, backs_off_from_a_peer_that_hangs_up_each_time)
{
	struct world w;
	setup(&w, false);
	w.server.free_in = IN_UP;
	dial(&w);
	net_run_for(w.loop, 1500);
	cr_assert_gt(w.accepted, 1);
	cr_assert_lt(w.accepted, 10, "%u attempts in 1.5 s", w.accepted);
	teardown(&w);
}

Test(link, a_dead_peer_is_noticed)
{
	struct world w;
	setup(&w, false);
	int fd = net_raw_listen(&w.at);
	dial(&w);
	cr_assert(net_run_until(w.loop, client_down, &w, LINK_DEAD_MS + 3000));
	uint64_t after_ms = w.client.down_ms - w.client.up_ms;
	cr_assert_geq(after_ms, LINK_DEAD_MS - 100);
	cr_assert_leq(after_ms, LINK_DEAD_MS + 1500, "%u ms", (unsigned)after_ms);
	cr_assert(strstr(w.client.why, "silent"), "%s", w.client.why);
	/* It did ask. */
	uint8_t got[64], ping[5] = {0, 0, 0, 1, LINK_PING};
	int peer = accept(fd, NULL, NULL);
	ssize_t n = recv(peer, got, sizeof got, 0);
	cr_assert_geq(n, 3 * 5);
	cr_assert_leq(n, 6 * 5);
	cr_assert_arr_eq(got, ping, 5);
	close(peer);
	close(fd);
	teardown(&w);
}

Test(link, an_idle_link_stays_up)
{
	struct world w;
	setup(&w, true);
	connect_both(&w);
	net_run_for(w.loop, LINK_DEAD_MS + 1500);
	cr_assert(both_up(&w));
	cr_assert_eq(w.client.downs + w.server.downs, 0);
	cr_assert_eq(w.client.messages + w.server.messages, 0, "pings stay inside");
	teardown(&w);
}

Test(link, a_process_that_slept_does_not_blame_its_peer)
{
	struct world w;
	setup(&w, false);
	int listening = net_raw_listen(&w.at);
	dial(&w);
	while (!w.client.ups)
		net_run_for(w.loop, 5);
	int peer = accept(listening, NULL, NULL);
	net_run_for(w.loop, 700);
	usleep((LINK_DEAD_MS + 500) * 1000);
	uint8_t pong[5] = {0, 0, 0, 1, LINK_PONG};
	cr_assert_eq(send(peer, pong, 5, 0), 5);
	net_run_for(w.loop, 700);
	cr_assert_eq(w.client.downs, 0, "%s", w.client.why);
	close(peer);
	close(listening);
	teardown(&w);
}

/* --- what comes from outside --- */

Test(link, what_is_no_message_closes_an_accepted_link)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"\x00\x10\x00\x01xxxx", 8},           /* one byte over LINK_MESSAGE_MAX */
		{"\xff\xff\xff\xffxxxx", 8},
		{"\x00\x00\x00\x00", 4},
		{"GET / HTTP/1.1\r\n\r\n", 18},
		{"\x00\x00\x00\x02\x03\x03", 6},       /* a PING with something in it */
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct world w;
		setup(&w, false);
		int fd = net_raw_connect(&w.at);
		cr_assert_eq(send(fd, cases[i].bytes, cases[i].len, 0), (ssize_t)cases[i].len);
		cr_assert(net_run_until(w.loop, server_down, &w, DEADLINE_MS), "case %zu", i);
		cr_assert_eq(w.server.messages, 0);
		close(fd);
		teardown(&w);
	}
}

Test(link, a_message_that_its_owner_refuses_closes_it)
{
	struct world w;
	setup(&w, true);
	w.server.refuses = true;
	connect_both(&w);
	cr_assert_eq(link_send(w.client.l, "garbage", 7), RS_OK);
	cr_assert_eq(link_send(w.client.l, "more", 4), RS_OK);
	cr_assert(net_run_until(w.loop, both_down, &w, DEADLINE_MS));
	cr_assert_eq(w.server.messages, 1, "nothing is handed over after a refusal");
	teardown(&w);
}

Test(link, messages_may_come_byte_by_byte)
{
	static const uint8_t bytes[] = {0, 0, 0, 3, 20, 21, 22, 0, 0, 0, 1, LINK_PING, 0, 0, 0, 1, 30};
	struct world w;
	uint8_t got[64];
	setup(&w, false);
	int fd = net_raw_connect(&w.at);
	for (size_t i = 0; i < sizeof bytes; i++) {
		cr_assert_eq(send(fd, bytes + i, 1, 0), 1);
		net_run_for(w.loop, 2);
	}
	net_run_for(w.loop, 50);
	cr_assert_eq(w.server.messages, 2);
	cr_assert_eq(w.server.bytes, 4);
	cr_assert_eq(recv(fd, got, sizeof got, MSG_DONTWAIT), 5, "the PING was answered");
	cr_assert_eq(got[4], LINK_PONG);
	close(fd);
	teardown(&w);
}

Test(link, a_wrong_secret_never_comes_up)
{
	struct world w;
	setup(&w, true);
	struct tls_context *right = w.tls;
	cr_assert_eq(tls_context_new(&w.tls, "wrong", 5), RS_OK);
	cr_assert_eq(link_connect(&w.client.l, w.loop, &w.at, right, &handler, &w.client), RS_OK);
	cr_assert(net_run_until(w.loop, server_down, &w, DEADLINE_MS));
	cr_assert(strstr(w.server.why, "secret"), "%s", w.server.why);
	net_run_for(w.loop, 300);
	cr_assert_eq(w.client.ups + w.server.ups + w.client.downs, 0);
	teardown(&w);
	tls_context_free(right);
}

/* --- freeing inside callbacks; the sanitizer looks on --- */

static bool end_freed(void *ctx)
{
	struct end *e = ctx;
	return (e->ups || e->downs) && !e->l;
}

static void free_inside(bool client, enum where where)
{
	struct world w;
	setup(&w, true);
	struct end *e = client ? &w.client : &w.server, *other = client ? &w.server : &w.client;
	e->free_in = where;
	dial(&w);
	if (where != IN_UP) {
		cr_assert(net_run_until(w.loop, both_up, &w, DEADLINE_MS));
		for (int i = 0; i < 3; i++)
			cr_assert_eq(link_send(other->l, "hello", 5), RS_OK);
	}
	if (where == IN_DOWN)
		e->refuses = true;
	cr_assert(net_run_until(w.loop, end_freed, e, DEADLINE_MS));
	e->accepted = true;
	net_run_for(w.loop, 20);
	cr_assert_leq(e->messages, 1);
	teardown(&w);
}

Test(link, may_be_freed_inside_each_callback)
{
	for (int client = 0; client < 2; client++)
		for (int where = IN_UP; where <= IN_DOWN; where++)
			free_inside(client, (enum where)where);
}

Test(link, may_be_freed_while_it_waits_to_retry)
{
	struct world w;
	setup(&w, false);
	w.at = net_unused_port();
	dial(&w);
	net_run_for(w.loop, 50);
	link_free(w.client.l);
	w.client.l = NULL;
	net_run_for(w.loop, 300);
	cr_assert_not(was_accepted(&w));
	teardown(&w);
}
