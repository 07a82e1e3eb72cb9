/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through a stream: all of them, in order, as fast as the reader takes them
 * and within the limits of both sides; pauses. */
#include "support/two_streams.h"

#include "base/clock.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG = 10 * 1024 * 1024 };

static bool client_has_11(void *ctx) { return ((struct two_streams *)ctx)->client.received >= 11; }
static bool server_has_all(void *ctx) { return ((struct two_streams *)ctx)->server.received >= BIG; }

static void echo(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.server.echoes = true;
	two_open(&w);
	cr_assert_eq(stream_write(w.client.s, "hello", 5), RS_OK);
	cr_assert_eq(stream_write(w.client.s, " ", 1), RS_OK);
	cr_assert_eq(stream_write(w.client.s, "world", 5), RS_OK);
	cr_assert_eq(stream_out_len(w.client.s), 11);
	cr_assert(net_run_until(w.loop, client_has_11, &w, TWO_DEADLINE_MS));
	cr_assert_arr_eq(buf_head(&w.client.got), "hello world", 11);
	cr_assert_eq(w.server.datas, 1, "three small writes came in %u pieces", w.server.datas);
	cr_assert_eq(stream_out_len(w.client.s), 0);
	stream_free(w.client.s);
	w.client.s = NULL;
	cr_assert(net_run_until(w.loop, two_server_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_OK, "%s", w.server.why);
	cr_assert_eq(w.client.closes, 0, "no callback after stream_free()");
	cr_assert_eq(w.client.opens + w.server.opens, 2);
	two_stop(&w);
}

Test(stream_flow, echo_in_plaintext) { echo(false); }
Test(stream_flow, echo_over_tls) { echo(true); }

/* Ten megabytes to a reader that stops now and then; the sender meets its limit. */
static void slow_reader(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.client_limits.out_max = 256 * 1024;
	w.server.counts = true;
	w.client.send_left = BIG;
	two_open(&w);
	uint64_t end = clock_mono_ms() + 3 * TWO_DEADLINE_MS;
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
	two_stop(&w);
}

Test(stream_flow, ten_megabytes_to_a_slow_reader_in_plaintext) { slow_reader(false); }
Test(stream_flow, ten_megabytes_to_a_slow_reader_over_tls) { slow_reader(true); }

static void full_speed(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.server.counts = true;
	w.client.send_left = BIG;
	two_open(&w);
	cr_assert(net_run_until(w.loop, server_has_all, &w, TWO_DEADLINE_MS));
	two_stop(&w);
}

Test(stream_flow, ten_megabytes_at_full_speed_in_plaintext) { full_speed(false); }
Test(stream_flow, ten_megabytes_at_full_speed_over_tls) { full_speed(true); }

Test(stream_flow, a_full_queue_refuses_and_drains)
{
	static uint8_t piece[64 * 1024];
	struct two_streams w;
	two_start(&w, true);
	w.client_limits.out_max = 1024 * 1024;
	w.server_limits.in_max = 64 * 1024;
	two_open(&w);
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
	uint64_t end = clock_mono_ms() + TWO_DEADLINE_MS;
	while (w.client.drains == drains && clock_mono_ms() < end)
		net_run_for(w.loop, 1);
	cr_assert_gt(w.client.drains, drains);
	cr_assert_eq(stream_write(w.client.s, piece, sizeof piece), RS_OK);
	two_stop(&w);
}

Test(stream_flow, what_can_never_fit_is_refused_as_such)
{
	static uint8_t large[2000];
	struct two_streams w;
	two_start(&w, false);
	w.client_limits.out_max = 1000;
	two_open(&w);
	cr_assert_eq(stream_write(w.client.s, large, 1001), RS_ELIMIT);
	struct iovec parts[] = {{large, 600}, {large, 401}};
	cr_assert_eq(stream_write_parts(w.client.s, parts, 2), RS_ELIMIT);
	cr_assert_eq(stream_out_len(w.client.s), 0);
	cr_assert_eq(stream_write(w.client.s, large, 1000), RS_OK);
	cr_assert_eq(stream_write(w.client.s, large, 1), RS_EBUSY);
	two_stop(&w);
}

/* A reader that consumes nothing gets in_max and no more; resume shows it again. */
static void full_input(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.server_limits.in_max = 10000;
	w.server.keeps = true;
	w.server.counts = true;
	w.client.send_left = 100000;
	two_open(&w);
	net_run_for(w.loop, 100);
	cr_assert_eq(w.server.held, 10000);
	unsigned datas = w.server.datas;
	w.server.keeps = false;
	stream_resume(w.server.s);
	uint64_t end = clock_mono_ms() + TWO_DEADLINE_MS;
	while (w.server.received < 100000 && clock_mono_ms() < end)
		net_run_for(w.loop, 1);
	cr_assert_eq(w.server.received, 100000);
	cr_assert_gt(w.server.datas, datas);
	two_stop(&w);
}

Test(stream_flow, reading_stops_at_in_max_in_plaintext) { full_input(false); }
Test(stream_flow, reading_stops_at_in_max_over_tls) { full_input(true); }

/* A reader that takes one bite at a time, to the end and the closing after it. */
static void one_bite_at_a_time(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.server_limits.in_max = 5000;
	w.server.pauses = w.server.counts = true;
	w.client.send_left = 60000;
	two_open(&w);
	stream_finish(w.client.s);
	for (unsigned bites = 1; bites <= 12; bites++) {
		net_run_for(w.loop, 10);
		cr_assert_eq(w.server.datas, bites);
		cr_assert_eq(w.server.received, 5000 * bites);
		cr_assert_eq(w.server.closes, 0);
		stream_resume(w.server.s);
	}
	cr_assert(net_run_until(w.loop, two_both_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_OK, "%s", w.server.why);
	two_stop(&w);
}

Test(stream_flow, a_pause_inside_on_data_holds_in_plaintext) { one_bite_at_a_time(false); }
Test(stream_flow, a_pause_inside_on_data_holds_over_tls) { one_bite_at_a_time(true); }

static void end_while_paused(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.server.pauses = w.server.keeps = w.server.counts = true;
	two_open(&w);
	w.client.send_left = 1000;
	two_pump(&w.client);
	stream_finish(w.client.s);
	net_run_for(w.loop, 50);
	cr_assert_eq(w.server.held, 1000);
	cr_assert_eq(w.server.closes, 0, "what is held would be lost: %s", w.server.why);
	w.server.pauses = w.server.keeps = false;
	stream_resume(w.server.s);
	cr_assert(net_run_until(w.loop, two_both_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.received, 1000);
	two_stop(&w);
}

Test(stream_flow, the_end_waits_for_a_paused_reader_in_plaintext) { end_while_paused(false); }
Test(stream_flow, the_end_waits_for_a_paused_reader_over_tls) { end_while_paused(true); }

Test(stream_flow, many_connections_share_the_loop_fairly)
{
	static uint8_t flood[64 * 1024];
	struct two_streams w;
	two_start(&w, false);
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
	two_stop(&w);
}
