/* SPDX-License-Identifier: Apache-2.0 */
/* The client's engine on a bare socket, for what librestante does not let one do
 * or see: the balancer's whole answer, a name that is none. */
#ifndef SUPPORT_LONE_CLIENT_H
#define SUPPORT_LONE_CLIENT_H

#include "session/client.h"
#include "support/stack.h"

struct lone_client {
	struct client *engine;
	int fd;
	enum client_state state;
	unsigned why;
	struct frame_brokers answer; /* what the balancer said last; 0: no broker */
	bool answered;
};

void lone_client_open(struct lone_client *l, const struct stack *s, const char *user, const char *session);
/* The same from 127.0.0.host, as if it were another machine. */
void lone_client_open_from(struct lone_client *l, const struct stack *s, uint8_t host, const char *user,
			   const char *session);
/* At this broker, whatever the balancers say. */
void lone_client_open_at(struct lone_client *l, const struct stack *s, const struct stack_daemon *mb,
			 const char *user, const char *session);
void lone_client_close(struct lone_client *l);
/* The engine will say this name at the login, whatever is in it. */
void lone_client_rename(struct lone_client *l, const void *user, size_t len);
/* Waits up to wait_ms for something to come, and does what is due. */
void lone_client_turn(struct lone_client *l, unsigned wait_ms);
/* The brokers that the first balancer names now. */
struct frame_brokers lone_client_ask(const struct stack *s);

#endif
