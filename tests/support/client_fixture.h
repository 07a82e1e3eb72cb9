/* SPDX-License-Identifier: Apache-2.0 */
/* librestante against a balancer and a broker made of the engines and a socket each,
 * in the test's process: no daemons.
 *
 *   TestSuite(messages, .init = fixture_start, .fini = fixture_stop, .timeout = 120);
 *   Test(messages, ...) {
 *       fixture_add("hello", 5);
 *       struct restante_options o = fixture_options();
 *       struct restante *r = fixture_open(&o);
 *       cr_assert(fixture_run(r, fixture_all_acked));
 *       cr_assert_eq(fixture.shown.count, 1);
 *       restante_close(r);
 *   } */
#ifndef SUPPORT_CLIENT_FIXTURE_H
#define SUPPORT_CLIENT_FIXTURE_H

#include "client/restante.h"
#include "session/balancer.h"
#include "session/server.h"
#include "support/temp_dir.h"

#define FIXTURE_MESSAGES_MAX 16

struct fixture_message {
	struct ulid id;
	const uint8_t *body;
	size_t len;
	const char *topic;
	bool notice;
	bool acked;
};

struct fixture_asked {
	uint8_t kind;
	char text[65];
};

/* Our side: what the callbacks of fixture_options() were told. */
struct fixture_shown {
	struct restante *client;
	size_t count;
	size_t of[FIXTURE_MESSAGES_MAX * 2]; /* which message of the queue */
	unsigned refusals;           /* so many are refused first */
	size_t stop_at;              /* stops from inside at this one */
	bool saw[RESTANTE_ONLINE + 1];
	unsigned why;
	unsigned states;
	unsigned replies;
	int reply_number[FIXTURE_MESSAGES_MAX];
	unsigned reply_code[FIXTURE_MESSAGES_MAX];
	int asks_at;                 /* makes a request from inside its answer's callback */
	unsigned notices;
	uint64_t missed;
};

/* The other side, and ours. */
struct client_fixture {
	struct balancer balancer;
	struct keypair balancer_key, broker_key;
	struct server *broker;
	int balancer_fd, broker_fd;
	struct addr balancer_at, broker_at;
	struct fixture_message queue[FIXTURE_MESSAGES_MAX];
	size_t count;
	uint32_t conn;        /* of the login that was accepted */
	unsigned logins, gone;
	struct fixture_asked asked[FIXTURE_MESSAGES_MAX];
	unsigned asks;
	bool forgets_acks;    /* as if each acknowledgement were lost behind the broker */
	struct temp_dir dir;
	struct fixture_shown shown;
};

extern struct client_fixture fixture;

void fixture_start(void);
void fixture_stop(void);

/* The other side's parts; the broker anew is at another port and knows no session. */
void fixture_start_broker(void);
void fixture_stop_broker(void);
void fixture_start_balancer(const char *at); /* balancer_fd < 0: there is no such address */

/* One more that waits for alice; the body is borrowed. */
void fixture_add(const void *body, size_t len);
void fixture_add_notice(const char *body);
/* Hands what waits to her session, as a login does by itself. */
void fixture_hand_over(void);

/* Of alice, with a good session and all callbacks. */
struct restante_options fixture_options(void);
/* It must open; fixture.shown begins anew. */
struct restante *fixture_open(const struct restante_options *o);

/* Lets the other side do what there is to do. */
void fixture_serve(void);
typedef bool fixture_done_fn(void);
/* Runs both sides until done() or the deadline; says whether it was done. r NULL: the
 * other side alone. */
bool fixture_run(struct restante *r, fixture_done_fn *done);
bool fixture_run_for(struct restante *r, fixture_done_fn *done, unsigned ms);

size_t fixture_acked(void); /* messages */
bool fixture_all_acked(void);
bool fixture_stopped(void);
bool fixture_online(void);
bool fixture_waiting(void); /* and it has tried */
bool fixture_gone(void);    /* the broker knows that the client left */

#endif
