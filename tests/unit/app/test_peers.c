/* SPDX-License-Identifier: Apache-2.0 */
/* Real DCs in miniature: each beats in a real Redis, listens for links and
 * answers HELLO with WELCOME. The peers under test find them by themselves. */
#include "app/peers.h"
#include "base/clock.h"
#include "net/listener.h"
#include "net/tls.h"
#include "support/net_support.h"
#include "support/redis_server.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_MS 15000
#define OWN_BOOT 0x1122334455667788u

static struct redis_server server;
static struct ev_loop *loop;
static struct rds *rds;
static struct tls_context *tls;
static struct peers *peers;

/* --- a DC --- */

struct dc {
	struct member self;
	struct registry *registry;
	struct listener *listener;
	struct link *link;          /* the newest */
	struct addr from;
	unsigned hellos, fetches;
	char hello_id[NAME_MAX_BYTES + 1];
	uint64_t hello_boot;
	const char *welcome_id;     /* NULL: its own; "": none is sent */
	bool nudge_first;           /* a message before WELCOME */
};

static void dc_send(struct dc *d, const struct link_message *m)
{
	uint8_t data[256];
	int len = link_encode(m, data, sizeof data);
	cr_assert_gt(len, 0);
	cr_expect_eq(link_send(d->link, data, (size_t)len), RS_OK);
}

static void dc_nudge(struct dc *d, uint32_t conn)
{
	struct link_message m = {.type = LINK_NUDGE, .nudge = {.conn = conn, .owner = 2}};
	dc_send(d, &m);
}

static void dc_welcome(struct dc *d)
{
	struct link_message m = {.type = LINK_WELCOME};
	const char *id = d->welcome_id ? d->welcome_id : d->self.id;
	if (d->nudge_first)
		dc_nudge(d, 1);
	m.hello.boot = d->self.boot;
	m.hello.id = (struct link_name){id, strlen(id)};
	if (*id)
		dc_send(d, &m);
}

static int dc_on_message(void *ctx, const uint8_t *data, size_t len)
{
	struct dc *d = ctx;
	struct link_message m;
	if (link_decode(data, len, &m))
		return RS_EINVAL;
	if (m.type == LINK_FETCH)
		d->fetches++;
	if (m.type != LINK_HELLO)
		return RS_OK;
	d->hellos++;
	d->hello_boot = m.hello.boot;
	snprintf(d->hello_id, sizeof d->hello_id, "%.*s", (int)m.hello.id.len, m.hello.id.text);
	dc_welcome(d);
	return RS_OK;
}

static void dc_on_up(void *ctx) { (void)ctx; }

static void dc_on_down(void *ctx, const char *why)
{
	struct dc *d = ctx;
	(void)why;
	d->link = NULL;
	listener_release(d->listener, &d->from);
}

static const struct link_handler dc_handler = {dc_on_up, dc_on_message, dc_on_down};

static void dc_hang_up(struct dc *d)
{
	if (!d->link)
		return;
	link_free(d->link);
	dc_on_down(d, "");
}

static void dc_on_accept(void *ctx, int fd, const struct addr *from)
{
	struct dc *d = ctx;
	dc_hang_up(d);
	d->from = *from;
	cr_assert_eq(link_accept(&d->link, loop, fd, tls, &dc_handler, d), RS_OK);
}

static void dc_listen(struct dc *d)
{
	struct listener_config config = {.local = net_loopback(0)};
	cr_assert_eq(listener_open(&d->listener, loop, &config, dc_on_accept, d), RS_OK);
	d->self.link = listener_local(d->listener);
}

static void dc_start(struct dc *d, const char *id)
{
	snprintf(d->self.id, sizeof d->self.id, "%s", id);
	d->self.boot = 100;
	dc_listen(d);
	cr_assert_eq(registry_join(&d->registry, loop, rds, "dc", &d->self), RS_OK);
}

/* As by kill -9. */
static void dc_stop(struct dc *d)
{
	registry_free(d->registry);
	d->registry = NULL;
	dc_hang_up(d);
	listener_close(d->listener);
	d->listener = NULL;
}

/* --- the peers under test --- */

static unsigned ups[PEERS_MAX], downs[PEERS_MAX], messages;
static uint32_t last_conn;
static int message_answer;

