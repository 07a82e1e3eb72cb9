/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of a client and the answers to them: one at a time, in order, each
 * answered once, whatever is lost. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>
#include <string.h>

static int ask(struct engine_pair *p, const char *text)
{
	return client_request(p->client[0].client, p->now_ms, REQUEST_SUBSCRIBE, text, strlen(text));
}

static bool lose_data_to_server(struct engine_pair *p, struct datagram *d)
{
	return d->data[0] != PACKET_DATA || !addr_equal(&d->to, &p->server_addr);
}

static bool lose_data_to_client(struct engine_pair *p, struct datagram *d)
{
	return d->data[0] != PACKET_DATA || addr_equal(&d->to, &p->server_addr);
}

/* What was asked for and answered: 1 to n, each with this code. */
static void answered(const struct engine_pair *p, unsigned n, unsigned code)
{
	const struct pair_client *c = &p->client[0];
	cr_assert_eq(c->replies, n);
	for (unsigned i = 0; i < n; i++)
		cr_expect(c->reply_number[i] == i + 1 && c->reply_code[i] == code, "reply %u", i);
}

Test(request, is_carried_out_and_answered)
{
	struct engine_pair *p = pair_online(NULL);
	struct client *c = p->client[0].client;
	cr_expect_eq(client_request(c, p->now_ms, REQUEST_SUBSCRIBE, "news/+", 6), 1);
	cr_expect_eq(client_request(c, p->now_ms, REQUEST_UNSUBSCRIBE, "news/+", 6), 2);
	cr_expect_eq(client_request(c, p->now_ms, REQUEST_STORE_ON, "*", 1), 3);
	cr_expect_eq(client_request(c, p->now_ms, REQUEST_STORE_OFF, "chat", 4), 4);
	pair_run(p, 10);
	answered(p, 4, REPLY_DONE);
	cr_assert_eq(p->asks, 4);
	for (unsigned i = 0; i < 4; i++)
		cr_expect(p->asked_for[i].kind == i + 1 && p->asked_for[i].number == i + 1 && p->asked_for[i].conn == p->conn);
	cr_expect_str_eq(p->asked_for[0].text, "news/+");
	cr_expect_str_eq(p->asked_for[3].text, "chat");
	cr_expect_eq(client_deadline(c), c->deadline_ms, "no timer is left");
	pair_free(p);
}

Test(request, codes_come_back)
{
	static const unsigned code[] = {REPLY_DONE, REPLY_INVALID, REPLY_TOO_MANY, 4, 65535};
	for (size_t i = 0; i < sizeof code / sizeof *code; i++) {
		struct engine_pair *p = pair_online(NULL);
		p->reply_with = (enum reply_code)code[i];
		cr_assert_eq(ask(p, "a"), 1);
		pair_run(p, 10);
		answered(p, 1, code[i]);
		pair_free(p);
	}
}

