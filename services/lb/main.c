/* SPDX-License-Identifier: Apache-2.0 */
/* restante-lb, the Load Balancer: tells clients which broker to use. */
#include "choose.h"
#include "table.h"

#include "app/daemon.h"
#include "app/host.h"
#include "app/hub.h"
#include "app/prefix_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pace.h"
#include "crypto/random.h"
#include "net/tls.h"
#include "net/udp.h"
#include "session/balancer.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

struct lb_config {
	struct daemon_config common;
	struct addr listen_clients, advertise_clients, listen_brokers, advertise_brokers;
	char key_file[CONFIG_TEXT_MAX], prefixes[CONFIG_TEXT_MAX];
	int64_t asks_per_s, asks_per_address, admissions_per_broker, redis_timeout_ms;
};

#define T struct lb_config
static const struct setting settings[] = {
	DAEMON_SETTINGS(T, "lb1", "127.0.0.1:7380"),
	SETTING(T, listen_clients, SETTING_ADDR, "127.0.0.1:7300", "UDP address for clients"),
	SETTING(T, advertise_clients, SETTING_ADDR, NULL, "address for clients, as others see it; empty: listen_clients, or this host's"),
	SETTING(T, listen_brokers, SETTING_ADDR, "127.0.0.1:7301", "links of brokers (TCP)"),
	SETTING(T, advertise_brokers, SETTING_ADDR, NULL, "address told to brokers; empty: listen_brokers, or this host's"),
	SETTING(T, key_file, SETTING_PATH, "lb.key", "X25519 key that clients pin, the same at all balancers; made at first start; FILE.pub gets the public part"),
	SETTING(T, prefixes, SETTING_PATH, NULL, "file of lines PREFIX ISP [ZONE] that says where clients are; read again on SIGHUP"),
	SETTING_RANGE(T, asks_per_s, "5000", 1, 1000000, "asks a second; more are dropped"),
	SETTING_RANGE(T, asks_per_address, "100", 0, 1000000, "asks a second of one address under load, ten seconds' worth at once; 0: no limit"),
	SETTING_RANGE(T, admissions_per_broker, "2000", 0, 1000000, "clients a second sent to brokers, for each broker there is; the others are told when to ask again; 0: no limit"),
	SETTING_RANGE(T, redis_timeout_ms, "5000", 10, 60000, "milliseconds Redis may take to answer"),
};
#undef T

struct lb {
	struct ev_loop *loop;
	const struct lb_config *config;
	struct keypair key;
	struct balancer balancer;
	struct udp *udp;
	struct tls_context *tls;
	char redis_password[HOST_PASSWORD_MAX]; /* borrowed by rds */
	struct rds *rds;
	struct hub *hub;
	struct registry *registry;
	struct registry_watch *watch;
	struct table table;
	struct prefix_file prefixes;
	struct pace admission;
	uint64_t no_broker; /* asks that could name none */
	uint64_t deferred;  /* told to ask again later */
	bool stopping;
};

/* ---- clients ---- */

static void balancer_sends(void *ctx, const struct addr *to, const uint8_t *data, size_t len)
{
	struct lb *lb = ctx;
	udp_send(lb->udp, to, data, len);
}

static struct chooser chooser_of(struct lb *lb)
{
	return (struct chooser){&lb->table, lb->prefixes.table, random_bytes};
}

static void on_choose(void *ctx, const struct addr *from, const struct ask_payload *ask,
		      struct answer_payload *out)
{
	struct lb *lb = ctx;
	struct chooser c = chooser_of(lb);
	uint64_t now_ms = clock_mono_ms();
	size_t alive = table_alive_count(&lb->table, now_ms);
	uint32_t per_s = (uint32_t)lb->config->admissions_per_broker * (uint32_t)alive;
	if (alive > 0 && !pace_admits(&lb->admission, per_s, now_ms)) {
		uint32_t retry_ms = pace_defer(&lb->admission, per_s, now_ms, CHOOSE_RETRY_MS);
		*out = (struct answer_payload){.status = 1, .retry_ms = retry_ms};
		lb->deferred++;
		return;
	}
	choose_brokers(&c, from, ask, now_ms, out);
	lb->no_broker += out->count == 0;
}

static void on_datagram(void *ctx, const struct addr *from, uint8_t *data, size_t len)
{
	struct lb *lb = ctx;
	balancer_recv(&lb->balancer, clock_mono_ms(), from, data, len);
}

/* ---- brokers ---- */

static int on_known(void *ctx, struct hub_link *l)
{
	(void)ctx, (void)l; /* of use once it has said its load */
	return RS_OK;
}

