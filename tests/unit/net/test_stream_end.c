/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that ends its sending side and goes on reading, as `nc -N` does. */
#include "net/stream.h"

#include "net/listener.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 10000 };

static struct ev_loop *loop;
static struct listener *listener;
static struct stream *server;
static struct addr at, from;
static size_t received;
static unsigned ends, closes;
static bool pauses;

static void on_data(void *ctx, struct buf *in)
{
	(void)ctx;
	cr_expect_eq(ends, 0, "data after the end");
	if (pauses) {
		stream_pause(server);
		return;
	}
	received += buf_len(in);
	buf_consume(in, buf_len(in));
}

static void on_end(void *ctx) { (void)ctx, ends++; }

static void on_close(void *ctx, int err, const char *why)
{
	(void)ctx, (void)why;
	cr_expect_eq(err, RS_OK);
	closes++;
	server = NULL;
}

static const struct stream_handler handler = {.on_data = on_data, .on_end = on_end, .on_close = on_close};

static void on_accept(void *ctx, int fd, const struct addr *peer)
{
	(void)ctx;
	from = *peer;
	cr_assert_eq(stream_accept(&server, loop, fd, NULL, NULL, &handler, NULL), RS_OK);
}

static void start(void)
{
	struct listener_config config = {.local = net_loopback(0)};
	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_eq(listener_open(&listener, loop, &config, on_accept, NULL), RS_OK);
	at = listener_local(listener);
}

static void stop(void)
{
	stream_free(server);
	listener_release(listener, &from);
	listener_close(listener);
	ev_loop_destroy(loop);
}
TestSuite(stream_end, .init = start, .fini = stop, .timeout = 60);

static bool has_ended(void *ctx) { return (void)ctx, ends > 0; }
static bool has_closed(void *ctx) { return (void)ctx, closes > 0; }
static bool has_paused(void *ctx) { return (void)ctx, server && pauses && received == 0 && ends == 0; }

static int half_closed_client(const char *text)
{
	int fd = net_raw_connect(&at);
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	return fd;
}

static void expect_answer(int fd)
{
	char got[16] = "";
	cr_assert_eq(stream_write(server, "answer", 6), RS_OK);
	stream_finish(server);
	cr_assert(net_run_until(loop, has_closed, NULL, DEADLINE_MS));
	cr_expect_eq(recv(fd, got, sizeof got, MSG_WAITALL), 6);
	cr_expect_str_eq(got, "answer");
	close(fd);
}

Test(stream_end, an_answer_written_later_arrives)
{
	int fd = half_closed_client("question");
	cr_assert(net_run_until(loop, has_ended, NULL, DEADLINE_MS));
	cr_expect_eq(received, 8);
	net_run_for(loop, 100);
	cr_expect_eq(ends, 1, "told once");
	cr_expect_eq(closes, 0);
	expect_answer(fd);
}

Test(stream_end, one_that_paused_hears_of_it_after_the_data)
{
	pauses = true;
	int fd = half_closed_client("question");
	cr_assert(net_run_until(loop, has_paused, NULL, DEADLINE_MS));
	net_run_for(loop, 100);
	cr_expect_eq(ends, 0);
	pauses = false;
	stream_resume(server);
	cr_assert(net_run_until(loop, has_ended, NULL, DEADLINE_MS));
	cr_expect_eq(received, 8);
	expect_answer(fd);
}

Test(stream_end, may_be_freed_in_between)
{
	int fd = half_closed_client("question");
	cr_assert(net_run_until(loop, has_ended, NULL, DEADLINE_MS));
	stream_free(server);
	server = NULL;
	net_run_for(loop, 20);
	cr_expect_eq(closes, 0);
	close(fd);
}
