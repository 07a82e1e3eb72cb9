/* SPDX-License-Identifier: Apache-2.0 */
/* stream_free() inside each callback, its own and those of another stream; the
 * sanitizer looks on. */
#include "support/two_streams.h"

#include "support/net_support.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

static bool end_freed(void *ctx)
{
	struct two_end *e = ctx;
	return (e->opens || e->closes) && !e->s;
}

static void free_inside(bool with_tls, bool client, enum two_where where)
{
	struct two_streams w;
	two_start(&w, with_tls);
	struct two_end *e = client ? &w.client : &w.server;
	e->free_in = where;
	w.client_limits.out_max = w.server_limits.out_max = 20000;
	w.client.send_left = w.server.send_left = 15000; /* over half: on_drain is due */
	if (where == TWO_IN_CLOSE) {
		w.client.finish_on_data = !client;
		w.server.finish_on_data = client;
	}
	two_dial(&w);
	cr_assert(net_run_until(w.loop, end_freed, e, TWO_DEADLINE_MS), "tls %d client %d where %d", with_tls,
		  client, where);
	net_run_for(w.loop, 20);
	cr_assert_eq(e->closes, where == TWO_IN_CLOSE, "callbacks after stream_free()");
	two_stop(&w);
}

Test(stream_free, may_be_freed_inside_each_callback)
{
	for (int tls = 0; tls < 2; tls++)
		for (int client = 0; client < 2; client++)
			for (int where = TWO_IN_OPEN; where <= TWO_IN_CLOSE; where++)
				free_inside(tls, client, (enum two_where)where);
}

/* The other end of the same process, from inside a callback of this one. */
static struct two_end *victim;

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

Test(stream_free, may_be_freed_inside_a_callback_of_another)
{
	struct stream_handler killer = two_handler;
	struct two_streams w;
	struct two_end e = {0};
	killer.on_data = free_victim;
	two_start(&w, false);
	w.server.echoes = true;
	two_open(&w);
	int fds[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	cr_assert_eq(stream_accept(&e.s, w.loop, fds[0], NULL, NULL, &killer, &e), RS_OK);
	victim = &w.client;
	cr_assert_eq(write(fds[1], "x", 1), 1);
	cr_assert_eq(stream_write(w.client.s, "x", 1), RS_OK);
	cr_assert(net_run_until(w.loop, victim_gone, NULL, TWO_DEADLINE_MS));
	cr_assert(net_run_until(w.loop, two_server_closed, &w, TWO_DEADLINE_MS));
	stream_free(e.s);
	close(fds[1]);
	two_stop(&w);
}
