/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of restante for a test: a private Redis and the daemons, all real, on
 * loopback, in a folder that goes with them. Redis has the App "chat" with
 * STACK_KEY. What goes wrong here ends the test with a message.
 *
 *   static struct stack s;
 *   static void start(void) { stack_start(&s, &(struct stack_options){.mbs = 2}); }
 *   static void stop(void) { stack_stop(&s); }
 *   TestSuite(journey, .init = start, .fini = stop);
 *   TestThen(stop, journey, ...) */
#ifndef SUPPORT_STACK_H
#define SUPPORT_STACK_H

#include "support/daemon_process.h"
#include "support/redis_server.h"
#include "support/relay.h"
#include "support/temp_dir.h"
#include "support/test_then.h"
#include "support/text_client.h"

#include <hiredis/hiredis.h>

#define STACK_KEY "a key of sufficient length"
#define STACK_KIND_MAX 3
#define STACK_WAIT_MS 30000
#define STACK_SESSION 33 /* bytes of a session id, with its NUL */

struct stack_options {
	unsigned dcs, mbs, lbs; /* 0: one */
	bool relays;            /* before each broker and balancer */
	struct relay_plan relay;
	bool plaintext;         /* links inside without TLS */
	unsigned heartbeat_s;   /* 0: 1 */
	unsigned lease_s;       /* 0: 10 */
	const char *run_as;     /* NULL: who runs the test */
	const char *const *dc_flags, *const *mb_flags; /* more flags, NULL-terminated; may be NULL */
	const char *const *lb_flags;
	const char *const *own_flags[STACK_KIND_MAX]; /* for the first, second, ... broker alone */
	bool in_memory;         /* Redis writes nothing to disk, and OK means that it has it in memory */
};

struct stack_daemon {
	struct stack *stack;
	const char *kind;       /* "dc", "mb", "lb" */
	char id[16];             /* "mb1" */
	uint16_t front;         /* where Apps (TCP) or clients (UDP) come */
	uint16_t links, http;
	struct relay relay;
	struct daemon_process process;
};

struct stack {
	struct stack_options options;
	struct temp_dir dir;
	struct redis_server redis;
	redisContext *c;        /* for the test's own questions */
	struct stack_daemon dc[STACK_KIND_MAX], mb[STACK_KIND_MAX], lb[STACK_KIND_MAX];
};

/* Returns when each daemon says that it is ready. */
void stack_start(struct stack *s, const struct stack_options *options);
/* SIGTERM to all; each must end with 0. A second call does nothing. */
void stack_stop(struct stack *s);

/* The last lines of each daemon's log, on standard error. */
void stack_show_logs(const struct stack *s);

void stack_kill(struct stack_daemon *d);    /* -9 */
void stack_terminate(struct stack_daemon *d); /* SIGTERM; does not wait */
void stack_restart(struct stack_daemon *d); /* same ports, same keys; does not wait */
void stack_pause(struct stack_daemon *d);   /* returns when it stands still */
void stack_resume(struct stack_daemon *d);
bool stack_is_ready(const struct stack_daemon *d);
void stack_wait_ready(const struct stack_daemon *d);
bool stack_all_ready(const struct stack *s);
struct addr stack_http(const struct stack_daemon *d);
double stack_metric(const struct stack_daemon *d, const char *name); /* without "restante_" */
/* Whether the broker has told the others that it holds so many clients. */
bool stack_has_sessions(const struct stack_daemon *mb, unsigned count);

/* A session that ends so many seconds from now, less than 0: before. Returns out. */
const char *stack_session(struct stack *s, const char *user, int ends_in_s, char out[STACK_SESSION]);
void stack_app(struct stack *s, const char *app); /* with STACK_KEY */
/* An authenticated connection of "chat" to the first DC. */
void stack_client(struct stack *s, struct text_client *c);
/* ... of another App, to any. */
void stack_client_of(struct stack *s, unsigned dc, const char *app, struct text_client *c);
/* Sends a text by the first DC, which must answer OK. */
void stack_send(struct stack *s, const char *user, const char *body);
/* For clients: "ip:port,..." of the balancers, and their key in hex. */
const char *stack_balancers(const struct stack *s);
const char *stack_balancer_key(const struct stack *s);
/* All of Redis but what the daemons say of themselves, sorted, as one text.
 * Static storage, two in turn. */
const char *stack_stored(struct stack *s);

#endif
