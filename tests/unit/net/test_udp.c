/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp.h"

#include "base/clock.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>
#include <unistd.h>

enum { MANY = 1000, DEADLINE_MS = 5000 };

/* One end: echoes, or notes which numbered datagrams came. */
struct end {
	struct udp *udp;
	bool echoes, close_at_once;
	unsigned got, batches;
	bool seen[MANY];
	struct addr from;
	size_t last_len;
	unsigned wanted;
};

static void on_datagram(void *ctx, const struct addr *from, uint8_t *data, size_t len)
{
	struct end *e = ctx;
	e->got++;
	e->from = *from;
	e->last_len = len;
	if (e->echoes)
		udp_send(e->udp, from, data, len);
	unsigned n;
	if (len >= sizeof n) {
		memcpy(&n, data, sizeof n);
		if (n < MANY)
			e->seen[n] = true;
	}
	if (e->close_at_once) {
		udp_close(e->udp);
		e->udp = NULL;
	}
}

static void on_batch_end(void *ctx) { ((struct end *)ctx)->batches++; }

static const struct udp_handler handler = {.on_datagram = on_datagram, .on_batch_end = on_batch_end};

static struct addr parse(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse(text, &a), RS_OK);
	return a;
}

static struct addr open_end(struct end *e, struct ev_loop *loop, const char *local)
{
	struct addr a = parse(local);
	cr_assert_eq(udp_open(&e->udp, loop, &a, &handler, e), RS_OK);
	a = udp_local(e->udp);
	cr_assert_neq(addr_port(&a), 0);
	return a;
}

static bool got_all(void *ctx)
{
	const struct end *e = ctx;
	for (unsigned i = 0; i < MANY; i++)
		if (!e->seen[i])
			return false;
	return true;
}

static bool got_one(void *ctx) { return ((struct end *)ctx)->got > 0; }

static bool counted_oversize(void *ctx)
{
	return udp_stats(((struct end *)ctx)->udp)->rx_oversize > 0;
}

Test(udp, a_thousand_datagrams_come_back)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {.echoes = true};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	for (unsigned i = 0; i < MANY; i++)
		udp_send(a.udp, &to, &i, sizeof i);
	udp_flush(a.udp);
	cr_assert(net_run_until(loop, got_all, &a, DEADLINE_MS));
	const struct udp_stats *sa = udp_stats(a.udp), *sb = udp_stats(b.udp);
	cr_assert_eq(sa->tx_packets, MANY);
	cr_assert_eq(sa->tx_bytes, MANY * sizeof(unsigned));
	cr_assert_eq(sb->rx_packets, MANY);
	cr_assert_eq(sb->tx_packets, MANY);
	cr_assert_eq(sa->rx_bytes, MANY * sizeof(unsigned));
	cr_assert_eq(sa->tx_dropped + sb->tx_dropped + sb->rx_oversize, 0);
	cr_assert_lt(b.batches, MANY / 8, "%u batches: not received in batches", b.batches);
	struct addr local = udp_local(b.udp);
	cr_assert(addr_equal(&a.from, &local));
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

Test(udp, what_is_queued_leaves_at_the_end_of_the_turn_without_a_flush)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {0};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	udp_send(a.udp, &to, "x", 1);
	cr_assert_eq(udp_stats(a.udp)->tx_packets, 0);
	cr_assert(net_run_until(loop, got_one, &b, DEADLINE_MS));
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

Test(udp, over_ipv6)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {.echoes = true};
	open_end(&a, loop, "[::1]:0");
	struct addr to = open_end(&b, loop, "[::1]:0");
	for (unsigned i = 0; i < MANY; i++)
		udp_send(a.udp, &to, &i, sizeof i);
	cr_assert(net_run_until(loop, got_all, &a, DEADLINE_MS));
	cr_assert_not(addr_is_v4(&a.from));
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

Test(udp, the_any_address_of_ipv6_serves_both)
{
	static const char *const from[] = {"127.0.0.1:0", "[::1]:0"};
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	for (int i = 0; i < 2; i++) {
		struct end a = {0}, b = {.echoes = true};
		struct addr local = open_end(&a, loop, from[i]);
		struct addr any = open_end(&b, loop, "[::]:0"), to = local;
		memcpy(to.port, any.port, 2);
		udp_send(a.udp, &to, "hello", 5);
		cr_assert(net_run_until(loop, got_one, &a, DEADLINE_MS), "%s", from[i]);
		cr_assert(addr_equal(&b.from, &local));
		cr_assert(addr_equal(&a.from, &to));
		udp_close(a.udp);
		udp_close(b.udp);
	}
	ev_loop_destroy(loop);
}

