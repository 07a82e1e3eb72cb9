/* SPDX-License-Identifier: Apache-2.0 */
#include "app/registry.h"
#include "base/clock.h"
#include "support/net_support.h"
#include "support/redis_server.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_MS 10000
#define KEY_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct redis_server server;
static struct ev_loop *loop;
static struct rds *rds;
static struct registry_watch *watch;

/* The last listing. */
static struct member seen[REGISTRY_MEMBERS_MAX];
static size_t seen_count;
static unsigned listings;
static uint64_t seen_now_ms;

static void on_members(void *ctx, const struct member *members, size_t count, uint64_t redis_now_ms)
{
	(void)ctx;
	listings++;
	seen_count = count;
	seen_now_ms = redis_now_ms;
	memcpy(seen, members, count * sizeof *members);
}

static bool is_up(void *ctx) { return rds_is_up(ctx); }
static bool is_down(void *ctx) { return !rds_is_up(ctx); }

static void await_redis(void) { cr_assert(net_run_until(loop, is_up, rds, DEADLINE_MS), "Redis is not there"); }

static void set_up(void)
{
	redis_server_start(&server, NULL);
	struct rds_config config = {.addr = redis_server_addr(&server)};
	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_eq(rds_new(&rds, loop, &config, NULL, NULL), RS_OK);
	await_redis();
}

static void tear_down(void)
{
	registry_watch_free(watch);
	rds_free(rds);
	ev_loop_destroy(loop);
	redis_server_stop(&server);
}

TestSuite(registry, .init = set_up, .fini = tear_down, .timeout = 60);

static void start_watch(const char *kind)
{
	cr_assert_eq(registry_watch(&watch, loop, rds, kind, on_members, NULL), RS_OK);
}

/* --- one command, its answer as a line of text --- */

struct answer {
	bool there;
	char text[4096];
};

static void add_text(struct answer *a, const struct redisReply *reply)
{
	int64_t n;
	size_t at = strlen(a->text), len;
	const char *s = reply_str(reply, &len);
	if (s)
		snprintf(a->text + at, sizeof a->text - at, "%s%s", at ? " " : "", s);
	else if (reply_int(reply, &n))
		snprintf(a->text + at, sizeof a->text - at, "%s%" PRId64, at ? " " : "", n);
	for (size_t i = 0; i < reply_count(reply); i++)
		add_text(a, reply_at(reply, i));
}

static void on_answer(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	cr_assert_eq(err, RS_OK, "%s", err_str(err));
	add_text(a, reply);
	a->there = true;
}

static bool is_there(void *ctx) { return ((struct answer *)ctx)->there; }

/* The words of one Redis command, parted by blanks. */
static const char *redis(const char *fmt, ...) RS_PRINTF(1, 2);
static const char *redis(const char *fmt, ...)
{
	static struct answer a;
	char line[1024];
	struct rds_arg argv[32];
	size_t argc = 0;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	char *save;
	for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = RDS_STR(w);
	a = (struct answer){.there = false};
	cr_assert_eq(rds_command(rds, argc, argv, on_answer, &a), RS_OK);
	cr_assert(net_run_until(loop, is_there, &a, DEADLINE_MS));
	return a.text;
}

static uint64_t redis_now_ms(void)
{
	unsigned long long s, us;
	cr_assert_eq(sscanf(redis("TIME"), "%llu %llu", &s, &us), 2);
	return s * 1000 + us / 1000;
}

/* --- members --- */

static struct addr address(const char *text)
{
	struct addr a;
	cr_assert_eq(addr_parse(text, &a), RS_OK);
	return a;
}

static struct member broker(const char *id)
{
	struct member m = {.boot = UINT64_MAX, .address = address("127.0.0.1:7200"), .zone = "eu1",
			   .sessions = 12, .capacity = 250000};
	snprintf(m.id, sizeof m.id, "%s", id);
	for (uint8_t i = 0; i < 32; i++)
		m.key[i] = i;
	return m;
}

static const struct member *find(const char *id)
{
	for (size_t i = 0; i < seen_count; i++)
		if (strcmp(seen[i].id, id) == 0)
			return &seen[i];
	return NULL;
}

static bool has(void *id) { return find(id); }
static bool has_not(void *id) { return !find(id); }

