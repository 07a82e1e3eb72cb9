/* SPDX-License-Identifier: Apache-2.0 */
/* Two streams of one process on loopback, plain and with TLS; and raw sockets
 * that misbehave. */
#include "net/stream.h"

#include "base/clock.h"
#include "net/listener.h"
#include "net/tls.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 10000, BIG = 10 * 1024 * 1024 };

enum where { NOWHERE, IN_OPEN, IN_DATA, IN_DRAIN, IN_CLOSE };

/* One end and all that happened to it. */
struct end {
	struct stream *s;
	struct buf got;
	bool echoes, counts;   /* counts: checks the pattern instead of keeping bytes */
	size_t received;
	unsigned opens, datas, drains, closes;
	int err;
	char why[256];
	enum where free_in;    /* stream_free() inside that callback */
	bool finish_on_data;
	bool keeps;            /* consumes nothing */
	bool pauses;           /* stream_pause() in each on_data */
	size_t held;           /* what it was shown and kept */
	size_t send_left, sent; /* a pattern to be sent as fast as it goes */
	unsigned refused;
};

static void maybe_free(struct end *e, enum where where)
{
	if (e->free_in != where)
		return;
	stream_free(e->s);
	e->s = NULL;
}

static void pump(struct end *e)
{
	static uint8_t piece[10000];
	while (e->s && e->send_left > 0) {
		size_t len = e->send_left < sizeof piece ? e->send_left : sizeof piece;
		for (size_t i = 0; i < len; i++)
			piece[i] = net_pattern(e->sent + i);
		int err = stream_write(e->s, piece, len);
		if (err == RS_EBUSY) {
			e->refused++;
			return;
		}
		cr_assert_eq(err, RS_OK);
		e->sent += len;
		e->send_left -= len;
	}
}

static void on_open(void *ctx)
{
	struct end *e = ctx;
	e->opens++;
	pump(e);
	maybe_free(e, IN_OPEN);
}

static void check_pattern(struct end *e, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != net_pattern(e->received + i))
			cr_assert_fail("byte %zu is wrong", e->received + i);
}

static void on_data(void *ctx, struct buf *in)
{
	struct end *e = ctx;
	size_t len = buf_len(in);
	e->datas++;
	e->held = len;
	if (e->pauses)
		stream_pause(e->s);
	if (e->keeps)
		return;
	if (e->echoes)
		cr_assert_eq(stream_write(e->s, buf_head(in), len), RS_OK);
	if (e->counts)
		check_pattern(e, buf_head(in), len);
	else
		cr_assert_eq(buf_append(&e->got, buf_head(in), len), RS_OK);
	e->received += len;
	buf_consume(in, len);
	if (e->finish_on_data)
		stream_finish(e->s);
	maybe_free(e, IN_DATA);
}

static void on_drain(void *ctx)
{
	struct end *e = ctx;
	e->drains++;
	pump(e);
	maybe_free(e, IN_DRAIN);
}

static void on_close(void *ctx, int err, const char *why)
{
	struct end *e = ctx;
	e->closes++;
	e->err = err;
	strncpy(e->why, why, sizeof e->why - 1);
	maybe_free(e, IN_CLOSE);
	e->s = NULL;
}

