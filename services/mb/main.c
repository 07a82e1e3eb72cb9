/* SPDX-License-Identifier: Apache-2.0 */
/* restante-mb, the Message Broker: holds the clients' sessions. */
#include "mb.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "delivery.h"
#include "drain.h"
#include "lease.h"
#include "login.h"
#include "net/tls.h"
#include "notice.h"
#include "report.h"
#include "request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T struct mb_config
static const struct setting settings[] = {
	DAEMON_SETTINGS(T, "mb1", "127.0.0.1:7280"),
	SETTING(T, listen_clients, SETTING_ADDR, "127.0.0.1:7200", "UDP address for clients"),
	SETTING(T, advertise_clients, SETTING_ADDR, NULL, "address that clients are told; empty: listen_clients, or this host's"),
	SETTING(T, key_file, SETTING_PATH, "mb.key", "X25519 key of this broker, made at first start; FILE.pub gets the public part"),
	SETTING(T, zone, SETTING_TEXT, "", "zone this broker is in"),
	SETTING(T, prefixes, SETTING_PATH, NULL, "the balancers' file of lines PREFIX ISP [ZONE], to measure the ways to each ISP; read again on SIGHUP"),
	SETTING(T, advertise_isp, SETTING_ISPS, NULL, "addresses that clients of an ISP are told instead: isp=ip:port,isp=ip:port"),
	SETTING_RANGE(T, heartbeat_s, "30", 1, 3600, "heartbeat interval of clients, seconds"),
	SETTING_RANGE(T, lease_s, "300", 4, 86400, "presence lease, seconds; renewed at half of it"),
	SETTING_RANGE(T, capacity, "1000000", 1, 4000000, "sessions this broker takes"),
	SETTING_RANGE(T, handshakes_per_s, "5000", 1, 1000000, "handshakes a second; more are dropped, so that sessions keep their share"),
	SETTING_RANGE(T, handshakes_per_address, "100", 0, 1000000, "handshakes a second of one address under load, ten seconds' worth at once; 0: no limit"),
	SETTING_RANGE(T, logins_max, "512", 1, 65536, "logins that may be under way at a time"),
	SETTING_RANGE(T, logins_per_s, "4000", 0, 1000000, "logins a second; the others are told when to come again; 0: no limit"),
	SETTING_RANGE(T, wrong_logins_per_address, "600", 0, 1000000, "wrong logins a minute of one address; 0: no limit"),
	SETTING_RANGE(T, wrong_logins_per_user, "20", 0, 1000000, "wrong logins a minute for one user, then only addresses without any of late are heard; 0: no limit"),
	SETTING_RANGE(T, redis_timeout_ms, "5000", 10, 60000, "milliseconds Redis may take to answer"),
	SETTING_RANGE(T, redis_max_in_flight, "4096", 16, 1000000, "Redis commands in flight"),
	SETTING_RANGE(T, drain_s, "5", 0, 3600, "seconds over which a stop sends the clients to other brokers; 0: all are told at once"),
};
#undef T

/* Keys made ahead: a second of handshakes at the default most. */
enum { EPHEMERALS = 5000, EPHEMERALS_AT_A_TIME = 4 };

struct mb_time mb_time(void) { return (struct mb_time){clock_mono_ms(), clock_wall_ms()}; }

static void arm_engine_timer(struct mb *m, uint64_t now_ms)
{
	uint64_t at = server_deadline(m->server);
	ev_timer_stop(m->loop, &m->engine_timer);
	ev_timer_set(&m->engine_timer, at > now_ms ? (double)(at - now_ms) / 1000.0 : 0.0, 0.0);
	ev_timer_start(m->loop, &m->engine_timer);
}

void mb_flush(struct mb *m)
{
	struct mb_time t = mb_time();
	delivery_flush(m);
	server_flush(m->server, t.mono_ms, t.wall_ms);
	udp_flush(m->udp);
	arm_engine_timer(m, t.mono_ms);
}

void mb_flush_later(struct mb *m) { ev_feed_event(m->loop, &m->turn, EV_CUSTOM); }

static void on_turn(struct ev_loop *loop, ev_prepare *w, int events)
{
	(void)loop, (void)events;
	mb_flush(w->data);
}

/* ---- the engine's events ---- */

