/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that do not come about: nobody there, silence, TLS on one side only, two
 * secrets. */
#include "support/two_streams.h"

#include "base/clock.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static void refused(bool with_tls)
{
	struct two_streams w;
	two_start(&w, with_tls);
	w.at = net_unused_port();
	two_dial(&w);
	cr_assert_eq(w.client.closes, 0, "told from the loop, not from inside stream_connect()");
	cr_assert(net_run_until(w.loop, two_client_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_ESYS);
	cr_assert(strstr(w.client.why, "refused"), "%s", w.client.why);
	cr_assert_eq(w.client.opens, 0);
	two_stop(&w);
}

Test(stream_open, connect_refused_in_plaintext) { refused(false); }
Test(stream_open, connect_refused_over_tls) { refused(true); }

Test(stream_open, a_connect_that_fails_at_once_is_told_by_on_close_too)
{
	struct two_streams w;
	two_start(&w, false);
	cr_assert_eq(addr_parse("255.255.255.255:9", &w.at), RS_OK);
	two_dial(&w);
	cr_assert(net_run_until(w.loop, two_client_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_ESYS, "%s", w.client.why);
	two_stop(&w);
}

Test(stream_open, a_server_that_never_does_tls_times_out)
{
	struct two_streams w;
	two_start(&w, true);
	int fd = net_raw_listen(&w.at);
	w.client_limits.open_timeout_ms = 200;
	uint64_t start = clock_mono_ms();
	two_dial(&w);
	cr_assert(net_run_until(w.loop, two_client_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_ETIMEOUT, "%s", w.client.why);
	cr_assert_geq(clock_mono_ms() - start, 195);
	close(fd);
	two_stop(&w);
}

Test(stream_open, a_client_that_says_nothing_times_out)
{
	struct two_streams w;
	two_start(&w, true);
	w.server_limits.open_timeout_ms = 200;
	int fd = net_raw_connect(&w.at);
	cr_assert(net_run_until(w.loop, two_server_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_ETIMEOUT, "%s", w.server.why);
	close(fd);
	two_stop(&w);
}

Test(stream_open, a_wrong_secret_fails_on_both_sides)
{
	struct two_streams w;
	two_start(&w, true);
	tls_context_free(w.client_tls);
	cr_assert_eq(tls_context_new(&w.client_tls, "not that", 8), RS_OK);
	two_dial(&w);
	cr_assert(net_run_until(w.loop, two_both_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_EAUTH, "%s", w.client.why);
	cr_assert_eq(w.server.err, RS_EAUTH, "%s", w.server.why);
	cr_assert(strstr(w.client.why, "secret"), "%s", w.client.why);
	cr_assert(strstr(w.server.why, "secret"), "%s", w.server.why);
	cr_assert_eq(w.client.opens + w.server.opens, 0);
	two_stop(&w);
}

Test(stream_open, plaintext_to_a_tls_listener_is_refused)
{
	struct two_streams w;
	two_start(&w, true);
	tls_context_free(w.client_tls);
	w.client_tls = NULL;
	w.client.send_left = 1000;
	two_dial(&w);
	cr_assert(net_run_until(w.loop, two_both_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.server.err, RS_EAUTH, "%s", w.server.why);
	cr_assert_eq(w.server.opens, 0);
	cr_assert_eq(w.server.received, 0);
	two_stop(&w);
}

Test(stream_open, tls_to_a_plaintext_listener_is_refused)
{
	struct two_streams w;
	two_start(&w, true);
	tls_context_free(w.server_tls);
	w.server_tls = NULL;
	w.server.echoes = true; /* not TLS of any kind that a server speaks */
	two_dial(&w);
	cr_assert(net_run_until(w.loop, two_client_closed, &w, TWO_DEADLINE_MS));
	cr_assert_eq(w.client.err, RS_EAUTH, "%s", w.client.why);
	two_stop(&w);
}