static void await_seen(char *id) { cr_assert(net_run_until(loop, has, id, DEADLINE_MS), "%s was not seen", id); }

static bool listed_again(void *ctx) { return listings >= *(unsigned *)ctx; }

static void await_listings(unsigned more)
{
	unsigned want = listings + more;
	cr_assert(net_run_until(loop, listed_again, &want, DEADLINE_MS), "no listing came");
}

static struct registry *join(const char *kind, const struct member *m)
{
	struct registry *r = NULL;
	cr_assert_eq(registry_join(&r, loop, rds, kind, m), RS_OK);
	return r;
}

/* --- tests --- */

Test(registry, a_member_that_joins_is_seen_with_all_it_says)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	start_watch("broker");
	uint64_t from = clock_mono_ms();
	await_seen("mb1");
	cr_expect_lt(clock_mono_ms() - from, 3000);
	const struct member *got = find("mb1");
	cr_expect_eq(got->boot, UINT64_MAX);
	cr_expect(addr_equal(&got->address, &m.address));
	cr_expect_eq(memcmp(got->key, m.key, 32), 0);
	cr_expect_str_eq(got->zone, "eu1");
	cr_expect_eq(got->sessions, 12);
	cr_expect_eq(got->capacity, 250000);
	cr_expect_not(got->draining);
	cr_expect(got->alive);
	cr_expect_leq(got->beat_ms, seen_now_ms);
	cr_expect_geq(got->beat_ms + REGISTRY_ALIVE_MS, seen_now_ms);
	registry_free(r);
}

Test(registry, addresses_for_isps_and_the_one_over_http)
{
	const char *fault;
	struct member m = broker("mb1"), lb = {.boot = 7, .http = address("127.0.0.1:7380"), .id = "lb1"};
	cr_assert_eq(isps_parse("norda=203.0.113.7:7200,sudor=[2001:db8::7]:72", &m.isps, &fault), RS_OK);
	struct registry *r = join("broker", &m), *l = join("lb", &lb);
	start_watch("broker");
	await_seen("mb1");
	cr_expect_eq(memcmp(&find("mb1")->isps, &m.isps, sizeof m.isps), 0);
	cr_expect_str_eq(redis("HGET rs:broker:mb1 isps"), "norda=203.0.113.7:7200,sudor=[2001:db8::7]:72");
	cr_expect_str_eq(redis("HEXISTS rs:broker:mb1 http"), "0");
	registry_free(r);
	registry_watch_free(watch);
	start_watch("lb");
	await_seen("lb1");
	cr_expect(addr_equal(&find("lb1")->http, &lb.http));
	registry_free(l);
}

static void on_drain(void *ctx, uint32_t over_s) { *(int64_t *)ctx = over_s; }

Test(registry, the_word_to_drain_comes_with_a_beat)
{
	int64_t over_s = -1;
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	registry_on_drain(r, on_drain, &over_s);
	start_watch("broker");
	await_seen("mb1");
	cr_expect_eq(over_s, -1);
	redis("HSET rs:broker:mb1 drain 86401"); /* nothing that registry_drain would take */
	net_run_for(loop, 1500);
	cr_expect_eq(over_s, -1);
	cr_expect(find("mb1")->alive, "the beat counts all the same");
	redis("HSET rs:broker:mb1 drain 30");
	net_run_for(loop, 1500);
	cr_expect_eq(over_s, 30);
	cr_expect(find("mb1")->alive);
	registry_free(r);
}

Test(registry, what_stands_in_redis_can_be_read_by_people)
{
	struct member m = broker("mb1"), dc = {.id = "dc1", .boot = 7};
	dc.link = address("[::1]:7101");
	struct registry *r = join("broker", &m), *d = join("dc", &dc);
	start_watch("broker");
	await_seen("mb1");
	cr_expect_str_eq(redis("HMGET rs:broker:mb1 boot address key zone sessions capacity draining"),
			 "18446744073709551615 127.0.0.1:7200 " KEY_HEX " eu1 12 250000 no");
	cr_expect_str_eq(redis("HEXISTS rs:broker:mb1 link"), "0", "what a broker does not have is left out");
	cr_expect_str_eq(redis("HMGET rs:dc:dc1 boot link"), "7 [::1]:7101");
	cr_expect_str_eq(redis("HEXISTS rs:dc:dc1 sessions"), "0");
	int ttl = atoi(redis("PTTL rs:broker:mb1"));
	cr_expect(ttl > 0 && ttl <= REGISTRY_TTL_MS, "%d", ttl);
	double score = atof(redis("ZSCORE rs:brokers mb1"));
	cr_expect(score > 1.7e12 && score <= (double)redis_now_ms(), "%f", score);
	registry_free(r);
	registry_free(d);
}