static void on_up(void *ctx, size_t peer)
{
	cr_assert_eq(ctx, &peers);
	ups[peer]++;
	cr_expect(peers_is_up(peers, peer));
}

static int on_message(void *ctx, size_t peer, const struct link_message *m)
{
	(void)ctx;
	cr_expect(peers_is_up(peers, peer));
	messages++;
	if (m->type == LINK_NUDGE)
		last_conn = m->nudge.conn;
	return message_answer;
}

static void on_down(void *ctx, size_t peer)
{
	(void)ctx;
	downs[peer]++;
	cr_expect_not(peers_is_up(peers, peer));
}

static const struct peers_handler handler = {on_up, on_message, on_down};

static bool redis_is_up(void *ctx) { return rds_is_up(ctx); }

static void start_peers(void)
{
	cr_assert_eq(peers_new(&peers, loop, rds, "dc", tls, "mb1", OWN_BOOT, &handler, &peers), RS_OK);
}

static void set_up(void)
{
	redis_server_start(&server, NULL);
	struct rds_config config = {.addr = redis_server_addr(&server)};
	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_eq(rds_new(&rds, loop, &config, NULL, NULL), RS_OK);
	cr_assert(net_run_until(loop, redis_is_up, rds, DEADLINE_MS));
	start_peers();
}

static void tear_down(void)
{
	peers_free(peers);
	rds_free(rds);
	tls_context_free(tls);
	ev_loop_destroy(loop);
	redis_server_stop(&server);
}

TestSuite(peers, .init = set_up, .fini = tear_down, .timeout = 90);

static bool count_is(void *ctx) { return peers_up_count(peers) == *(size_t *)ctx; }

static void await_count(size_t count)
{
	cr_assert(net_run_until(loop, count_is, &count, DEADLINE_MS), "%zu up, not %zu", peers_up_count(peers), count);
}

static bool reached(void *ctx)
{
	const unsigned **watched = ctx;
	return *watched[0] >= *watched[1];
}

/* Until *value is at least `want`. */
static void await_at_least(const unsigned *value, unsigned want)
{
	const unsigned *watched[2] = {value, &want};
	cr_assert(net_run_until(loop, reached, watched, DEADLINE_MS), "%u, not %u", *value, want);
}

static const struct link_message fetch = {
	.type = LINK_FETCH, .fetch = {.max_count = 1, .max_bytes = 1, .user = {"alice", 5}}};

/* --- tests --- */

Test(peers, a_member_is_found_and_greeted)
{
	struct dc d = {.fetches = 0};
	cr_expect_eq(peers_pick(peers, 1), RS_EDOWN);
	dc_start(&d, "dc1");
	await_count(1);
	cr_expect_eq(ups[0], 1);
	cr_expect_eq(d.hellos, 1);
	cr_expect_str_eq(d.hello_id, "mb1");
	cr_expect_eq(d.hello_boot, OWN_BOOT);
	cr_expect_eq(peers_pick(peers, 1), 0);
	cr_expect_eq(peers_send(peers, 0, &fetch), RS_OK);
	await_at_least(&d.fetches, 1);
	dc_nudge(&d, 77);
	await_at_least(&messages, 1);
	cr_expect_eq(last_conn, 77);
	cr_expect_eq(messages, 1, "WELCOME must not come up");
	dc_stop(&d);
}

Test(peers, it_works_over_tls_too)
{
	struct dc d = {.fetches = 0};
	peers_free(peers);
	cr_assert_eq(tls_context_new(&tls, "a secret of the cluster", 23), RS_OK);
	start_peers();
	dc_start(&d, "dc1");
	await_count(1);
	cr_expect_eq(peers_send(peers, 0, &fetch), RS_OK);
	await_at_least(&d.fetches, 1);
	dc_stop(&d);
}

Test(peers, nothing_is_sent_to_who_is_not_up)
{
	cr_expect_eq(peers_send(peers, 0, &fetch), RS_EDOWN);
	cr_expect_eq(peers_send(peers, PEERS_MAX, &fetch), RS_EDOWN);
	cr_expect_not(peers_is_up(peers, PEERS_MAX));
	peers_send_all(peers, &fetch);
}