Test(udp, the_largest_passes_and_the_oversize_is_counted)
{
	static uint8_t large[UDP_DATAGRAM_MAX + 1];
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {0};
	struct sockaddr_storage ss;
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	udp_send(a.udp, &to, large, sizeof large);
	cr_assert_eq(udp_stats(a.udp)->tx_dropped, 1);

	int raw = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = addr_to_sockaddr(&to, &ss);
	cr_assert_eq(sendto(raw, large, sizeof large, 0, (struct sockaddr *)&ss, len), sizeof large);
	cr_assert(net_run_until(loop, counted_oversize, &b, DEADLINE_MS));
	cr_assert_eq(b.got, 0);

	udp_send(a.udp, &to, large, UDP_DATAGRAM_MAX);
	cr_assert(net_run_until(loop, got_one, &b, DEADLINE_MS));
	cr_assert_eq(b.last_len, UDP_DATAGRAM_MAX);
	close(raw);
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

Test(udp, an_empty_datagram_is_a_datagram)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {0};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	udp_send(a.udp, &to, NULL, 0);
	cr_assert(net_run_until(loop, got_one, &b, DEADLINE_MS));
	cr_assert_eq(b.last_len, 0);
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

Test(udp, what_cannot_be_sent_is_dropped_alone)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {0};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0"), port_zero = to, v6 = parse("[::1]:9");
	memset(port_zero.port, 0, 2);
	udp_send(a.udp, &port_zero, "x", 1); /* the kernel refuses it */
	udp_send(a.udp, &v6, "x", 1);        /* not from this socket */
	udp_send(a.udp, &to, "y", 1);
	cr_assert(net_run_until(loop, got_one, &b, DEADLINE_MS));
	cr_assert_eq(udp_stats(a.udp)->tx_dropped, 2);
	cr_assert_eq(udp_stats(a.udp)->tx_packets, 1);
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

static bool got_what_was_sent(void *ctx)
{
	const struct end *e = ctx;
	return e->got == e->wanted;
}

/* At a high rate it naps between batches: more than one datagram a batch then. */
Test(udp, datagrams_that_come_one_by_one_are_gathered_and_none_is_lost)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {0};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	ev_tstamp until = ev_time() + DEADLINE_MS / 1000.0;
	unsigned sent = 0;
	while ((sent < MANY || 2 * b.batches > b.got) && ev_time() < until) {
		unsigned n = sent++ % MANY;
		udp_send(a.udp, &to, &n, sizeof n);
		udp_flush(a.udp);
		ev_run(loop, EVRUN_NOWAIT);
	}
	cr_assert_leq(2 * b.batches, b.got, "%u batches of %u datagrams", b.batches, b.got);
	b.wanted = sent;
	cr_assert(b.got == sent || net_run_until(loop, got_what_was_sent, &b, DEADLINE_MS), "%u of %u", b.got, sent);
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

static bool emptied_twice(void *ctx) { return udp_stats(((struct end *)ctx)->udp)->rx_emptied == 2; }

/* Read to its end, or left with more in it since the rest of the loop has its turn. */
Test(udp, says_whether_it_could_read_all)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {0};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	udp_send(a.udp, &to, "x", 1);
	cr_assert(net_run_until(loop, got_one, &b, DEADLINE_MS));
	cr_expect_eq(udp_stats(b.udp)->rx_emptied, 1);
	cr_expect_eq(udp_stats(b.udp)->rx_cut, 0);
	for (unsigned i = 0; i < 3 * MANY; i++)
		udp_send(a.udp, &to, "x", 1);
	udp_flush(a.udp);
	ev_run(loop, EVRUN_ONCE);
	cr_expect_lt(b.got, 1 + 3 * MANY, "not all in one turn");
	cr_expect_eq(udp_stats(b.udp)->rx_cut, 1);
	cr_expect_eq(udp_stats(b.udp)->rx_emptied, 1);
	b.wanted = 1 + 3 * MANY;
	cr_assert(net_run_until(loop, got_what_was_sent, &b, DEADLINE_MS), "%u", b.got);
	cr_assert(net_run_until(loop, emptied_twice, &b, DEADLINE_MS));
	cr_expect_geq(udp_stats(b.udp)->rx_cut, 2, "by their number or by the time they took");
	cr_expect_eq(udp_stats(b.udp)->rx_lost, 0);
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

static bool got_the_rest(void *ctx)
{
	struct end *e = ctx;
	return e->got + udp_stats(e->udp)->rx_lost == e->wanted;
}

/* What found the buffer full: each is counted, and nothing else. */
Test(udp, counts_what_the_kernel_dropped)
{
	enum { FLOOD = 40000 };
	static const uint8_t data[512];
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {.wanted = FLOOD};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	cr_expect_eq(udp_stats(b.udp)->rx_lost, 0);
	for (unsigned i = 0; i < FLOOD; i++)
		udp_send(a.udp, &to, data, sizeof data);
	udp_flush(a.udp);
	cr_assert_eq(udp_stats(a.udp)->tx_packets, FLOOD);
	uint64_t lost = udp_stats(b.udp)->rx_lost;
	cr_expect_gt(lost, 0);
	cr_assert(net_run_until(loop, got_the_rest, &b, DEADLINE_MS), "%u came", b.got);
	cr_expect_eq(udp_stats(b.udp)->rx_lost, lost, "it stands when there is room again");
	cr_expect_eq(udp_stats(a.udp)->rx_lost, 0);
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

/* ---- datagrams that take long ---- */

enum { SLOW = 400, SLOW_US = 400 };

static unsigned turns, most_in_a_turn, got_before;
static struct end slow_end;

static void on_slow(void *ctx, const struct addr *from, uint8_t *data, size_t len)
{
	(void)ctx, (void)from, (void)data, (void)len;
	for (uint64_t until = clock_mono_us() + SLOW_US; clock_mono_us() < until;)
		;
	slow_end.got++;
}

/* Between the turns of the loop; the first ones do not know yet. */
static void on_check(struct ev_loop *loop, ev_check *w, int revents)
{
	(void)loop, (void)w, (void)revents;
	if (++turns > 8 && slow_end.got - got_before > most_in_a_turn)
		most_in_a_turn = slow_end.got - got_before;
	got_before = slow_end.got;
}

static bool got_slow(void *ctx)
{
	(void)ctx;
	return slow_end.got == SLOW;
}

Test(udp, what_takes_long_leaves_the_loop_its_turn)
{
	static const struct udp_handler slow = {.on_datagram = on_slow};
	struct ev_loop *loop = ev_loop_new(0);
	struct end b = {0};
	struct addr any = parse("127.0.0.1:0");
	ev_check check;
	cr_assert_eq(udp_open(&slow_end.udp, loop, &any, &slow, NULL), RS_OK);
	struct addr to = udp_local(slow_end.udp);
	open_end(&b, loop, "127.0.0.1:0");
	for (unsigned i = 0; i < SLOW; i++) {
		udp_send(b.udp, &to, &i, sizeof i);
		udp_flush(b.udp);
	}
	ev_check_init(&check, on_check);
	ev_check_start(loop, &check);
	cr_assert(net_run_until(loop, got_slow, NULL, DEADLINE_MS));
	cr_expect_gt(turns, SLOW / 8u);
	cr_expect(most_in_a_turn > 0 && most_in_a_turn <= 8, "%u in a turn", most_in_a_turn);
	ev_check_stop(loop, &check);
	udp_close(slow_end.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

Test(udp, may_be_closed_from_inside_its_callback)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0}, b = {.close_at_once = true, .echoes = true};
	open_end(&a, loop, "127.0.0.1:0");
	struct addr to = open_end(&b, loop, "127.0.0.1:0");
	for (unsigned i = 0; i < 10; i++)
		udp_send(a.udp, &to, &i, sizeof i);
	cr_assert(net_run_until(loop, got_one, &a, DEADLINE_MS), "the echo is sent before it closes");
	cr_assert_eq(b.got, 1);
	udp_close(a.udp);
	udp_close(b.udp);
	ev_loop_destroy(loop);
}

Test(udp, a_port_that_is_taken_is_refused)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct end a = {0};
	struct addr local = open_end(&a, loop, "127.0.0.1:0");
	struct udp *second = NULL;
	cr_assert_eq(udp_open(&second, loop, &local, &handler, &a), RS_ESYS);
	cr_assert_null(second);
	udp_close(a.udp);
	ev_loop_destroy(loop);
}