static int on_link_message(void *ctx, struct hub_link *l, const struct link_message *m,
			   const uint8_t *data, size_t len)
{
	(void)data, (void)len;
	struct lb *lb = ctx;
	if (m->type != LINK_LOAD)
		return RS_EINVAL;
	table_on_load(&lb->table, l->id, l->boot, &m->load, clock_mono_ms());
	return RS_OK;
}

static void on_link_gone(void *ctx, struct hub_link *l)
{
	struct lb *lb = ctx;
	table_on_link_lost(&lb->table, l->id, l->boot, clock_mono_ms());
}

static void on_members(void *ctx, const struct member *members, size_t count, uint64_t redis_now_ms)
{
	struct lb *lb = ctx;
	table_on_members(&lb->table, members, count, redis_now_ms, clock_mono_ms());
}

/* ---- start and stop ---- */

static int check(const void *config, char *fault, size_t cap)
{
	const struct lb_config *c = config;
	int err = host_check_advertised("advertise_clients", &c->advertise_clients, fault, cap);
	if (!err)
		err = host_check_advertised("advertise_brokers", &c->advertise_brokers, fault, cap);
	if (!err)
		err = prefix_file_check(c->prefixes, fault, cap);
	return err ? err : host_check_password(&c->common, fault, cap);
}

static int open_clients(struct lb *lb, char *fault, size_t cap)
{
	static const struct udp_handler udp = {.on_datagram = on_datagram};
	static const struct balancer_handler handler = {balancer_sends, on_choose};
	struct balancer_config c = {.key = lb->key, .gate = {
		.random = random_bytes, .most_per_s = (uint32_t)lb->config->asks_per_s,
		.address_per_s = (uint32_t)lb->config->asks_per_address}};
	int err = balancer_init(&lb->balancer, &c, &handler, lb, clock_mono_ms());
	explicit_bzero(&c, sizeof c);
	if (err)
		return err;
	err = udp_open(&lb->udp, lb->loop, &lb->config->listen_clients, &udp, lb);
	return err ? host_listen_fault(err, "listen_clients", &lb->config->listen_clients, fault, cap) : RS_OK;
}

static int open_links(struct lb *lb, uint64_t boot, char *fault, size_t cap)
{
	static const struct hub_handler handler = {on_known, on_link_message, on_link_gone};
	struct hub_config c = {.local = lb->config->listen_brokers, .id = lb->config->common.id,
			       .boot = boot, .tls = lb->tls};
	int err = hub_new(&lb->hub, lb->loop, &c, &handler, lb);
	return err ? host_listen_fault(err, "listen_brokers", &c.local, fault, cap) : RS_OK;
}

static int open_redis(struct lb *lb, char *fault, size_t cap)
{
	const struct lb_config *c = lb->config;
	struct rds_config config;
	int err = host_redis_config(&c->common, (uint32_t)c->redis_timeout_ms, 0, lb->redis_password, &config,
				    fault, cap);
	return err ? err : rds_new(&lb->rds, lb->loop, &config, NULL, lb);
}

static int join(struct lb *lb, uint64_t boot)
{
	const struct lb_config *c = lb->config;
	static const struct addr none;
	struct member self = {.boot = boot};
	self.address = host_advertised(&c->advertise_clients, udp_local(lb->udp), &c->common.redis);
	self.link = host_advertised(&c->advertise_brokers, hub_local(lb->hub), &c->common.redis);
	if (addr_port(&c->common.listen_http)) /* else there is none, or one that nobody knows before */
		self.http = host_advertised(&none, c->common.listen_http, &c->common.redis);
	memcpy(self.id, c->common.id, strlen(c->common.id) + 1);
	memcpy(self.key, lb->key.pub, sizeof self.key);
	int err = registry_join(&lb->registry, lb->loop, lb->rds, "lb", &self);
	return err ? err : registry_watch(&lb->watch, lb->loop, lb->rds, "broker", on_members, lb);
}

static void lb_free(void *app)
{
	struct lb *lb = app;
	rds_free(lb->rds); /* answers what is under way: the rest must still be there */
	registry_watch_free(lb->watch);
	registry_free(lb->registry);
	hub_free(lb->hub);
	udp_close(lb->udp);
	balancer_deinit(&lb->balancer);
	tls_context_free(lb->tls);
	prefix_file_close(&lb->prefixes);
	explicit_bzero(lb, sizeof *lb);
	free(lb);
}

static const char *not_ready(void *app)
{
	struct lb *lb = app;
	if (lb->stopping)
		return "stopping";
	if (table_alive_count(&lb->table, clock_mono_ms()) == 0)
		return "no broker is alive";
	return registry_fault(lb->registry);
}