/* Nothing is read meanwhile: the queue of the link is all that holds it. */
Test(peers, a_full_link_refuses_and_counts)
{
	struct dc d = {.fetches = 0};
	unsigned sent = 0;
	dc_start(&d, "dc1");
	await_count(1);
	while (peers_send(peers, 0, &fetch) == RS_OK)
		cr_assert_lt(++sent, 10000000);
	cr_expect_eq(peers_send(peers, 0, &fetch), RS_EBUSY);
	cr_expect_eq(peers_full_total(peers), 2);
	await_at_least(&d.fetches, sent); /* what was taken gets there */
	cr_expect_eq(peers_send(peers, 0, &fetch), RS_OK);
	cr_expect_eq(d.hellos, 1);
	dc_stop(&d);
}

Test(peers, who_could_not_be_told_what_all_were_told_is_linked_anew)
{
	struct dc d = {.fetches = 0};
	dc_start(&d, "dc1");
	await_count(1);
	while (peers_send(peers, 0, &fetch) == RS_OK)
		continue;
	uint64_t full = peers_full_total(peers);
	peers_send_all(peers, &fetch);
	cr_expect_eq(peers_full_total(peers), full + 1);
	await_at_least(&downs[0], 1);
	await_at_least(&d.hellos, 2);
	await_count(1);
	net_run_for(loop, 1500); /* once, not with each listing */
	cr_expect_eq(d.hellos, 2);
	cr_expect_eq(downs[0], 1);
	dc_stop(&d);
}

Test(peers, the_choice_is_stable_spread_and_moves_little)
{
	struct dc d[3] = {{.fetches = 0}};
	int chosen[300];
	size_t of_each[PEERS_MAX] = {0}, moved = 0;
	for (int i = 0; i < 3; i++)
		dc_start(&d[i], i == 0 ? "dc1" : i == 1 ? "dc2" : "dc3");
	await_count(3);
	for (uint32_t h = 0; h < 300; h++) {
		chosen[h] = peers_pick(peers, h);
		cr_assert(chosen[h] >= 0 && chosen[h] < 3);
		cr_assert_eq(peers_pick(peers, h), chosen[h]);
		of_each[chosen[h]]++;
	}
	for (int i = 0; i < 3; i++)
		cr_expect(of_each[i] > 60 && of_each[i] < 140, "%zu of 300", of_each[i]);
	peers_send_all(peers, &fetch);
	for (int i = 0; i < 3; i++)
		await_at_least(&d[i].fetches, 1);
	dc_stop(&d[1]);
	await_count(2);
	int gone = peers_is_up(peers, 0) ? peers_is_up(peers, 1) ? 2 : 1 : 0;
	for (uint32_t h = 0; h < 300; h++) {
		int now = peers_pick(peers, h);
		cr_expect_neq(now, gone);
		moved += now != chosen[h];
	}
	cr_expect_eq(moved, of_each[gone], "only what the lost one had may move");
	dc_stop(&d[0]);
	dc_stop(&d[2]);
}

Test(peers, a_lost_link_comes_back)
{
	struct dc d = {.fetches = 0};
	dc_start(&d, "dc1");
	await_count(1);
	d.self.boot = 200; /* it was restarted: another boot number under the same id */
	dc_hang_up(&d);
	await_at_least(&downs[0], 1);
	await_at_least(&ups[0], 2);
	cr_expect_eq(downs[0], 1);
	cr_expect_eq(d.hellos, 2);
	dc_stop(&d);
}

Test(peers, a_refused_message_closes_the_link)
{
	struct dc d = {.fetches = 0};
	dc_start(&d, "dc1");
	await_count(1);
	message_answer = RS_EINVAL;
	dc_nudge(&d, 1);
	await_at_least(&downs[0], 1);
	message_answer = RS_OK;
	await_at_least(&ups[0], 2);
	dc_stop(&d);
}

Test(peers, a_second_welcome_closes_the_link)
{
	struct dc d = {.fetches = 0};
	dc_start(&d, "dc1");
	await_count(1);
	dc_welcome(&d);
	await_at_least(&downs[0], 1);
	cr_expect_eq(messages, 0);
	dc_stop(&d);
}