static const struct stream_handler handler = {
	.on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

/* A server that takes one connection, and a client for it. */
struct world {
	struct ev_loop *loop;
	struct tls_context *client_tls, *server_tls;
	struct listener *listener;
	struct addr at, peer;
	struct stream_limits client_limits, server_limits;
	struct end client, server;
	int accepted;
};

static void on_accept(void *ctx, int fd, const struct addr *from)
{
	struct world *w = ctx;
	w->accepted++;
	w->peer = *from;
	cr_assert_eq(stream_accept(&w->server.s, w->loop, fd, w->server_tls, &w->server_limits,
				   &handler, &w->server), RS_OK);
}

static void setup(struct world *w, bool with_tls)
{
	*w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
	if (with_tls) {
		cr_assert_eq(tls_context_new(&w->client_tls, "secret", 6), RS_OK);
		cr_assert_eq(tls_context_new(&w->server_tls, "secret", 6), RS_OK);
	}
	struct listener_config config = {.local = net_loopback(0)};
	cr_assert_eq(listener_open(&w->listener, w->loop, &config, on_accept, w), RS_OK);
	w->at = listener_local(w->listener);
}

static void dial(struct world *w)
{
	cr_assert_eq(stream_connect(&w->client.s, w->loop, &w->at, w->client_tls,
				    &w->client_limits, &handler, &w->client), RS_OK);
}

static void teardown(struct world *w)
{
	stream_free(w->client.s);
	stream_free(w->server.s);
	buf_deinit(&w->client.got);
	buf_deinit(&w->server.got);
	for (; w->accepted > 0; w->accepted--)
		listener_release(w->listener, &w->peer);
	listener_close(w->listener);
	tls_context_free(w->client_tls);
	tls_context_free(w->server_tls);
	ev_loop_destroy(w->loop);
}

static bool both_open(void *ctx)
{
	struct world *w = ctx;
	return w->client.opens && w->server.opens;
}

static bool both_closed(void *ctx)
{
	struct world *w = ctx;
	return w->client.closes && w->server.closes;
}

static bool client_closed(void *ctx) { return ((struct world *)ctx)->client.closes > 0; }
static bool server_closed(void *ctx) { return ((struct world *)ctx)->server.closes > 0; }
static bool client_has_11(void *ctx) { return ((struct world *)ctx)->client.received >= 11; }
static bool server_has_all(void *ctx) { return ((struct world *)ctx)->server.received >= BIG; }
static bool server_has_data(void *ctx) { return ((struct world *)ctx)->server.datas > 0; }

static void open_both(struct world *w)
{
	dial(w);
	cr_assert(net_run_until(w->loop, both_open, w, DEADLINE_MS), "client: %s server: %s",
		  w->client.why, w->server.why);
}

/* --- flow --- */

static void echo(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.server.echoes = true;
	open_both(&w);
	cr_assert_eq(stream_write(w.client.s, "hello", 5), RS_OK);
	cr_assert_eq(stream_write(w.client.s, " ", 1), RS_OK);
	cr_assert_eq(stream_write(w.client.s, "world", 5), RS_OK);
	cr_assert_eq(stream_out_len(w.client.s), 11);
	cr_assert(net_run_until(w.loop, client_has_11, &w, DEADLINE_MS));
	cr_assert_arr_eq(buf_head(&w.client.got), "hello world", 11);
	cr_assert_eq(w.server.datas, 1, "three small writes came in %u pieces", w.server.datas);
	cr_assert_eq(stream_out_len(w.client.s), 0);
	stream_free(w.client.s);
	w.client.s = NULL;
	cr_assert(net_run_until(w.loop, server_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_OK, "%s", w.server.why);
	cr_assert_eq(w.client.closes, 0, "no callback after stream_free()");
	cr_assert_eq(w.client.opens + w.server.opens, 2);
	teardown(&w);
}

Test(stream, echo_in_plaintext) { echo(false); }
Test(stream, echo_over_tls) { echo(true); }

/* Ten megabytes to a reader that stops now and then; the sender meets its limit. */
static void slow_reader(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.client_limits.out_max = 256 * 1024;
	w.server.counts = true;
	w.client.send_left = BIG;
	open_both(&w);
	uint64_t end = clock_mono_ms() + 3 * DEADLINE_MS;
	unsigned pauses = 0;
	while (w.server.received < BIG && clock_mono_ms() < end) {
		size_t before = w.server.received;
		stream_pause(w.server.s);
		net_run_for(w.loop, 10);
		cr_assert_eq(w.server.received, before, "nothing is handed over while paused");
		pauses++;
		stream_resume(w.server.s);
		for (int i = 0; i < 20; i++)
			ev_run(w.loop, EVRUN_NOWAIT);
	}
	cr_assert_eq(w.server.received, BIG);
	cr_assert_gt(pauses, 3);
	cr_assert_gt(w.client.refused, 0, "out_max was never met");
	cr_assert_gt(w.client.drains, 0);
	teardown(&w);
}

Test(stream, ten_megabytes_to_a_slow_reader_in_plaintext) { slow_reader(false); }
Test(stream, ten_megabytes_to_a_slow_reader_over_tls) { slow_reader(true); }

static void full_speed(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.server.counts = true;
	w.client.send_left = BIG;
	open_both(&w);
	cr_assert(net_run_until(w.loop, server_has_all, &w, DEADLINE_MS));
	teardown(&w);
}

Test(stream, ten_megabytes_at_full_speed_in_plaintext) { full_speed(false); }
Test(stream, ten_megabytes_at_full_speed_over_tls) { full_speed(true); }

Test(stream, a_full_queue_refuses_and_drains)
{
	static uint8_t piece[64 * 1024];
	struct world w;
	setup(&w, true);
	w.client_limits.out_max = 1024 * 1024;
	w.server_limits.in_max = 64 * 1024;
	open_both(&w);
	stream_pause(w.server.s);
	int err = RS_OK;
	for (int i = 0; i < 1000 && err == RS_OK; i++) {
		err = stream_write(w.client.s, piece, sizeof piece);
		ev_run(w.loop, EVRUN_NOWAIT);
	}
	cr_assert_eq(err, RS_EBUSY);
	cr_assert_leq(stream_out_len(w.client.s), 1024 * 1024 + 64 * 1024);
	unsigned drains = w.client.drains;
	stream_resume(w.server.s);
	uint64_t end = clock_mono_ms() + DEADLINE_MS;
	while (w.client.drains == drains && clock_mono_ms() < end)
		net_run_for(w.loop, 1);
	cr_assert_gt(w.client.drains, drains);
	cr_assert_eq(stream_write(w.client.s, piece, sizeof piece), RS_OK);
	teardown(&w);
}

Test(stream, what_can_never_fit_is_refused_as_such)
{
	static uint8_t large[2000];
	struct world w;
	setup(&w, false);
	w.client_limits.out_max = 1000;
	open_both(&w);
	cr_assert_eq(stream_write(w.client.s, large, 1001), RS_ELIMIT);
	struct iovec parts[] = {{large, 600}, {large, 401}};
	cr_assert_eq(stream_write_parts(w.client.s, parts, 2), RS_ELIMIT);
	cr_assert_eq(stream_out_len(w.client.s), 0);
	cr_assert_eq(stream_write(w.client.s, large, 1000), RS_OK);
	cr_assert_eq(stream_write(w.client.s, large, 1), RS_EBUSY);
	teardown(&w);
}

/* A reader that consumes nothing gets in_max and no more; resume shows it again. */
static void full_input(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.server_limits.in_max = 10000;
	w.server.keeps = true;
	w.server.counts = true;
	w.client.send_left = 100000;
	open_both(&w);
	net_run_for(w.loop, 100);
	cr_assert_eq(w.server.held, 10000);
	unsigned datas = w.server.datas;
	w.server.keeps = false;
	stream_resume(w.server.s);
	uint64_t end = clock_mono_ms() + DEADLINE_MS;
	while (w.server.received < 100000 && clock_mono_ms() < end)
		net_run_for(w.loop, 1);
	cr_assert_eq(w.server.received, 100000);
	cr_assert_gt(w.server.datas, datas);
	teardown(&w);
}

Test(stream, reading_stops_at_in_max_in_plaintext) { full_input(false); }
Test(stream, reading_stops_at_in_max_over_tls) { full_input(true); }

/* A reader that takes one bite at a time, to the end and the closing after it. */
static void one_bite_at_a_time(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.server_limits.in_max = 5000;
	w.server.pauses = w.server.counts = true;
	w.client.send_left = 60000;
	open_both(&w);
	stream_finish(w.client.s);
	for (unsigned bites = 1; bites <= 12; bites++) {
		net_run_for(w.loop, 10);
		cr_assert_eq(w.server.datas, bites);
		cr_assert_eq(w.server.received, 5000 * bites);
		cr_assert_eq(w.server.closes, 0);
		stream_resume(w.server.s);
	}
	cr_assert(net_run_until(w.loop, both_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_OK, "%s", w.server.why);
	teardown(&w);
}

Test(stream, a_pause_inside_on_data_holds_in_plaintext) { one_bite_at_a_time(false); }
Test(stream, a_pause_inside_on_data_holds_over_tls) { one_bite_at_a_time(true); }

static void end_while_paused(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.server.pauses = w.server.keeps = w.server.counts = true;
	open_both(&w);
	w.client.send_left = 1000;
	pump(&w.client);
	stream_finish(w.client.s);
	net_run_for(w.loop, 50);
	cr_assert_eq(w.server.held, 1000);
	cr_assert_eq(w.server.closes, 0, "what is held would be lost: %s", w.server.why);
	w.server.pauses = w.server.keeps = false;
	stream_resume(w.server.s);
	cr_assert(net_run_until(w.loop, both_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.received, 1000);
	teardown(&w);
}

Test(stream, the_end_waits_for_a_paused_reader_in_plaintext) { end_while_paused(false); }
Test(stream, the_end_waits_for_a_paused_reader_over_tls) { end_while_paused(true); }

/* --- ends --- */

static void finish_delivers(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.server.counts = true;
	w.client_limits.out_max = 2 * BIG;
	open_both(&w);
	w.client.send_left = BIG;
	pump(&w.client);
	stream_finish(w.client.s);
	cr_assert_eq(stream_write(w.client.s, "x", 1), RS_EDOWN);
	cr_assert(net_run_until(w.loop, both_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.received, BIG);
	cr_assert_eq(w.client.err, RS_OK, "%s", w.client.why);
	cr_assert_eq(w.server.err, RS_OK, "%s", w.server.why);
	teardown(&w);
}

Test(stream, finish_writes_all_first_in_plaintext) { finish_delivers(false); }
Test(stream, finish_writes_all_first_over_tls) { finish_delivers(true); }

Test(stream, the_last_answer_survives_input_that_nobody_reads)
{
	static uint8_t flood[300000];
	static const char answer[] = "ERR 400\r\n\r\n";
	struct world w;
	char got[64];
	setup(&w, false);
	w.server.finish_on_data = w.server.echoes = false;
	int fd = net_raw_connect(&w.at);
	cr_assert_eq(send(fd, flood, 1000, 0), 1000);
	cr_assert(net_run_until(w.loop, server_has_data, &w, DEADLINE_MS));
	cr_assert_eq(stream_write(w.server.s, answer, sizeof answer - 1), RS_OK);
	stream_finish(w.server.s);
	send(fd, flood, sizeof flood, MSG_DONTWAIT);
	net_run_for(w.loop, 50);
	send(fd, flood, sizeof flood, MSG_DONTWAIT | MSG_NOSIGNAL);
	net_run_for(w.loop, 50);
	cr_assert_eq(recv(fd, got, sizeof got, MSG_DONTWAIT), sizeof answer - 1, "%s", strerror(errno));
	cr_assert_arr_eq(got, answer, sizeof answer - 1);
	cr_assert_eq(w.server.closes, 0);
	cr_assert(net_run_until(w.loop, server_closed, &w, DEADLINE_MS), "it does not linger for ever");
	cr_assert_eq(w.server.err, RS_OK);
	close(fd);
	teardown(&w);
}

Test(stream, finish_does_not_wait_for_ever)
{
	static uint8_t much[4 * 1024 * 1024 - 1];
	struct world w;
	setup(&w, false);
	w.server_limits.open_timeout_ms = 200;
	w.server_limits.out_max = 16 * 1024 * 1024;
	int fd = net_raw_connect(&w.at); /* never reads */
	while (!w.server.opens)
		net_run_for(w.loop, 5);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(stream_write(w.server.s, much, sizeof much), RS_OK);
	stream_finish(w.server.s);
	cr_assert(net_run_until(w.loop, server_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_ETIMEOUT, "%s", w.server.why);
	close(fd);
	teardown(&w);
}

Test(stream, finish_before_it_is_open_closes)
{
	struct world w;
	setup(&w, true);
	dial(&w);
	stream_finish(w.client.s);
	cr_assert(net_run_until(w.loop, client_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.client.opens, 0);
	teardown(&w);
}

Test(stream, a_write_to_a_peer_that_is_gone_does_not_kill)
{
	struct world w;
	signal(SIGPIPE, SIG_DFL);
	setup(&w, false);
	int fd = net_raw_connect(&w.at);
	while (!w.server.opens)
		net_run_for(w.loop, 5);
	stream_pause(w.server.s); /* so that only a write can notice */
	close(fd);
	for (int i = 0; i < 5 && w.server.s; i++) {
		(void)!stream_write(w.server.s, "x", 1);
		net_run_for(w.loop, 20);
	}
	cr_assert(net_run_until(w.loop, server_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_ESYS);
	cr_assert(strstr(w.server.why, "pipe"), "%s", w.server.why);
	teardown(&w);
}

Test(stream, an_answer_given_at_once_reaches_a_peer_that_ended_its_side)
{
	struct world w;
	char got[16];
	setup(&w, false);
	w.server.echoes = true;
	int fd = net_raw_connect(&w.at);
	cr_assert_eq(send(fd, "hello", 5, 0), 5);
	shutdown(fd, SHUT_WR);
	cr_assert(net_run_until(w.loop, server_closed, &w, DEADLINE_MS));
	cr_assert_eq(recv(fd, got, sizeof got, 0), 5);
	close(fd);
	teardown(&w);
}

/* --- failures to open --- */

static void refused(bool with_tls)
{
	struct world w;
	setup(&w, with_tls);
	w.at = net_unused_port();
	dial(&w);
	cr_assert_eq(w.client.closes, 0, "told from the loop, not from inside stream_connect()");
	cr_assert(net_run_until(w.loop, client_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_ESYS);
	cr_assert(strstr(w.client.why, "refused"), "%s", w.client.why);
	cr_assert_eq(w.client.opens, 0);
	teardown(&w);
}

Test(stream, connect_refused_in_plaintext) { refused(false); }
Test(stream, connect_refused_over_tls) { refused(true); }

Test(stream, a_connect_that_fails_at_once_is_told_by_on_close_too)
{
	struct world w;
	setup(&w, false);
	cr_assert_eq(addr_parse("255.255.255.255:9", &w.at), RS_OK);
	dial(&w);
	cr_assert(net_run_until(w.loop, client_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_ESYS, "%s", w.client.why);
	teardown(&w);
}

Test(stream, a_server_that_never_does_tls_times_out)
{
	struct world w;
	setup(&w, true);
	int fd = net_raw_listen(&w.at);
	w.client_limits.open_timeout_ms = 200;
	uint64_t start = clock_mono_ms();
	dial(&w);
	cr_assert(net_run_until(w.loop, client_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_ETIMEOUT, "%s", w.client.why);
	cr_assert_geq(clock_mono_ms() - start, 195);
	close(fd);
	teardown(&w);
}

Test(stream, a_client_that_says_nothing_times_out)
{
	struct world w;
	setup(&w, true);
	w.server_limits.open_timeout_ms = 200;
	int fd = net_raw_connect(&w.at);
	cr_assert(net_run_until(w.loop, server_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_ETIMEOUT, "%s", w.server.why);
	close(fd);
	teardown(&w);
}

Test(stream, a_wrong_secret_fails_on_both_sides)
{
	struct world w;
	setup(&w, true);
	tls_context_free(w.client_tls);
	cr_assert_eq(tls_context_new(&w.client_tls, "not that", 8), RS_OK);
	dial(&w);
	cr_assert(net_run_until(w.loop, both_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_EAUTH, "%s", w.client.why);
	cr_assert_eq(w.server.err, RS_EAUTH, "%s", w.server.why);
	cr_assert(strstr(w.client.why, "secret"), "%s", w.client.why);
	cr_assert(strstr(w.server.why, "secret"), "%s", w.server.why);
	cr_assert_eq(w.client.opens + w.server.opens, 0);
	teardown(&w);
}

Test(stream, plaintext_to_a_tls_listener_is_refused)
{
	struct world w;
	setup(&w, true);
	tls_context_free(w.client_tls);
	w.client_tls = NULL;
	w.client.send_left = 1000;
	dial(&w);
	cr_assert(net_run_until(w.loop, both_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_EAUTH, "%s", w.server.why);
	cr_assert_eq(w.server.opens, 0);
	cr_assert_eq(w.server.received, 0);
	teardown(&w);
}

Test(stream, tls_to_a_plaintext_listener_is_refused)
{
	struct world w;
	setup(&w, true);
	tls_context_free(w.server_tls);
	w.server_tls = NULL;
	w.server.echoes = true; /* not TLS of any kind that a server speaks */
	dial(&w);
	cr_assert(net_run_until(w.loop, client_closed, &w, DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_EAUTH, "%s", w.client.why);
	teardown(&w);
}

/* --- freeing inside callbacks; the sanitizer looks on --- */

static bool end_freed(void *ctx)
{
	struct end *e = ctx;
	return (e->opens || e->closes) && !e->s;
}

static void free_inside(bool with_tls, bool client, enum where where)
{
	struct world w;
	setup(&w, with_tls);
	struct end *e = client ? &w.client : &w.server;
	e->free_in = where;
	w.client_limits.out_max = w.server_limits.out_max = 20000;
	w.client.send_left = w.server.send_left = 15000; /* over half: on_drain is due */
	if (where == IN_CLOSE) {
		w.client.finish_on_data = !client;
		w.server.finish_on_data = client;
	}
	dial(&w);
	cr_assert(net_run_until(w.loop, end_freed, e, DEADLINE_MS), "tls %d client %d where %d", with_tls,
		  client, where);
	net_run_for(w.loop, 20);
	cr_assert_eq(e->closes, where == IN_CLOSE, "callbacks after stream_free()");
	teardown(&w);
}

Test(stream, may_be_freed_inside_each_callback)
{
	for (int tls = 0; tls < 2; tls++)
		for (int client = 0; client < 2; client++)
			for (int where = IN_OPEN; where <= IN_CLOSE; where++)
				free_inside(tls, client, (enum where)where);
}

/* The other end of the same process, from inside a callback of this one. */
static struct end *victim;

static void free_victim(void *ctx, struct buf *in)
{
	(void)ctx;
	buf_consume(in, buf_len(in));
	stream_free(victim->s);
	victim->s = NULL;
}

static bool victim_gone(void *ctx)
{
	(void)ctx;
	return victim->s == NULL;
}

Test(stream, may_be_freed_inside_a_callback_of_another)
{
	static const struct stream_handler killer = {
		.on_open = on_open, .on_data = free_victim, .on_close = on_close};
	struct world w;
	struct end e = {0};
	setup(&w, false);
	w.server.echoes = true;
	open_both(&w);
	int fds[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(stream_accept(&e.s, w.loop, fds[0], NULL, NULL, &killer, &e), RS_OK);
	victim = &w.client;
	cr_assert_eq(write(fds[1], "x", 1), 1);
	cr_assert_eq(stream_write(w.client.s, "x", 1), RS_OK);
	cr_assert(net_run_until(w.loop, victim_gone, NULL, DEADLINE_MS));
	cr_assert(net_run_until(w.loop, server_closed, &w, DEADLINE_MS));
	stream_free(e.s);
	close(fds[1]);
	teardown(&w);
}

Test(stream, many_connections_share_the_loop_fairly)
{
	static uint8_t flood[64 * 1024];
	struct world w;
	setup(&w, false);
	w.server.counts = false;
	int loud = net_raw_connect(&w.at);
	while (!w.server.opens)
		net_run_for(w.loop, 5);
	fcntl(loud, F_SETFL, O_NONBLOCK);
	while (send(loud, flood, sizeof flood, 0) > 0)
		;
	ev_run(w.loop, EVRUN_NOWAIT);
	cr_assert_gt(w.server.received, 0);
	cr_assert_leq(w.server.received, 64 * 1024, "one turn took %zu bytes", w.server.received);
	close(loud);
	teardown(&w);
}