static void engine_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct mb *m = ctx;
	udp_send(m->udp, to, data, len);
}

static void on_login(void *ctx, uint32_t conn, const struct frame_login *f, const struct addr *from)
{
	login_begin(ctx, conn, f, from);
}

static void on_acked(void *ctx, uint32_t conn, void *user, const struct outbox_done *done)
{
	(void)conn;
	delivery_acked(ctx, user, done);
}

static void on_gone(void *ctx, uint32_t conn, void *user, enum close_code why)
{
	(void)conn;
	login_end(ctx, user, why);
}

static void on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f)
{
	(void)conn;
	request_take(ctx, user, f);
}

/* Called for each handshake. */
static bool take_ephemeral(void *ctx, struct keypair *out)
{
	struct mb *m = ctx;
	bool taken = keypool_take(&m->ephemerals, out);
	m->counts.ephemerals_ahead += taken;
	m->counts.ephemerals_late += !taken;
	ev_idle_start(m->loop, &m->spare_time); /* nothing if it runs */
	return taken;
}

/* Nothing else is to be done: a few keys, and then a look whether that is still so. */
static void on_spare_time(struct ev_loop *loop, ev_idle *w, int events)
{
	struct mb *m = w->data;
	(void)events;
	if (!keypool_fill(&m->ephemerals, EPHEMERALS_AT_A_TIME))
		ev_idle_stop(loop, w);
}

static void on_path(void *ctx, const struct addr *to, const struct server_path *p)
{
	struct mb *m = ctx;
	quality_sample(&m->quality, to, p, mb_time().mono_ms);
}

static void on_engine_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)events;
	struct mb *m = w->data;
	struct mb_time t = mb_time();
	server_tick(m->server, t.mono_ms, t.wall_ms);
	mb_flush(m);
}

/* ---- datagrams ---- */

static void on_datagram(void *ctx, const struct addr *from, uint8_t *data, size_t len)
{
	struct mb *m = ctx;
	if (m->batch.mono_ms == 0) /* the clocks are read once a batch */
		m->batch = mb_time();
	server_recv(m->server, m->batch.mono_ms, m->batch.wall_ms, from, data, len);
}

static void on_batch_end(void *ctx)
{
	struct mb *m = ctx;
	m->batch.mono_ms = 0;
	mb_flush(m);
}

/* ---- links ---- */

static void on_dc_up(void *ctx, size_t peer)
{
	(void)peer;
	struct mb *m = ctx;
	lease_resync(m); /* pushes may have been lost while it was away */
	delivery_tick(m);
}

static int on_dc_message(void *ctx, size_t peer, const struct link_message *msg)
{
	(void)peer;
	struct mb *m = ctx;
	switch (msg->type) {
	case LINK_BATCH:
	case LINK_ACKED:
	case LINK_PUSH:
	case LINK_NUDGE:
	case LINK_WITHDRAW:
		delivery_on_message(m, msg);
		mb_flush_later(m);
		break;
	case LINK_BROADCAST:
		broadcast_take(m, &msg->broadcast);
		break;
	case LINK_KEPT:
		broadcast_look(m);
		break;
	case LINK_KICK:
		login_kicked(m, &msg->kick);
		break;
	default:
		return RS_EINVAL;
	}
	return RS_OK;
}

static void on_dc_down(void *ctx, size_t peer)
{
	struct mb *m = ctx;
	delivery_dc_down(m, peer);
	delivery_tick(m);
}

static void on_lb_up(void *ctx, size_t peer)
{
	(void)peer;
	report_load(ctx);
}

static int on_lb_message(void *ctx, size_t peer, const struct link_message *msg)
{
	(void)ctx, (void)peer, (void)msg;
	return RS_EINVAL; /* a balancer has nothing to say */
}

static void on_lb_down(void *ctx, size_t peer) { (void)ctx, (void)peer; }

/* ---- ticks, start and stop ---- */

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop, (void)events;
	struct mb *m = w->data;
	shed_tick(&m->shed, m->server, udp_stats(m->udp), clock_mono_ms(), MB_TICK_MS);
	report_late(m, m->shed.late_ms);
	drain_tick(m);
	lease_tick(m);
	if (++m->ticks % 5 == 0)
		delivery_tick(m);
	broadcast_tick(m, m->ticks % 10 == 0);
	if (m->ticks % 10 == 0)
		report_second(m);
	mb_flush(m);
}

