/* SPDX-License-Identifier: Apache-2.0 */
#include "net/listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/address_count.h"
#include "net/socket.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CONNECTIONS_DEFAULT = 1024,
	ACCEPTS_PER_TURN = 64,
	STARVED_LOG_MS = 10000,
};
static const double starved_pause_s = 0.1;

struct listener {
	struct ev_loop *loop;
	int fd; /* -1: closed, waiting for the last listener_release() */
	unsigned busy;
	ev_io readable;
	ev_timer unpause; /* runs while out of descriptors */
	uint64_t starved_logged_ms;
	struct listener_config config;
	struct listener_stats stats;
	struct address_count addresses; /* in use if max_per_address > 0 */
	struct addr local;
	listener_fn *on_accept;
	void *ctx;
};

static void free_if_done(struct listener *l)
{
	if (l->fd >= 0 || l->busy > 0 || l->stats.open > 0)
		return;
	address_count_deinit(&l->addresses);
	free(l);
}

/* --- accepting --- */

static void pause_starved(struct listener *l, int why)
{
	uint64_t now = clock_mono_ms();
	ev_io_stop(l->loop, &l->readable);
	ev_timer_set(&l->unpause, starved_pause_s, 0.);
	ev_timer_start(l->loop, &l->unpause);
	if (l->starved_logged_ms && now - l->starved_logged_ms < STARVED_LOG_MS)
		return;
	l->starved_logged_ms = now;
	log_warn("cannot accept connections", LOG_STR("error", strerror(why)),
		 LOG_INT("port", addr_port(&l->local)), LOG_INT("open", l->stats.open));
}

static void on_unpause(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)revents;
	struct listener *l = w->data;
	ev_io_start(loop, &l->readable);
}

static bool admit(struct listener *l, const struct addr *from)
{
	if (l->stats.open >= l->config.max_connections) {
		l->stats.refused_total++;
		return false;
	}
	uint32_t max = l->config.max_per_address;
	if (max > 0 && address_count_add(&l->addresses, from, max)) {
		l->stats.refused_address++;
		return false;
	}
	l->stats.accepted++;
	l->stats.open++;
	return true;
}

/* Whether there may be more to accept in this turn. */
static bool accept_one(struct listener *l)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	int fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		int why = errno;
		if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM)
			pause_starved(l, why);
		/* Anything else but "no more" concerns a connection that is gone already. */
		return why == ECONNABORTED || why == EINTR || why == EPROTO;
	}
	struct addr from;
	if (addr_from_sockaddr(&ss, &from) || !admit(l, &from))
		close(fd);
	else
		l->on_accept(l->ctx, fd, &from);
	return l->fd >= 0;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop, (void)revents;
	struct listener *l = w->data;
	l->busy++;
	for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(l); i++)
		;
	l->busy--;
	free_if_done(l);
}

/* --- opening and closing --- */

int listener_open(struct listener **out, struct ev_loop *loop, const struct listener_config *config,
		  listener_fn *on_accept, void *ctx)
{
	struct listener *l = calloc(1, sizeof *l);
	if (!l)
		return RS_ENOMEM;
	*l = (struct listener){.loop = loop, .config = *config, .on_accept = on_accept, .ctx = ctx};
	if (l->config.max_connections == 0)
		l->config.max_connections = CONNECTIONS_DEFAULT;
	if (l->config.max_per_address > 0 &&
	    address_count_init(&l->addresses, l->config.max_connections)) {
		free(l);
		return RS_ENOMEM;
	}
	l->fd = socket_listening(&config->local, &l->local);
	if (l->fd < 0) {
		int saved = errno;
		free_if_done(l);
		errno = saved;
		return RS_ESYS;
	}
	ev_io_init(&l->readable, on_readable, l->fd, EV_READ);
	ev_timer_init(&l->unpause, on_unpause, starved_pause_s, 0.);
	l->readable.data = l->unpause.data = l;
	ev_io_start(loop, &l->readable);
	*out = l;
	return RS_OK;
}

void listener_release(struct listener *l, const struct addr *from)
{
	if (!l)
		return;
	if (l->config.max_per_address > 0)
		address_count_drop(&l->addresses, from);
	if (l->stats.open > 0)
		l->stats.open--;
	free_if_done(l);
}

void listener_close(struct listener *l)
{
	if (!l || l->fd < 0)
		return;
	ev_io_stop(l->loop, &l->readable);
	ev_timer_stop(l->loop, &l->unpause);
	close(l->fd);
	l->fd = -1;
	free_if_done(l);
}

struct addr listener_local(const struct listener *l) { return l->local; }

const struct listener_stats *listener_stats(const struct listener *l) { return &l->stats; }
