/* SPDX-License-Identifier: Apache-2.0 */
/* A stack for tests of the kinds of messages: two Data Centers, a broker, the Apps
 * "chat" and "shop" connected with both DCs, and up to MAIL_CLIENTS clients.
 *
 *   TestSuite(collapse, .init = mail_start, .fini = mail_stop);
 *   TestThen(mail_stop, collapse, ...) {
 *       mail_send(CHAT, "to alice\r\ncollapse price\r\n", "100", id);
 *       mail_log_in(0, "alice");
 *       MAIL_UNTIL(mail_client[0].count == 1);
 *   } */
#ifndef SUPPORT_MAIL_H
#define SUPPORT_MAIL_H

#include "support/lua_call.h"
#include "support/receiver.h"
#include "support/stack.h"

#include <string.h>

#define MAIL_CLIENTS 2
#define MAIL_ID 27 /* bytes of a message id, with its NUL */

enum mail_app { CHAT, SHOP, MAIL_APPS };

extern struct stack mail_stack;
extern struct receiver mail_client[MAIL_CLIENTS];
extern struct text_client mail_app[2][MAIL_APPS]; /* at each DC */

void mail_start(void);
void mail_start_with(const struct stack_options *options);
void mail_stop(void);
/* The connections of the Apps to a DC anew: it has read what their limits are. */
void mail_connect(unsigned dc);
/* Fields of rs:app:<app>, "overflow drop-oldest queue_messages 3", and obeyed from now on. */
void mail_limit(enum mail_app app, const char *fields);

/* fields: lines with their ends, but `length`. By the first DC, or by one. */
struct text_answer mail_try(enum mail_app app, const char *fields, const char *body);
struct text_answer mail_try_by(unsigned dc, enum mail_app app, const char *fields, const char *body);
/* Must be answered OK; returns the state, and the id in `id` unless that is NULL. */
const char *mail_send(enum mail_app app, const char *fields, const char *body, char id[MAIL_ID]);
/* SEND to alice with the body "<word><n>" for n from..to-1, and these fields. */
void mail_send_many(const char *fields, const char *word, unsigned from, unsigned to);
struct text_answer mail_withdraw(enum mail_app app, const char *id);     /* from alice */
struct text_answer mail_status(enum mail_app app, const char *id);       /* of one to alice */
bool mail_status_is(enum mail_app app, const char *id, const char *state);
int64_t mail_time(const struct text_answer *a, const char *field); /* -1: it is not there */

/* When a message with this lifetime ends, wall clock. */
uint64_t mail_end_ms(const char *id, unsigned ttl_s);

/* The client at that place; waits until it is online. */
void mail_log_in(unsigned at, const char *user);
void mail_log_out(unsigned at); /* waits until Redis knows */
/* The bodies it was shown, in order, with spaces between; static storage, two in turn. */
const char *mail_shown(unsigned at);
/* The bodies that wait for alice: "a b|c|d", normal, high, low. Static storage, two in turn. */
const char *mail_waiting(void);
bool mail_all_gone(void); /* no message waits for alice */
size_t mail_clients(void); /* how many are open: the first ones */

#define MAIL_UNTIL(condition) RECEIVERS_UNTIL(mail_client, mail_clients(), condition)
#define MAIL_IN_REDIS(is, ...) (strcmp(redis_text(mail_stack.c, __VA_ARGS__), is) == 0)

#endif