Test(request, what_is_refused_at_once)
{
	static char many[65];
	memset(many, 'x', sizeof many);
	const struct { int kind; const char *text; size_t len; int want; } cases[] = {
		{0, "a", 1, RS_EINVAL}, {5, "a", 1, RS_EINVAL}, {1, "", 0, RS_EINVAL}, {1, many, 65, RS_EINVAL},
		{1, "a b", 3, RS_EINVAL}, {1, "{a", 2, RS_EINVAL}, {1, "\xff", 1, RS_EINVAL}, {1, many, 64, 1}};
	struct engine_pair *p = pair_online(NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		cr_expect_eq(client_request(p->client[0].client, p->now_ms, (enum request_kind)cases[i].kind, cases[i].text,
					    cases[i].len), cases[i].want, "case %zu", i);
	pair_free(p);
}

Test(request, thirty_two_wait)
{
	struct engine_pair *p = pair_new(NULL);
	p->login_does = PAIR_HOLD;
	pair_start(p, 0);
	for (int i = 1; i <= CLIENT_REQUESTS_MAX; i++)
		cr_assert_eq(ask(p, "a"), i);
	cr_expect_eq(ask(p, "a"), RS_ELIMIT);
	pair_run(p, 100);
	cr_expect_eq(p->asks, 0, "not before the login");
	cr_assert_eq(server_accept(p->server, p->login_conn, p->now_ms, 7, p), RS_OK);
	p->conn = p->login_conn;
	pair_run(p, 100);
	answered(p, CLIENT_REQUESTS_MAX, REPLY_DONE);
	cr_expect_eq(ask(p, "a"), CLIENT_REQUESTS_MAX + 1, "no number is used again");
	pair_free(p);
}

/* In a new packet each time, after 0.5, 1, 2, 4, 8, 8 s; heartbeats go on. */
Test(request, is_repeated_until_it_is_answered)
{
	static const uint64_t at[] = {0, 500, 1500, 3500, 7500, 15500, 23500};
	struct pair_options o = {.heartbeat_s = 100};
	struct engine_pair *p = pair_online(&o);
	p->pass = lose_data_to_server;
	p->log_all = true;
	uint64_t start = p->now_ms;
	cr_assert_eq(ask(p, "a"), 1);
	cr_assert_eq(ask(p, "b"), 2);
	pair_run(p, 24000);
	cr_assert_eq(p->log_count, 7);
	for (unsigned i = 0; i < 7; i++)
		cr_expect_eq(p->log[i].due_ms - start, at[i], "packet %u", i);
	p->pass = NULL;
	pair_run(p, 8000);
	answered(p, 2, REPLY_DONE);
	cr_expect(p->asks == 2 && strcmp(p->asked_for[1].text, "b") == 0);
	pair_free(p);
}

/* Its answer was lost: it is handed on again, and answered once all the same. */
Test(request, may_be_seen_twice)
{
	struct engine_pair *p = pair_online(NULL);
	p->pass = lose_data_to_client;
	cr_assert_eq(ask(p, "a"), 1);
	pair_run(p, 400);
	p->pass = NULL;
	pair_run(p, 200);
	answered(p, 1, REPLY_DONE);
	cr_assert_eq(p->asks, 2);
	cr_expect(p->asked_for[0].number == 1 && p->asked_for[1].number == 1);
	cr_assert_eq(ask(p, "b"), 2);
	p->client[0].client->request_tries = 0;
	pair_run(p, 5000);
	answered(p, 2, REPLY_DONE);
	cr_expect_eq(p->asks, 3);
	pair_free(p);
}

/* While the broker is at it the client's repetitions are dropped; one more answer
 * than was asked for is none. */
Test(request, one_is_under_way)
{
	struct engine_pair *p = pair_online(NULL);
	p->reply_waits = true;
	cr_assert_eq(ask(p, "a"), 1);
	cr_assert_eq(ask(p, "b"), 2);
	pair_run(p, 4000);
	cr_expect_eq(p->asks, 1);
	cr_expect_eq(server_stats(p->server)->requests, 1);
	cr_expect_eq(server_stats(p->server)->requests_dropped, 3);
	unsigned sent = p->sent;
	server_reply(p->server, p->conn + 1, 1, REPLY_DONE);
	cr_expect_eq(p->sent, sent, "no such session");
	server_reply(p->server, p->conn, 1, REPLY_DONE);
	cr_expect_eq(p->sent, sent + 1);
	server_reply(p->server, p->conn, 1, REPLY_DONE);
	cr_expect_eq(p->sent, sent + 1, "it is answered already");
	p->reply_waits = false;
	pair_run(p, 10);
	answered(p, 2, REPLY_DONE);
	pair_free(p);
}

/* "Try later" is no answer: again after 2, 4, 8, 8 s. */
Test(request, that_is_to_be_tried_later)
{
	static const uint64_t at[] = {0, 2000, 6000, 14000, 22000};
	struct pair_options o = {.heartbeat_s = 100};
	struct engine_pair *p = pair_online(&o);
	p->log_all = true;
	p->reply_with = REPLY_LATER;
	cr_assert_eq(ask(p, "a"), 1);
	pair_run(p, 23000);
	cr_assert_eq(p->log_count, 10, "five times, and an answer to each");
	for (unsigned i = 0; i < 5; i++)
		cr_expect_eq(p->log[2 * i].due_ms - p->log[0].due_ms, at[i], "packet %u", i);
	cr_expect_eq(p->client[0].replies, 0);
	p->reply_with = REPLY_DONE;
	pair_run(p, 8000);
	answered(p, 1, REPLY_DONE);
	pair_free(p);
}

/* Those that wait outlive the session: the first is sent again after the login. */
Test(request, outlives_its_session)
{
	struct engine_pair *p = pair_online(NULL);
	p->reply_waits = true;
	cr_assert_eq(ask(p, "a"), 1);
	cr_assert_eq(ask(p, "b"), 2);
	pair_run(p, 10);
	uint32_t conn = p->conn;
	pair_restart_server(p);
	p->reply_waits = false;
	cr_assert(pair_until(p, CLIENT_WAITING, 60000));
	cr_assert_eq(ask(p, "c"), 3);
	cr_assert(pair_until(p, CLIENT_ONLINE, 60000));
	pair_run(p, 10);
	answered(p, 3, REPLY_DONE);
	cr_assert_eq(p->asks, 4);
	cr_expect(p->asked_for[0].number == 1 && p->asked_for[1].number == 1);
	cr_expect(p->asked_for[1].conn == p->conn && p->asked_for[0].conn == conn);
	pair_free(p);
}

/* A client that logs out keeps them; one that is freed does not. */
Test(request, outlives_a_logout)
{
	struct engine_pair *p = pair_online(NULL);
	p->reply_waits = true;
	cr_assert_eq(ask(p, "a"), 1);
	client_stop(p->client[0].client);
	cr_expect_eq(client_deadline(p->client[0].client), UINT64_MAX);
	pair_run(p, 100);
	p->reply_waits = false;
	pair_start(p, 0);
	cr_assert(pair_until(p, CLIENT_ONLINE, 5000));
	pair_run(p, 10);
	answered(p, 1, REPLY_DONE);
	cr_assert_eq(ask(p, "b"), 2);
	pair_free(p);
}

/* From an address that is not proven it is not heard, but the address is proved. */
Test(request, from_a_new_address)
{
	struct engine_pair *p = pair_online(NULL);
	p->client[0].addr.port[1] ^= 1;
	cr_assert_eq(ask(p, "news"), 1);
	pair_run(p, 100);
	cr_expect_eq(p->asks, 0);
	cr_expect_eq(server_stats(p->server)->moved, 1);
	pair_run(p, 500);
	answered(p, 1, REPLY_DONE);
	pair_free(p);
}

/* A repetition that comes so late that its successor was answered already is not
 * heard: "unsubscribe" would be followed by "subscribe". */
Test(request, that_was_overtaken)
{
	struct engine_pair *p = pair_online(NULL);
	p->hold = true;
	cr_assert_eq(ask(p, "a"), 1);
	pair_run(p, 600);
	cr_assert_eq(p->wire_count, 2);
	struct datagram first = p->wire[0], again = p->wire[1];
	p->wire_count = 0;
	pair_hand(p, &again);
	cr_expect_eq(p->asks, 1);
	pair_hand(p, &first);
	cr_expect_eq(p->asks, 1);
	pair_free(p);
}

/* Of a packet the first alone: a client sends no more than one. */
Test(request, many_in_a_packet)
{
	struct engine_pair *p = pair_online(NULL);
	struct frame f[3];
	for (unsigned i = 0; i < 3; i++)
		f[i] = (struct frame){.type = FRAME_REQUEST, .request = {i + 1, REQUEST_SUBSCRIBE, 1, "a"}};
	struct datagram d = pair_seal(p, false, f, 3);
	unsigned sent = p->sent;
	pair_hand(p, &d);
	cr_expect_eq(p->asks, 1);
	cr_expect_eq(p->sent, sent + 1);
	pair_free(p);
}

Test(request, of_a_kind_that_is_not_known)
{
	static const uint8_t kind[] = {0, 5, 255};
	for (size_t i = 0; i < sizeof kind; i++) {
		struct engine_pair *p = pair_online(NULL);
		struct frame f = {.type = FRAME_REQUEST, .request = {9, kind[i], 1, "a"}};
		struct datagram d = pair_seal(p, false, &f, 1);
		unsigned sent = p->sent;
		pair_hand(p, &d);
		cr_expect_eq(p->asks, 0);
		cr_expect_eq(p->sent, sent + 1, "it is answered all the same");
		cr_expect_not(pair_session(p, 0)->asks);
		pair_free(p);
	}
}

/* An answer to another one than the first, or to none at all. */
Test(request, answers_that_make_no_sense)
{
	static const uint32_t number[] = {1, 3, 4, UINT32_MAX};
	struct engine_pair *p = pair_online(NULL);
	cr_assert_eq(ask(p, "a"), 1);
	pair_run(p, 10);
	p->reply_waits = true;
	cr_assert_eq(ask(p, "b"), 2);
	cr_assert_eq(ask(p, "c"), 3);
	pair_run(p, 10);
	for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
		struct frame f = {.type = FRAME_REPLY, .reply = {number[i], REPLY_DONE}};
		struct datagram d = pair_seal(p, true, &f, 1);
		pair_hand(p, &d);
		cr_expect_eq(p->client[0].replies, 1, "number %u", number[i]);
	}
	pair_free(p);
}

/* A session costs no more than it did. */
Test(request, costs_a_bit) { cr_expect_leq(sizeof(struct session), 168, "%zu", sizeof(struct session)); }