static int open_socket(struct mb *m, char *fault, size_t cap)
{
	static const struct udp_handler handler = {on_datagram, on_batch_end};
	const struct addr *local = &m->config->listen_clients;
	int err = udp_open(&m->udp, m->loop, local, &handler, m);
	if (err)
		return host_listen_fault(err, "listen_clients", local, fault, cap);
	m->advertised = host_advertised(&m->config->advertise_clients, udp_local(m->udp),
					&m->config->common.redis);
	return RS_OK;
}

static int open_engine(struct mb *m)
{
	static const struct server_handler handler = {engine_sends, on_login, on_acked, on_gone, on_request};
	struct server_config c = {
		.key = m->key, .boot = m->boot, .heartbeat_s = (uint16_t)m->config->heartbeat_s,
		.sessions_max = (uint32_t)m->config->capacity + SERVER_HALF_OPEN_MAX,
		.cookie_above = SERVER_HALF_OPEN_MAX / 4, .on_path = on_path,
		.ephemeral = take_ephemeral,
		.gate = {.random = random_bytes, .most_per_s = (uint32_t)m->config->handshakes_per_s,
			 .address_per_s = (uint32_t)m->config->handshakes_per_address},
	};
	int err = keypool_init(&m->ephemerals, EPHEMERALS, random_bytes);
	if (!err)
		err = server_new(&m->server, &c, &handler, m, clock_mono_ms());
	explicit_bzero(&c, sizeof c);
	return err ? err : guard_init(&m->guard, (uint32_t)m->config->wrong_logins_per_address,
				      (uint32_t)m->config->wrong_logins_per_user);
}

/* Redis may have lost presence or broadcasts while it was away, or messages were
 * stored unseen. */
static void on_redis_state(void *ctx, bool up)
{
	if (!up)
		return;
	lease_resync(ctx);
	broadcast_read_anew(ctx);
}

static int open_redis(struct mb *m, char *fault, size_t cap)
{
	const struct mb_config *c = m->config;
	struct rds_config config;
	int err = host_redis_config(&c->common, (uint32_t)c->redis_timeout_ms,
				    (uint32_t)c->redis_max_in_flight, m->redis_password, &config, fault, cap);
	if (!err)
		err = rds_new(&m->rds, m->loop, &config, on_redis_state, m);
	return err ? err : auth_redis_new(&m->auth, m->rds);
}

static const char *not_ready(void *app)
{
	struct mb *m = app;
	if (m->drain.on)
		return "draining";
	if (!rds_is_up(m->rds))
		return "Redis is not connected";
	if (peers_up_count(m->dcs) == 0)
		return "no link to a DC";
	return registry_fault(m->registry);
}

static int open_links(struct mb *m)
{
	static const struct peers_handler dc = {on_dc_up, on_dc_message, on_dc_down};
	static const struct peers_handler lb = {on_lb_up, on_lb_message, on_lb_down};
	const char *id = m->config->common.id;
	int err = peers_new(&m->dcs, m->loop, m->rds, "dc", m->tls, id, m->boot, &dc, m);
	if (!err)
		err = peers_new(&m->lbs, m->loop, m->rds, "lb", m->tls, id, m->boot, &lb, m);
	if (!err)
		err = report_start(m);
	if (err)
		return err;
	registry_tell_ready(m->registry, not_ready, m);
	drain_listen(m);
	return RS_OK;
}

static void start_timers(struct mb *m)
{
	ev_init(&m->engine_timer, on_engine_timer);
	m->engine_timer.data = m;
	arm_engine_timer(m, clock_mono_ms());
	ev_prepare_init(&m->turn, on_turn);
	ev_set_priority(&m->turn, EV_MINPRI); /* when all links have been read */
	m->turn.data = m;
	ev_timer_init(&m->tick, on_tick, MB_TICK_MS / 1000.0, MB_TICK_MS / 1000.0);
	m->tick.data = m;
	ev_timer_start(m->loop, &m->tick);
	ev_idle_init(&m->spare_time, on_spare_time);
	m->spare_time.data = m;
	ev_idle_start(m->loop, &m->spare_time);
}

