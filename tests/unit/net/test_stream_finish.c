/* SPDX-License-Identifier: Apache-2.0 */
/* How a stream ends: what was written before stream_finish() arrives, and a peer that
 * is gone or does not read harms nobody. */
#include "support/two_streams.h"

#include "support/net_support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG = 10 * 1024 * 1024 };

static bool server_has_data(void *ctx) { return ((struct two_streams *)ctx)->server.datas > 0; }

static void finish_delivers(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.server.counts = true;
	w.client_limits.out_max = 2 * BIG;
	two_open(&w);
	w.client.send_left = BIG;
	two_pump(&w.client);
	stream_finish(w.client.s);
	cr_assert_eq(stream_write(w.client.s, "x", 1), RS_EDOWN);
	cr_assert(net_run_until(w.loop, two_both_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.received, BIG);
	cr_assert_eq(w.client.err, RS_OK, "%s", w.client.why);
	cr_assert_eq(w.server.err, RS_OK, "%s", w.server.why);
	two_stop(&w);
}

Test(stream_finish, finish_writes_all_first_in_plaintext) { finish_delivers(false); }
Test(stream_finish, finish_writes_all_first_over_tls) { finish_delivers(true); }

Test(stream_finish, the_last_answer_survives_input_that_nobody_reads)
{
	static uint8_t flood[300000];
	static const char answer[] = "ERR 400\r\n\r\n";
	struct two_streams w;
	char got[64];
	two_start(&w, false);
	w.server.finish_on_data = w.server.echoes = false;
	int fd = net_raw_connect(&w.at);
	cr_assert_eq(send(fd, flood, 1000, 0), 1000);
	cr_assert(net_run_until(w.loop, server_has_data, &w, TWO_DEADLINE_MS));
	cr_assert_eq(stream_write(w.server.s, answer, sizeof answer - 1), RS_OK);
	stream_finish(w.server.s);
	send(fd, flood, sizeof flood, MSG_DONTWAIT);
	net_run_for(w.loop, 50);
	send(fd, flood, sizeof flood, MSG_DONTWAIT | MSG_NOSIGNAL);
	net_run_for(w.loop, 50);
	cr_assert_eq(recv(fd, got, sizeof got, MSG_DONTWAIT), sizeof answer - 1, "%s", strerror(errno));
	cr_assert_arr_eq(got, answer, sizeof answer - 1);
	cr_assert_eq(w.server.closes, 0);
	cr_assert(net_run_until(w.loop, two_server_closed, &w, TWO_DEADLINE_MS), "it does not linger for ever");
	cr_assert_eq(w.server.err, RS_OK);
	close(fd);
	two_stop(&w);
}

Test(stream_finish, finish_does_not_wait_for_ever)
{
	static uint8_t much[4 * 1024 * 1024 - 1];
	struct two_streams w;
	two_start(&w, false);
	w.server_limits.open_timeout_ms = 200;
	w.server_limits.out_max = 16 * 1024 * 1024;
	int fd = net_raw_connect(&w.at); /* never reads */
	while (!w.server.opens)
		net_run_for(w.loop, 5);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(stream_write(w.server.s, much, sizeof much), RS_OK);
	stream_finish(w.server.s);
	cr_assert(net_run_until(w.loop, two_server_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_ETIMEOUT, "%s", w.server.why);
	close(fd);
	two_stop(&w);
}

Test(stream_finish, finish_before_it_is_open_closes)
{
	struct two_streams w;
	two_start(&w, true);
	two_dial(&w);
	stream_finish(w.client.s);
	cr_assert(net_run_until(w.loop, two_client_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.client.opens, 0);
	two_stop(&w);
}

Test(stream_finish, a_write_to_a_peer_that_is_gone_does_not_kill)
{
	struct two_streams w;
	signal(SIGPIPE, SIG_DFL);
	two_start(&w, false);
	int fd = net_raw_connect(&w.at);
	while (!w.server.opens)
		net_run_for(w.loop, 5);
	stream_pause(w.server.s); /* so that only a write can notice */
	close(fd);
	for (int i = 0; i < 5 && w.server.s; i++) {
		(void)!stream_write(w.server.s, "x", 1);
		net_run_for(w.loop, 20);
	}
	cr_assert(net_run_until(w.loop, two_server_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_ESYS);
	cr_assert(strstr(w.server.why, "pipe"), "%s", w.server.why);
	two_stop(&w);
}

Test(stream_finish, an_answer_given_at_once_reaches_a_peer_that_ended_its_side)
{
	struct two_streams w;
	char got[16];
	two_start(&w, false);
	w.server.echoes = true;
	int fd = net_raw_connect(&w.at);
	cr_assert_eq(send(fd, "hello", 5, 0), 5);
	shutdown(fd, SHUT_WR);
	cr_assert(net_run_until(w.loop, two_server_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(recv(fd, got, sizeof got, 0), 5);
	close(fd);
	two_stop(&w);
}
