/* SPDX-License-Identifier: Apache-2.0 */
/* restante-dc: takes messages from Apps, stores them, pushes them to the broker
 * that holds the user. Made and taken apart here, in this order and back:
 *
 *   answers, Apps known, receipts, watchers, durability, Redis   TLS   apps, brokers   registry
 *
 * The stop: no new connections or links, nothing more is read; the answers that
 * are due go out; the DC leaves the registry; after STOP_MS it ends anyway. */
#include "answer.h"
#include "app.h"
#include "apps.h"
#include "bodies.h"
#include "brokers.h"
#include "counts.h"
#include "dc.h"
#include "durability.h"
#include "fan_board.h"
#include "fan_count.h"
#include "owed.h"
#include "receipts.h"
#include "watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/random.h"
#include "net/tls.h"
#include "rds/keys.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STOP_MS = 2000, ADDRESSES_MAX = 4096 /* whose wrong keys are counted */ };
#define STOP_LOOK_S 0.01

struct service {
	struct dc dc;
	ev_timer stop;
	uint64_t stop_by_ms;
	bool left; /* the registry has answered */
};

#define ADDR(member, def, help) SETTING(struct dc_config, member, SETTING_ADDR, def, help)
#define RANGE(member, def, lo, hi, help) SETTING_RANGE(struct dc_config, member, def, lo, hi, help)

static const struct setting settings[] = {
	DAEMON_SETTINGS(struct dc_config, "dc1", "127.0.0.1:7180"),
	ADDR(listen_apps, "127.0.0.1:7100", "Apps (TCP, text protocol)"),
	ADDR(listen_brokers, "127.0.0.1:7101", "links of brokers (TCP)"),
	ADDR(advertise_apps, NULL, "address told to others for Apps; empty: listen_apps, or this host's"),
	ADDR(advertise_brokers, NULL, "address told to brokers; empty: listen_brokers, or this host's"),
	RANGE(queue_max_messages, "10000", 1, 1000000, "messages a user's queues may hold"),
	RANGE(queue_max_bytes, "16777216", 65536, 1099511627776, "bytes of messages a user's queues may hold"),
	RANGE(status_s, SETTING_NUMBER(JOURNAL_KEEP_S), 1, 2592000, "seconds for which it is remembered what became of a message"),
	RANGE(receipt_look_s, "30", 1, 3600, "seconds until it is looked up why a receipt has not come"),
	RANGE(broadcasts_max, "256", 1, 1000, "broadcasts kept at a time, of all Apps together"),
	RANGE(ttl_default_s, "604800", 1, 2592000, "seconds a message is kept if the App does not say"),
	RANGE(max_connections, "1024", 1, 100000, "connections of Apps"),
	RANGE(max_connections_per_address, "256", 1, 100000, "connections of Apps from one address"),
	RANGE(wrong_keys_per_address, "100", 0, 1000000, "wrong keys of Apps from one address a minute; 0: no limit"),
	RANGE(redis_timeout_ms, "5000", 10, 60000, "milliseconds Redis may take to answer"),
	RANGE(redis_max_in_flight, "4096", 1, 1000000, "requests to Redis without an answer; more are refused"),
	RANGE(redis_connections, "8", 1, POOL_MAX, "connections to Redis; users are spread over them"),
	RANGE(fan_in_flight, "128", 1, 4096, "of these, requests for messages to many users or a topic"),
	SETTING_OF(struct dc_config, durability, "fsync", "fsync|memory",
		   "what OK means: on disk (Redis must run so), or in Redis's memory"),
};

static int check(const void *config, char *fault, size_t fault_cap)
{
	const struct dc_config *c = config;
	int err = host_check_advertised("advertise_apps", &c->advertise_apps, fault, fault_cap);
	if (!err)
		err = host_check_advertised("advertise_brokers", &c->advertise_brokers, fault, fault_cap);
	return err ? err : host_check_password(&c->common, fault, fault_cap);
}

static void on_redis_state(void *ctx, bool up)
{
	struct dc *dc = ctx;
	dc->redis_up_ms = up ? clock_wall_ms() : 0;
	if (!up)
		return;
	durability_check(dc->durability);
	fan_board_redis_is_back(dc->fans);
}

static int start_redis(struct dc *dc, char *fault, size_t fault_cap)
{
	const struct dc_config *c = dc->config;
	struct rds_config config;
	int err = host_redis_config(&c->common, (uint32_t)c->redis_timeout_ms,
				    (uint32_t)c->redis_max_in_flight, dc->redis_password, &config, fault,
				    fault_cap);
	if (err)
		return err;
	err = answers_new(&dc->answers);
	if (!err)
		err = app_table_new(&dc->known, dc);
	if (!err)
		err = receipts_new(&dc->receipts, dc);
	if (!err)
		err = owed_new(&dc->owed, dc);
	if (!err)
		err = watchers_new(&dc->watchers, dc);
	if (!err)
		err = durability_new(&dc->durability, dc);
	if (!err)
		err = pool_new(&dc->redis, dc->loop, &config, (size_t)c->redis_connections,
			       on_redis_state, dc);
	if (!err)
		err = bodies_new(&dc->bodies, dc);
	if (!err)
		err = fan_board_new(&dc->fans, dc);
	if (!err)
		err = fan_counter_new(&dc->counter, dc);
	return err;
}

static int start_listening(struct dc *dc, char *fault, size_t fault_cap)
{
	const struct dc_config *c = dc->config;
	int err = apps_new(&dc->apps, dc);
	if (err)
		return host_listen_fault(err, "listen_apps", &c->listen_apps, fault, fault_cap);
	err = brokers_new(&dc->brokers, dc);
	if (err)
		return host_listen_fault(err, "listen_brokers", &c->listen_brokers, fault, fault_cap);
	return brokers_watch(dc->brokers);
}

