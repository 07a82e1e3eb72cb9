/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "lease.h"

#include "crypto/random.h"

#include <string.h>

static struct member describe(const struct mb *m)
{
	struct member self = {.boot = m->boot, .address = m->advertised,
			      .sessions = m->user_count, .capacity = (uint32_t)m->config->capacity,
			      .draining = m->drain.on};
	memcpy(self.id, m->config->common.id, strlen(m->config->common.id) + 1);
	memcpy(self.zone, m->config->zone, strnlen(m->config->zone, NAME_MAX_BYTES));
	memcpy(self.key, m->key.pub, sizeof self.key);
	self.isps = m->config->advertise_isp;
	return self;
}

/* Clients get the names of the others, for when no balancer answers and when this
 * broker drains. They go to the first one named: another each second, so that not
 * all go to the same. */
static void on_brokers(void *ctx, const struct member *members, size_t count, uint64_t redis_now_ms)
{
	(void)redis_now_ms;
	struct mb *m = ctx;
	struct frame_brokers list = {0};
	uint32_t first;
	random_bytes(&first, sizeof first);
	for (size_t i = 0; i < count && list.count < ANSWER_BROKERS_MAX; i++) {
		const struct member *b = &members[(first % count + i) % count];
		if (!b->alive || b->draining || b->boot == m->boot || b->sessions >= b->capacity)
			continue;
		list.at[list.count].address = b->address;
		memcpy(list.at[list.count++].key, b->key, sizeof b->key);
	}
	server_set_fallback(m->server, &list);
}

int report_start(struct mb *m)
{
	struct member self = describe(m);
	int err = registry_join(&m->registry, m->loop, m->rds, "broker", &self);
	return err ? err : registry_watch(&m->watch, m->loop, m->rds, "broker", on_brokers, m);
}

void report_late(struct mb *m, uint32_t late_ms)
{
	if (late_ms > m->load.worst_late_ms)
		m->load.worst_late_ms = late_ms;
}

void report_second(struct mb *m)
{
	struct load *l = &m->load;
	const struct udp_stats *u = udp_stats(m->udp);
	uint64_t now_ms = mb_time().mono_ms, packets = u->rx_packets + u->tx_packets;
	uint64_t passed_ms = now_ms - l->since_ms;
	if (l->since_ms && passed_ms)
		l->packets = (uint32_t)((packets - l->packets_before) * 1000 / passed_ms);
	uint32_t worst = l->worst_late_ms < UINT16_MAX ? l->worst_late_ms : UINT16_MAX;
	l->lag_ms = (uint16_t)((3u * l->lag_ms + worst) / 4); /* one hiccup sends nobody away */
	l->worst_late_ms = 0;
	l->packets_before = packets;
	l->since_ms = now_ms;
	report_load(m);
}

static struct reader write_isps(const struct isp_set *s, uint8_t *space, size_t cap)
{
	struct writer w = writer_over(space, cap);
	for (size_t i = 0; i < s->count; i++)
		link_add_isp(&w, &(struct link_isp){{s->at[i].isp, strlen(s->at[i].isp)}, s->at[i].address});
	return reader_over(space, writer_len(&w));
}

void report_load(struct mb *m)
{
	uint8_t isps[ISPS_MAX * (1 + NAME_MAX_BYTES + sizeof(struct addr))], paths[LINK_PATHS_MAX * (1 + NAME_MAX_BYTES + 4)];
	struct writer w = writer_over(paths, sizeof paths);
	struct member self = describe(m);
	registry_update(m->registry, &self);
	struct link_message msg = {.type = LINK_LOAD};
	msg.load = (struct link_load){
		.sessions = self.sessions, .capacity = self.capacity, .draining = self.draining,
		.packets = m->load.packets, .lag_ms = m->load.lag_ms,
		.address = self.address, .key = self.key, .zone = {self.zone, strlen(self.zone)},
		.isp_count = (uint8_t)self.isps.count, .isps = write_isps(&self.isps, isps, sizeof isps),
	};
	msg.load.path_count = quality_write(&m->quality, mb_time().mono_ms, &w);
	msg.load.paths = reader_over(paths, writer_len(&w));
	peers_send_all(m->lbs, &msg);
}

struct counter {
	const char *name, *help;
	uint64_t value;
};

static void put_all(struct metrics *out, const struct counter *c, size_t count)
{
	for (size_t i = 0; i < count; i++)
		metrics_counter(out, c[i].name, c[i].help, c[i].value);
}

