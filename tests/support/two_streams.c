/* SPDX-License-Identifier: Apache-2.0 */
#include "support/two_streams.h"

#include "base/clock.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>

static void maybe_free(struct two_end *e, enum two_where where)
{
	if (e->free_in != where)
		return;
	stream_free(e->s);
	e->s = NULL;
}

void two_pump(struct two_end *e)
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
	struct two_end *e = ctx;
	e->opens++;
	two_pump(e);
	maybe_free(e, TWO_IN_OPEN);
}

static void check_pattern(struct two_end *e, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != net_pattern(e->received + i))
			cr_assert_fail("byte %zu is wrong", e->received + i);
}

static void on_data(void *ctx, struct buf *in)
{
	struct two_end *e = ctx;
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
	maybe_free(e, TWO_IN_DATA);
}

static void on_drain(void *ctx)
{
	struct two_end *e = ctx;
	e->drains++;
	two_pump(e);
	maybe_free(e, TWO_IN_DRAIN);
}

static void on_close(void *ctx, int err, const char *why)
{
	struct two_end *e = ctx;
	e->closes++;
	e->err = err;
	strncpy(e->why, why, sizeof e->why - 1);
	maybe_free(e, TWO_IN_CLOSE);
	e->s = NULL;
}

const struct stream_handler two_handler = {
	.on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

static void on_accept(void *ctx, int fd, const struct addr *from)
{
	struct two_streams *w = ctx;
	w->accepted++;
	w->peer = *from;
	cr_assert_eq(stream_accept(&w->server.s, w->loop, fd, w->server_tls, &w->server_limits,
				   &two_handler, &w->server), RS_OK);
}

void two_start(struct two_streams *w, bool with_tls)
{
	*w = (struct two_streams){.loop = ev_loop_new(EVFLAG_AUTO)};
	if (with_tls) {
		cr_assert_eq(tls_context_new(&w->client_tls, "secret", 6), RS_OK);
		cr_assert_eq(tls_context_new(&w->server_tls, "secret", 6), RS_OK);
	}
	struct listener_config config = {.local = net_loopback(0)};
	cr_assert_eq(listener_open(&w->listener, w->loop, &config, on_accept, w), RS_OK);
	w->at = listener_local(w->listener);
}

void two_dial(struct two_streams *w)
{
	cr_assert_eq(stream_connect(&w->client.s, w->loop, &w->at, w->client_tls,
				    &w->client_limits, &two_handler, &w->client), RS_OK);
}

void two_stop(struct two_streams *w)
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
	struct two_streams *w = ctx;
	return w->client.opens && w->server.opens;
}

bool two_both_closed(void *ctx)
{
	struct two_streams *w = ctx;
	return w->client.closes && w->server.closes;
}

bool two_client_closed(void *ctx) { return ((struct two_streams *)ctx)->client.closes > 0; }
bool two_server_closed(void *ctx) { return ((struct two_streams *)ctx)->server.closes > 0; }

void two_open(struct two_streams *w)
{
	two_dial(w);
	cr_assert(net_run_until(w->loop, both_open, w, TWO_DEADLINE_MS), "client: %s server: %s",
		  w->client.why, w->server.why);
}