Test(peers, a_changed_address_is_followed)
{
	struct dc d = {.fetches = 0};
	dc_start(&d, "dc1");
	await_count(1);
	struct dc next = {.self = d.self};
	dc_listen(&next);
	registry_update(d.registry, &next.self); /* the old one still listens */
	await_at_least(&next.hellos, 1);
	await_at_least(&ups[0], 2);
	cr_expect_eq(downs[0], 1);
	cr_expect_eq(peers_up_count(peers), 1);
	dc_stop(&d);
	dc_stop(&next);
}

Test(peers, who_bears_another_name_is_not_taken)
{
	static const char *const others[] = {"dc10", "dc2", "dc"};
	struct dc d = {.welcome_id = others[0]};
	dc_start(&d, "dc1");
	for (size_t i = 0; i < 3; i++) {
		d.welcome_id = others[i];
		await_at_least(&d.hellos, d.hellos + 2); /* it tries again */
		cr_expect_eq(ups[0], 0, "%s was taken", others[i]);
	}
	d.welcome_id = NULL;
	await_count(1);
	dc_stop(&d);
}

Test(peers, nothing_may_come_before_welcome)
{
	struct dc d = {.nudge_first = true};
	dc_start(&d, "dc1");
	await_at_least(&d.hellos, 2);
	cr_expect_eq(messages, 0);
	cr_expect_eq(ups[0], 0);
	dc_stop(&d);
}

/* Slow: five seconds of patience. */
Test(peers, who_does_not_welcome_is_asked_again)
{
	struct dc d = {.welcome_id = ""};
	dc_start(&d, "dc1");
	await_at_least(&d.hellos, 2);
	cr_expect_eq(ups[0], 0);
	dc_stop(&d);
}

static bool slot_is_free(void *ctx) { return downs[0] == 1 && ((struct dc *)ctx)->link == NULL; }

/* Slow: a member is forgotten after ten seconds without a beat, not before,
 * although its link stands. */
Test(peers, who_is_gone_from_the_registry_is_dropped)
{
	struct dc d = {.fetches = 0}, e = {.fetches = 0};
	dc_start(&d, "dc1");
	await_count(1);
	registry_free(d.registry);
	d.registry = NULL;
	uint64_t from = clock_mono_ms();
	cr_assert(net_run_until(loop, slot_is_free, &d, 20000), "not dropped");
	uint64_t took = clock_mono_ms() - from;
	cr_expect(took > 10000 && took < 16000, "after %llu ms", (unsigned long long)took);
	cr_expect_eq(peers_up_count(peers), 0);
	dc_start(&e, "dc9"); /* the slot serves again */
	await_count(1);
	cr_expect_eq(ups[0], 2);
	dc_stop(&e);
	dc_stop(&d);
}

static bool redis_is_down(void *ctx) { return !rds_is_up(ctx); }

/* Slow: longer than the patience with a member that is gone. */
Test(peers, while_redis_is_away_the_links_stay)
{
	struct dc d = {.fetches = 0};
	dc_start(&d, "dc1");
	await_count(1);
	redis_server_kill(&server);
	cr_assert(net_run_until(loop, redis_is_down, rds, DEADLINE_MS));
	registry_free(d.registry); /* it has not seen yet that Redis is back */
	net_run_for(loop, 11000);
	cr_expect_eq(peers_up_count(peers), 1);
	redis_server_run(&server); /* empty */
	cr_assert(net_run_until(loop, redis_is_up, rds, DEADLINE_MS));
	net_run_for(loop, 3500);
	cr_expect_eq(peers_up_count(peers), 1, "an empty listing dropped what the outage had left");
	cr_expect_eq(peers_send(peers, 0, &fetch), RS_OK);
	await_at_least(&d.fetches, 1);
	cr_assert_eq(registry_join(&d.registry, loop, rds, "dc", &d.self), RS_OK);
	net_run_for(loop, 1500);
	cr_expect_eq(downs[0], 0);
	dc_stop(&d);
}

Test(peers, a_bad_own_name_is_refused)
{
	struct peers *p = NULL;
	cr_expect_eq(peers_new(&p, loop, rds, "dc", NULL, "", 1, &handler, NULL), RS_EINVAL);
	cr_expect_eq(peers_new(&p, loop, rds, "dc", NULL, "a b", 1, &handler, NULL), RS_EINVAL);
}