static void engine_metrics(const struct server_stats *s, const struct gate_stats *g, struct metrics *out)
{
	const struct counter c[] = {
		{"mb_handshakes_total", "handshakes answered", s->handshakes},
		{"mb_handshakes_bad_total", "INIT packets that did not verify", s->handshakes_bad},
		{"mb_cookies_sent_total", "cookies asked for under load", g->cookies_sent},
		{"mb_cookies_bad_total", "wrong or old cookies", g->cookies_bad},
		{"mb_handshakes_refused_address_total", "handshakes over the limit of their address", g->refused_address},
		{"mb_handshakes_shed_total", "handshakes dropped under load", g->shed},
		{"mb_half_open_evicted_total", "handshakes that lost their place to newer ones", s->half_open_evicted},
		{"mb_refused_full_total", "handshakes refused because all sessions are in use", s->refused_full},
		{"mb_heartbeats_total", "heartbeats answered", s->heartbeats},
		{"mb_data_in_total", "DATA packets accepted", s->data_in},
		{"mb_data_out_total", "DATA packets sent", s->data_out},
		{"mb_bad_packets_total", "packets refused: malformed or not authentic", s->bad_packets},
		{"mb_packets_shed_total", "packets not tried: their session had too many bad ones, and they came from elsewhere", s->shed},
		{"mb_replays_total", "packets refused: received before or too old", s->replays},
		{"mb_resets_sent_total", "resets for unknown sessions", s->resets_sent},
		{"mb_resets_suppressed_total", "resets not sent: over the rate limit, or too many bad packets came from there", s->resets_suppressed},
		{"mb_timeouts_total", "sessions ended by silence", s->timeouts},
		{"mb_login_timeouts_total", "logins that could not be decided in time", s->login_timeouts},
		{"mb_stalls_total", "deliveries that gave up until a sign of life", s->stalls},
		{"mb_redirected_total", "clients sent to other brokers", s->redirected},
		{"mb_moved_total", "changes of a client's address", s->moved},
		{"mb_path_bad_total", "wrong answers to a path challenge", s->path_bad},
		{"mb_messages_pushed_total", "messages handed to sessions", s->pushed},
		{"mb_messages_acked_total", "messages that clients have taken", s->acked},
		{"mb_messages_voided_total", "messages that expired on the way", s->voided},
	};
	put_all(out, c, sizeof c / sizeof *c);
	metrics_gauge(out, "mb_sessions", "sessions in any state", s->sessions);
	metrics_gauge(out, "mb_half_open", "handshakes under way", s->half_open);
	metrics_gauge(out, "mb_online", "clients logged in", s->online);
}