Test(registry, it_beats_on)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	start_watch("broker");
	await_seen("mb1");
	uint64_t first = find("mb1")->beat_ms;
	for (int i = 0; i < 4; i++) {
		await_listings(1);
		cr_expect(find("mb1") && find("mb1")->alive);
	}
	uint64_t passed = find("mb1")->beat_ms - first;
	cr_expect(passed >= 2000 && passed <= 6000, "%" PRIu64, passed);
	registry_free(r);
}

static bool drains(void *id) { return find(id) && find(id)->draining; }

Test(registry, an_update_is_seen)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	start_watch("broker");
	await_seen("mb1");
	m.draining = true;
	m.sessions = 0;
	strcpy(m.id, "other"); /* the id stays what it was */
	registry_update(r, &m);
	cr_assert(net_run_until(loop, drains, "mb1", DEADLINE_MS));
	cr_expect_eq(find("mb1")->sessions, 0);
	cr_expect_null(find("other"));
	registry_free(r);
}

Test(registry, kinds_are_kept_apart)
{
	struct member m = broker("one"), n = {.id = "two", .boot = 1};
	struct registry *r = join("broker", &m), *s = join("lb", &n);
	start_watch("lb");
	await_seen("two");
	await_listings(1);
	cr_expect_eq(seen_count, 1);
	registry_free(r);
	registry_free(s);
}

static void set_true(void *ctx) { *(bool *)ctx = true; }
static bool is_true(void *ctx) { return *(bool *)ctx; }

Test(registry, who_leaves_is_gone_at_once_and_for_good)
{
	struct member m = broker("mb1"), n = broker("mb2");
	bool left = false;
	struct registry *r = join("broker", &m), *s = join("broker", &n);
	start_watch("broker");
	await_seen("mb1");
	await_seen("mb2");
	registry_leave(r, set_true, &left);
	cr_assert(net_run_until(loop, is_true, &left, DEADLINE_MS));
	cr_expect_str_eq(redis("EXISTS rs:broker:mb1"), "0");
	cr_expect_str_eq(redis("ZRANGE rs:brokers 0 -1"), "mb2");
	net_run_for(loop, 1500); /* a beat would have come by now */
	cr_expect_str_eq(redis("ZRANGE rs:brokers 0 -1"), "mb2");
	cr_expect(has_not("mb1"));
	registry_free(r);
	registry_free(s);
}

static bool beats(void *ctx)
{
	(void)ctx;
	return rds_stats(rds)->in_flight > 0;
}

/* The answer to the beat comes after the leave: it must not bring the member back. */
Test(registry, a_beat_on_its_way_does_not_undo_the_leave)
{
	struct member m = broker("mb1");
	bool left = false;
	struct registry *r = join("broker", &m);
	redis_server_pause(&server);
	cr_assert(net_run_until(loop, beats, NULL, DEADLINE_MS));
	registry_leave(r, set_true, &left);
	redis_server_resume(&server);
	cr_assert(net_run_until(loop, is_true, &left, DEADLINE_MS));
	net_run_for(loop, 300);
	cr_expect_str_eq(redis("EXISTS rs:broker:mb1 rs:brokers"), "0");
	registry_free(r);
}

Test(registry, leaving_while_redis_is_away_ends_too)
{
	struct member m = broker("mb1");
	bool left = false;
	struct registry *r = join("broker", &m);
	start_watch("broker");
	await_seen("mb1");
	redis_server_kill(&server);
	cr_assert(net_run_until(loop, is_down, rds, DEADLINE_MS));
	registry_leave(r, set_true, &left);
	cr_expect(left);
	registry_free(r);
}

static void free_it(void *ctx)
{
	registry_free(*(struct registry **)ctx);
	*(struct registry **)ctx = NULL;
}
static bool is_null(void *ctx) { return !*(void **)ctx; }

Test(registry, done_may_free_it)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	registry_leave(r, free_it, &r);
	cr_assert(net_run_until(loop, is_null, &r, DEADLINE_MS));
}

