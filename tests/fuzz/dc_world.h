/* SPDX-License-Identifier: Apache-2.0 */
/* A whole Data Center without its main(): all files of services/dc over the stand-ins
 * for Redis, the loop, the connections and the brokers' links. One at a time. */
#ifndef FUZZ_DC_WORLD_H
#define FUZZ_DC_WORLD_H

#include "fake_loop.h"
#include "fake_redis.h"
#include "fake_stream.h"

#include "app/registry.h"
#include "dc/dc.h"
#include "wire/link.h"

/* The key of the App "chat", which may send two messages a second. */
#define DC_KEY "k"

enum { DC_APPS, DC_BROKERS }; /* its listeners */

struct dc_world {
	struct dc dc;
	struct dc_config config;
	struct stream *broker; /* its link, NULL: none */
};

void dc_world_open(struct dc_world *w);
/* Everything must be given back: connections, requests, timers. */
void dc_world_close(struct dc_world *w);
/* Answers everything that waits at Redis with what is good, chosen by the user's name. */
void dc_world_answer(void);
#define APP_REMOVED 0x7f
/* The oldest of it; of the answers that fit its command, the one that is meant. */
void dc_world_answer_one(unsigned which);
/* AUTH on this connection, and its OK. */
void dc_world_auth(struct stream *s);
/* The broker "mb1" with boot number 5 links, or a message of it. */
void dc_world_link(struct dc_world *w);
void dc_world_say(struct dc_world *w, const struct link_message *m);
/* All that was answered to Apps, and said to the broker, is well-formed. Returns how
 * many answers. */
unsigned dc_world_check_answers(void);

#endif