static int start_budget(struct dc *dc)
{
	uint32_t most = (uint32_t)dc->config->wrong_keys_per_address;
	uint64_t seed;
	random_bytes(&seed, sizeof seed);
	return budget_init(&dc->wrong_keys, ADDRESSES_MAX, most, most, seed);
}

static int join(struct dc *dc)
{
	char apps_text[ADDR_TEXT_MAX], brokers_text[ADDR_TEXT_MAX];
	struct addr apps = apps_local(dc->apps), brokers = brokers_local(dc->brokers);
	struct member self = {.boot = dc->boot};
	snprintf(self.id, sizeof self.id, "%.*s", NAME_MAX_BYTES, dc->config->common.id);
	self.address = host_advertised(&dc->config->advertise_apps, apps, &dc->config->common.redis);
	self.link = host_advertised(&dc->config->advertise_brokers, brokers, &dc->config->common.redis);
	log_info("listening", LOG_STR("apps", addr_format(&apps, apps_text)),
		 LOG_STR("brokers", addr_format(&brokers, brokers_text)));
	return registry_join(&dc->registry, dc->loop, pool_first(dc->redis), "dc", &self);
}

static void free_service(void *app)
{
	struct service *s = app;
	struct dc *dc = &s->dc;
	ev_timer_stop(dc->loop, &s->stop);
	registry_free(dc->registry);
	apps_free(dc->apps);
	brokers_free(dc->brokers);
	fan_counter_stop(dc->counter);
	pool_free(dc->redis); /* answers what is under way: to nobody by now */
	fan_board_free(dc->fans);
	fan_counter_free(dc->counter);
	bodies_free(dc->bodies);
	watchers_free(dc->watchers);
	owed_free(dc->owed);
	receipts_free(dc->receipts);
	app_table_free(dc->known);
	durability_free(dc->durability);
	tls_context_free(dc->tls);
	answers_free(dc->answers);
	budget_deinit(&dc->wrong_keys);
	explicit_bzero(dc->redis_password, sizeof dc->redis_password);
	free(s);
}

static void on_stop_look(struct ev_loop *loop, ev_timer *w, int events)
{
	struct service *s = w->data;
	(void)events;
	bool late = clock_mono_ms() >= s->stop_by_ms;
	if (late)
		log_warn("stopped with answers still due", LOG_INT("connections", apps_open_count(s->dc.apps)));
	if (late || (s->left && apps_open_count(s->dc.apps) == 0)) {
		ev_timer_stop(loop, w);
		daemon_stopped(loop);
	}
}

static const char *not_ready(void *app)
{
	const struct service *s = app;
	if (!pool_is_up(s->dc.redis))
		return "Redis is not connected";
	const char *fault = durability_fault(s->dc.durability);
	return fault ? fault : registry_fault(s->dc.registry);
}

static int start(struct ev_loop *loop, const void *config, const void *secret, size_t secret_len,
		 void **app, char *fault, size_t fault_cap)
{
	struct service *s = calloc(1, sizeof *s);
	int err = s ? RS_OK : RS_ENOMEM;
	snprintf(fault, fault_cap, "%s", err_str(RS_ENOMEM));
	if (err)
		return err;
	struct dc *dc = &s->dc;
	dc->loop = loop;
	dc->config = config;
	dc->boot = daemon_boot();
	ev_timer_init(&s->stop, on_stop_look, STOP_LOOK_S, STOP_LOOK_S);
	s->stop.data = s;
	if (!dc->config->common.cluster_plaintext)
		err = tls_context_new(&dc->tls, secret, secret_len);
	if (!err)
		err = start_redis(dc, fault, fault_cap);
	if (!err)
		err = start_budget(dc);
	if (!err)
		err = start_listening(dc, fault, fault_cap);
	if (!err)
		err = join(dc);
	if (err) {
		free_service(s);
		return err;
	}
	registry_tell_ready(dc->registry, not_ready, s);
	*app = s;
	return RS_OK;
}

static void on_left(void *ctx)
{
	struct service *s = ctx;
	s->left = true;
}

static void stop(void *app)
{
	struct service *s = app;
	s->stop_by_ms = clock_mono_ms() + STOP_MS;
	brokers_stop(s->dc.brokers);
	apps_stop(s->dc.apps);
	fan_board_stop(s->dc.fans);
	registry_leave(s->dc.registry, on_left, s);
	ev_timer_start(s->dc.loop, &s->stop);
}

static void write_metrics(void *app, struct metrics *m)
{
	const struct service *s = app;
	counts_metrics(&s->dc, m);
	pool_metrics(s->dc.redis, m);
	answers_metrics(s->dc.answers, m);
	app_table_metrics(s->dc.known, m);
	apps_metrics(s->dc.apps, m);
	fan_board_metrics(s->dc.fans, m);
	bodies_metrics(s->dc.bodies, m);
	receipts_metrics(s->dc.receipts, m);
	watchers_metrics(s->dc.watchers, m);
	brokers_metrics(s->dc.brokers, m);
	durability_metrics(s->dc.durability, m);
}

int main(int argc, char **argv)
{
	static const struct daemon daemon = {
		.prog = "restante-dc",
		.summary = "Data Center of restante: takes messages from Apps, stores and routes them",
		.settings = settings,
		.setting_count = sizeof settings / sizeof *settings,
		.config_size = sizeof(struct dc_config),
		.check = check,
		.start = start,
		.stop = stop,
		.free = free_service,
		.not_ready = not_ready,
		.metrics = write_metrics,
	};
	return daemon_main(&daemon, argc, argv);
}