static void mb_free(void *app)
{
	struct mb *m = app;
	login_stop(m);
	rds_free(m->rds); /* answers what is under way: the rest must still be there */
	ev_timer_stop(m->loop, &m->engine_timer);
	ev_timer_stop(m->loop, &m->tick);
	ev_idle_stop(m->loop, &m->spare_time);
	broadcast_stop(m);
	ev_clear_pending(m->loop, &m->turn);
	registry_watch_free(m->watch);
	registry_free(m->registry);
	peers_free(m->dcs);
	peers_free(m->lbs);
	while (!list_empty(&m->users)) {
		struct user *u = LIST_ENTRY(m->users.next, struct user, node);
		delivery_free(u);
		notice_forget(m, u);
		lease_stop(m, u);
		free(u);
	}
	broadcast_deinit(m);
	if (m->auth)
		m->auth->free(m->auth);
	guard_deinit(&m->guard);
	server_free(m->server);
	keypool_deinit(&m->ephemerals);
	udp_close(m->udp);
	tls_context_free(m->tls);
	prefix_file_close(&m->quality.prefixes);
	explicit_bzero(m, sizeof *m);
	free(m);
}

static int check(const void *config, char *fault, size_t cap)
{
	const struct mb_config *c = config;
	int err = host_check_advertised("advertise_clients", &c->advertise_clients, fault, cap);
	const char *zone_fault = c->zone[0] ? name_fault(c->zone, strlen(c->zone)) : NULL;
	if (!err && zone_fault) {
		snprintf(fault, cap, "zone %s; it must be " NAME_RULE, zone_fault);
		err = RS_EINVAL;
	}
	for (size_t i = 0; i < c->advertise_isp.count && !err; i++)
		err = host_check_advertised("advertise_isp", &c->advertise_isp.at[i].address, fault, cap);
	if (!err)
		err = prefix_file_check(c->prefixes, fault, cap);
	return err ? err : host_check_password(&c->common, fault, cap);
}

static int mb_start(struct ev_loop *loop, const void *config, const void *secret, size_t secret_len,
		    void **app, char *fault, size_t cap)
{
	struct mb *m = calloc(1, sizeof *m);
	char local[ADDR_TEXT_MAX], http[ADDR_TEXT_MAX];
	if (!m)
		return RS_ENOMEM;
	m->loop = loop;
	m->config = config;
	m->boot = daemon_boot();
	list_init(&m->users);
	list_init(&m->deliveries);
	login_start(m);
	list_init(&m->ack_ready);
	list_init(&m->notices);
	broadcast_init(m);
	int err = keyfile_load_or_create(m->config->key_file, &m->key, fault, cap);
	if (!err)
		err = keyfile_publish(m->config->key_file, &m->key, fault, cap);
	if (!err)
		err = prefix_file_open(&m->quality.prefixes, m->config->prefixes, fault, cap);
	if (!err)
		err = open_socket(m, fault, cap);
	if (!err)
		err = open_engine(m);
	if (!err && secret_len)
		err = tls_context_new(&m->tls, secret, secret_len);
	if (!err)
		err = open_redis(m, fault, cap);
	if (!err)
		err = open_links(m);
	if (err) {
		mb_free(m);
		return err;
	}
	start_timers(m);
	struct addr bound = udp_local(m->udp);
	log_info("listening", LOG_STR("clients", addr_format(&bound, local)),
		 LOG_STR("http", addr_format(&m->config->common.listen_http, http)));
	*app = m;
	return RS_OK;
}

static void mb_stop(void *app) { drain_stop(app); }

static unsigned stop_extra_s(const void *config) { return (unsigned)((const struct mb_config *)config)->drain_s; }

static void mb_reload(void *app)
{
	struct mb *m = app;
	prefix_file_reload(&m->quality.prefixes);
}

int main(int argc, char **argv)
{
	static const struct daemon d = {
		.prog = "restante-mb",
		.summary = "message broker: holds the clients' UDP sessions and delivers to them",
		.settings = settings,
		.setting_count = sizeof settings / sizeof *settings,
		.config_size = sizeof(struct mb_config),
		.check = check,
		.start = mb_start,
		.stop = mb_stop,
		.stop_extra_s = stop_extra_s,
		.free = mb_free,
		.reload = mb_reload,
		.not_ready = not_ready,
		.metrics = report_metrics,
	};
	return daemon_main(&d, argc, argv);
}