static void broker_metrics(const struct mb *m, struct metrics *out)
{
	const struct mb_counts *n = &m->counts;
	const struct counter c[] = {
		{"mb_ephemerals_ahead_total", "handshakes for which a key had been made ahead", n->ephemerals_ahead},
		{"mb_ephemerals_late_total", "handshakes for which a key had to be made", n->ephemerals_late},
		{"mb_logins_total", "logins accepted", n->logins_ok},
		{"mb_logins_wrong_total", "logins refused: session id unknown or of another user", n->logins_wrong},
		{"mb_logins_expired_total", "logins refused: session id expired", n->logins_expired},
		{"mb_logins_unavailable_total", "logins refused: could not be checked", n->logins_unavailable},
		{"mb_logins_overloaded_total", "logins refused: too many at a time, or full", n->logins_overloaded},
		{"mb_logins_deferred_total", "logins told to come again later: over logins_per_s", n->logins_deferred},
		{"mb_logins_shed_total", "logins refused because the broker could not keep up", n->logins_shed},
		{"mb_logins_refused_address_total", "logins refused: too many wrong ones from the address", n->logins_refused_address},
		{"mb_logins_refused_user_total", "logins refused: too many wrong ones for the user, and one from the address", n->logins_refused_user},
		{"mb_overloads_total", "times that the broker began to drop handshakes to keep up", m->shed.times},
		{"mb_kicks_sent_total", "users taken over from another broker", n->kicks_sent},
		{"mb_kicks_obeyed_total", "sessions ended because the user logged in elsewhere", n->kicks_obeyed},
		{"mb_fenced_total", "sessions ended because Redis refused their owner token", n->fenced},
		{"mb_leases_renewed_total", "presence leases renewed", n->renewed},
		{"mb_leases_failed_total", "renewals that failed and are tried again", n->renew_failed},
		{"mb_presence_cleared_total", "users taken out of presence", n->cleared},
		{"mb_presence_clear_failed_total", "presence left to expire by itself", n->clear_failed},
		{"mb_fetches_total", "pages of queues asked for", n->fetches},
		{"mb_fetched_total", "messages fetched from queues", n->fetched},
		{"mb_fetch_unavailable_total", "fetches that a DC could not serve", n->fetch_unavailable},
		{"mb_pushes_total", "messages pushed by DCs", n->pushes},
		{"mb_push_gaps_total", "pushes that did not follow on and were fetched instead", n->push_gaps},
		{"mb_push_stale_total", "messages of DCs for sessions that are gone", n->push_stale},
		{"mb_not_stored_dropped_total", "unstored messages dropped for lack of room", n->not_stored_dropped},
		{"mb_acks_sent_total", "acknowledgements reported to DCs", n->acks_sent},
		{"mb_ack_unavailable_total", "reports that a DC could not take", n->ack_unavailable},
		{"mb_withdrawn_total", "messages under way that were withdrawn", n->withdrawn},
		{"mb_notices_total", "notices of displaced messages given to clients", n->notices},
		{"mb_notices_taken_total", "notices that clients have taken", n->notices_taken},
		{"mb_requests_done_total", "requests of clients that were carried out", n->requests_done},
		{"mb_requests_refused_total", "requests of clients that were not valid, or too many", n->requests_refused},
		{"mb_requests_failed_total", "requests of clients to be made again: Redis did not carry them out", n->requests_failed},
		{"mb_damaged_records_total", "records that could not be read", n->damaged_records},
		{"mb_broadcasts_kept_total", "kept broadcasts that became known", n->broadcasts_kept},
		{"mb_broadcasts_unkept_total", "broadcasts of DCs to those who are online", n->broadcasts_unkept},
		{"mb_broadcasts_withdrawn_total", "kept broadcasts that were taken back", n->broadcasts_withdrawn},
		{"mb_broadcasts_handed_total", "broadcasts handed to sessions", n->broadcasts_handed},
		{"mb_broadcasts_dropped_total", "unkept broadcasts dropped for lack of room, by user", n->broadcasts_dropped},
		{"mb_cursors_advanced_total", "times that a user's kept broadcasts were noted in Redis as taken", n->cursors_advanced},
		{"mb_cursors_failed_total", "times that this failed and was tried again", n->cursors_failed},
	};
	put_all(out, c, sizeof c / sizeof *c);
	metrics_gauge(out, "mb_logins_pending", "logins under way", m->logins_pending);
	metrics_gauge(out, "mb_broadcasts", "broadcasts known: kept ones, and those on their way to all", m->broadcasts.count);
	metrics_gauge(out, "mb_links_dc", "links to DCs that are up", (double)peers_up_count(m->dcs));
	metrics_gauge(out, "mb_packets_per_second", "datagrams in and out in the last second", m->load.packets);
	metrics_gauge(out, "mb_draining", "1: takes no new clients, and sends those that it has to others", m->drain.on);
	metrics_gauge(out, "mb_links_lb", "links to balancers that are up", (double)peers_up_count(m->lbs));
}

void report_metrics(void *app, struct metrics *out)
{
	struct mb *m = app;
	const struct udp_stats *u = udp_stats(m->udp);
	const struct rds_stats *r = rds_stats(m->rds);
	const struct counter c[] = {
		{"mb_udp_received_total", "datagrams received", u->rx_packets},
		{"mb_udp_received_bytes_total", "bytes of datagrams received", u->rx_bytes},
		{"mb_udp_oversize_total", "datagrams too long to be ours", u->rx_oversize},
		{"mb_udp_lost_total", "datagrams that the kernel dropped before the broker read them", u->rx_lost},
		{"mb_udp_sent_total", "datagrams sent", u->tx_packets},
		{"mb_udp_sent_bytes_total", "bytes of datagrams sent", u->tx_bytes},
		{"mb_udp_dropped_total", "datagrams that the kernel did not take", u->tx_dropped},
		{"mb_links_full_total", "messages not sent: the queue of a link was full", peers_full_total(m->dcs) + peers_full_total(m->lbs)},
		{"redis_requests_total", "requests to Redis", r->requests},
		{"redis_errors_total", "requests that Redis refused", r->errors},
		{"redis_timeouts_total", "requests without an answer in time", r->timeouts},
		{"redis_refused_total", "requests not sent: Redis away or too many in flight", r->refused},
		{"redis_reconnects_total", "connections to Redis that were lost", r->reconnects},
	};
	engine_metrics(server_stats(m->server), server_gate_stats(m->server), out);
	broker_metrics(m, out);
	quality_metrics(&m->quality, out);
	put_all(out, c, sizeof c / sizeof *c);
	metrics_gauge(out, "mb_leases_late_seconds", "how long the renewal that is most overdue is", lease_late_s(m));
	metrics_gauge(out, "redis_in_flight", "requests that wait for Redis", r->in_flight);
	metrics_gauge(out, "redis_in_flight_peak", "the most of them since the start", r->in_flight_peak);
}