/* LeakSanitizer and AddressSanitizer watch. */
Test(registry, freeing_with_answers_outstanding_is_harmless)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m), *s = join("broker", &m);
	start_watch("broker");
	redis_server_pause(&server);
	cr_assert(net_run_until(loop, beats, NULL, DEADLINE_MS));
	bool left = false;
	registry_leave(s, set_true, &left);
	registry_free(r);
	registry_free(s);
	registry_watch_free(watch);
	watch = NULL;
	redis_server_resume(&server);
	net_run_for(loop, 300);
	cr_expect_not(left, "done was called after registry_free()");
	cr_expect_eq(listings, 0);
}

Test(registry, freeing_after_redis_was_closed_is_harmless)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	start_watch("broker");
	redis_server_pause(&server);
	cr_assert(net_run_until(loop, beats, NULL, DEADLINE_MS));
	rds_free(rds);
	rds = NULL;
	registry_free(r);
	registry_watch_free(watch);
	watch = NULL;
	redis_server_resume(&server);
}

static void free_watch(void *ctx, const struct member *members, size_t count, uint64_t now_ms)
{
	(void)ctx, (void)members, (void)count, (void)now_ms;
	registry_watch_free(watch);
	watch = NULL;
}

Test(registry, on_members_may_free_the_watch)
{
	cr_assert_eq(registry_watch(&watch, loop, rds, "broker", free_watch, NULL), RS_OK);
	cr_assert(net_run_until(loop, is_null, &watch, DEADLINE_MS));
}

Test(registry, a_life_after_another_shows_nothing_of_it)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	start_watch("broker");
	await_seen("mb1");
	registry_free(r); /* as by kill -9 */
	m.zone[0] = '\0';
	m.boot = 5;
	r = join("broker", &m);
	net_run_for(loop, 500);
	await_listings(1);
	cr_expect_eq(find("mb1")->boot, 5);
	cr_expect_str_empty(find("mb1")->zone);
	registry_free(r);
}

Test(registry, who_has_fallen_silent_is_not_alive)
{
	uint64_t now = redis_now_ms();
	redis("HSET rs:dc:fresh boot 1");
	redis("HSET rs:dc:silent boot 1");
	redis("ZADD rs:dcs %" PRIu64 " fresh %" PRIu64 " silent", now + 1000, now - REGISTRY_ALIVE_MS - 100);
	start_watch("dc");
	await_listings(1);
	cr_assert_eq(seen_count, 2);
	cr_expect(find("fresh")->alive);
	cr_expect_not(find("silent")->alive);
}

Test(registry, who_has_no_hash_is_not_listed_and_forgotten_after_a_minute)
{
	uint64_t now = redis_now_ms();
	redis("HSET rs:dc:old boot 1");
	redis("ZADD rs:dcs %" PRIu64 " lately %" PRIu64 " long-gone %" PRIu64 " old", now - 40000, now - 61000,
	      now - 61000);
	start_watch("dc");
	await_listings(2);
	cr_expect_eq(seen_count, 1);
	cr_expect_str_eq(redis("ZRANGE rs:dcs 0 -1"), "old lately");
}

static const char *const malformed[] = {
	"boot x",
	"boot -1",
	"boot 18446744073709551616",
	"address localhost:7200",
	"link 127.0.0.1",
	"key 00ff",
	"key zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	"zone a{b}",
	"http nowhere",
	"isps norda",
	"sessions 4294967296",
	"capacity 1.5",
	"draining maybe",
};

Test(registry, a_malformed_member_is_passed_over)
{
	uint64_t now = redis_now_ms();
	redis("HSET rs:broker:good boot 1 sessions 3 colour blue");
	redis("ZADD rs:brokers %" PRIu64 " good", now);
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		redis("HSET rs:broker:bad%zu boot 1 %s", i, malformed[i]);
		redis("ZADD rs:brokers %" PRIu64 " bad%zu", now, i);
	}
	redis("ZADD rs:brokers %" PRIu64 " {brace}", now);
	redis("ZADD rs:brokers -5 negative");
	start_watch("broker");
	await_listings(1);
	cr_expect_eq(seen_count, 1, "%zu listed", seen_count);
	cr_assert_not_null(find("good"));
	cr_expect_eq(find("good")->sessions, 3);
}