static int lb_start(struct ev_loop *loop, const void *config, const void *secret, size_t secret_len,
		    void **app, char *fault, size_t cap)
{
	struct lb *lb = calloc(1, sizeof *lb);
	uint64_t boot = daemon_boot();
	char clients[ADDR_TEXT_MAX], brokers[ADDR_TEXT_MAX];
	if (!lb)
		return RS_ENOMEM;
	lb->loop = loop;
	lb->config = config;
	int err = keyfile_load_or_create(lb->config->key_file, &lb->key, fault, cap);
	if (!err)
		err = keyfile_publish(lb->config->key_file, &lb->key, fault, cap);
	if (!err && secret_len)
		err = tls_context_new(&lb->tls, secret, secret_len);
	if (!err)
		err = prefix_file_open(&lb->prefixes, lb->config->prefixes, fault, cap);
	if (!err)
		err = open_clients(lb, fault, cap);
	if (!err)
		err = open_links(lb, boot, fault, cap);
	if (!err)
		err = open_redis(lb, fault, cap);
	if (!err)
		err = join(lb, boot);
	if (err) {
		lb_free(lb);
		return err;
	}
	registry_tell_ready(lb->registry, not_ready, lb);
	struct addr udp = udp_local(lb->udp), tcp = hub_local(lb->hub);
	log_info("listening", LOG_STR("clients", addr_format(&udp, clients)),
		 LOG_STR("brokers", addr_format(&tcp, brokers)));
	*app = lb;
	return RS_OK;
}

static void on_left(void *ctx)
{
	struct lb *lb = ctx;
	daemon_stopped(lb->loop);
}

static void lb_stop(void *app)
{
	struct lb *lb = app;
	lb->stopping = true;
	hub_stop(lb->hub);
	registry_leave(lb->registry, on_left, lb);
}

static void lb_reload(void *app)
{
	struct lb *lb = app;
	prefix_file_reload(&lb->prefixes);
}

/* GET /explain?address=203.0.113.7 */
static int write_explanation(void *app, const char *value, struct buf *out)
{
	struct lb *lb = app;
	struct addr a;
	if (!value || addr_parse_host(value, &a)) {
		int err = buf_printf(out, "wants an address of a client: /explain?address=203.0.113.7\n");
		return err ? err : RS_EINVAL;
	}
	struct chooser c = chooser_of(lb);
	return choose_explain(&c, &a, clock_mono_ms(), out);
}

static void lb_metrics(void *app, struct metrics *m)
{
	struct lb *lb = app;
	const struct balancer_stats *b = &lb->balancer.stats;
	const struct gate_stats *g = &lb->balancer.gate.stats;
	const struct udp_stats *u = udp_stats(lb->udp);
	metrics_counter(m, "lb_asks_total", "asks that verified", b->asks);
	metrics_counter(m, "lb_answers_total", "answers sent", b->answers);
	metrics_counter(m, "lb_no_broker_total", "asks that could name no broker", lb->no_broker);
	metrics_counter(m, "lb_deferred_total", "asks told to come again later: over admissions_per_broker", lb->deferred);
	metrics_counter(m, "lb_asks_bad_total", "asks that did not verify", b->asks_bad);
	metrics_counter(m, "lb_cookies_sent_total", "cookies asked for under load", g->cookies_sent);
	metrics_counter(m, "lb_cookies_bad_total", "wrong or old cookies", g->cookies_bad);
	metrics_counter(m, "lb_asks_refused_address_total", "asks over the limit of their address", g->refused_address);
	metrics_counter(m, "lb_asks_shed_total", "asks over what the balancer answers in a second", g->shed);
	metrics_counter(m, "lb_bad_packets_total", "packets refused: malformed", b->bad_packets);
	metrics_counter(m, "lb_udp_received_total", "datagrams received", u->rx_packets);
	metrics_counter(m, "lb_udp_lost_total", "datagrams that the kernel dropped before the balancer read them", u->rx_lost);
	metrics_counter(m, "lb_udp_sent_total", "datagrams sent", u->tx_packets);
	metrics_counter(m, "lb_udp_dropped_total", "datagrams that the kernel did not take", u->tx_dropped);
	prefix_file_metrics(&lb->prefixes, "lb", m);
	hub_metrics(lb->hub, "lb", m);
	metrics_gauge(m, "lb_brokers_alive", "brokers that clients may be sent to",
		      (double)table_alive_count(&lb->table, clock_mono_ms()));
}

int main(int argc, char **argv)
{
	static const struct daemon d = {
		.prog = "restante-lb",
		.summary = "load balancer: tells clients which broker to use",
		.settings = settings,
		.setting_count = sizeof settings / sizeof *settings,
		.config_size = sizeof(struct lb_config),
		.check = check,
		.start = lb_start,
		.stop = lb_stop,
		.free = lb_free,
		.reload = lb_reload,
		.not_ready = not_ready,
		.metrics = lb_metrics,
		.page = {"/explain", "address", write_explanation},
	};
	return daemon_main(&d, argc, argv);
}