Test(registry, no_more_than_the_limit_are_listed_the_newest)
{
	uint64_t now = redis_now_ms();
	for (unsigned i = 0; i < REGISTRY_MEMBERS_MAX + 5; i++) {
		redis("HSET rs:dc:d%u boot 1", i);
		redis("ZADD rs:dcs %" PRIu64 " d%u", now - 1000 + i, i);
	}
	start_watch("dc");
	await_listings(1);
	cr_expect_eq(seen_count, REGISTRY_MEMBERS_MAX);
	cr_expect_null(find("d4"));
	cr_expect_not_null(find("d5"));
}

Test(registry, a_broken_set_gives_no_listing)
{
	redis("SET rs:dcs x");
	start_watch("dc");
	net_run_for(loop, 1300);
	cr_expect_eq(listings, 0);
	redis("DEL rs:dcs");
	await_listings(1);
}

Test(registry, while_redis_is_away_nothing_is_listed_and_then_all_is_again)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	start_watch("broker");
	await_seen("mb1");
	redis_server_kill(&server);
	cr_assert(net_run_until(loop, is_down, rds, DEADLINE_MS));
	unsigned before = listings;
	net_run_for(loop, 1300);
	cr_expect_eq(listings, before);
	redis_server_run(&server); /* empty now, and without scripts */
	await_redis();
	seen_count = 0;
	await_seen("mb1");
	cr_expect(find("mb1")->alive);
	registry_free(r);
}

static const char *fault;
static const char *why_not_ready(void *ctx) { return (void)ctx, fault; }
static bool is_told(void *text) { return find("mb1") && strcmp(find("mb1")->fault, text) == 0; }

Test(registry, whether_it_is_ready_is_told)
{
	struct member m = broker("mb1");
	struct registry *r = join("broker", &m);
	registry_tell_ready(r, why_not_ready, NULL);
	fault = "no link to a DC";
	start_watch("broker");
	cr_assert(net_run_until(loop, is_told, "no link to a DC", DEADLINE_MS));
	registry_update(r, &m); /* of which it knows nothing */
	fault = NULL;
	cr_assert(net_run_until(loop, is_told, "", DEADLINE_MS));
	fault = "a reason so long that no place is for it in a field, and it is cut off somewhere in the midst of it";
	cr_assert(net_run_until(loop, is_told, "a reason so long that no place is for it in a field, and it is ", DEADLINE_MS));
	registry_free(r);
}

static bool has_fault(void *r) { return registry_fault(r) != NULL; }
static bool has_none(void *r) { return registry_fault(r) == NULL; }

Test(registry, two_of_one_id_notice_it)
{
	struct member m = broker("mb1"), twin = m;
	twin.boot--;
	struct registry *r = join("broker", &m);
	start_watch("broker");
	await_seen("mb1");
	await_listings(3);
	cr_expect_null(registry_fault(r), "alone");
	struct registry *other = join("broker", &twin);
	cr_assert(net_run_until(loop, has_fault, r, DEADLINE_MS));
	cr_assert(net_run_until(loop, has_fault, other, DEADLINE_MS));
	registry_free(other);
	cr_assert(net_run_until(loop, has_none, r, DEADLINE_MS), "alone again");
	registry_free(r);
}

/* As after kill -9: what the former life left behind is no twin. */
Test(registry, a_former_life_is_no_twin)
{
	struct member m = broker("mb1"), again = m;
	again.boot--;
	struct registry *r = join("broker", &m);
	start_watch("broker");
	await_seen("mb1");
	registry_free(r);
	r = join("broker", &again);
	await_listings(4);
	cr_expect_null(registry_fault(r));
	registry_free(r);
}

Test(registry, a_bad_name_or_kind_is_refused)
{
	struct registry *r = NULL;
	struct member m = {.id = "a b"};
	cr_expect_eq(registry_join(&r, loop, rds, "dc", &m), RS_EINVAL);
	m.id[0] = '\0';
	cr_expect_eq(registry_join(&r, loop, rds, "dc", &m), RS_EINVAL);
	strcpy(m.id, "x");
	cr_expect_eq(registry_join(&r, loop, rds, "a kind that is far too long", &m), RS_EINVAL);
	cr_expect_eq(registry_watch(&watch, loop, rds, "a kind that is far too long", on_members, NULL), RS_EINVAL);
}
