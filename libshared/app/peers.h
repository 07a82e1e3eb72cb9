/* SPDX-License-Identifier: Apache-2.0 */
/* A link to each living member of a kind (a broker's links to all DCs, all
 * LBs): members are found through the registry; links come and go with them.
 * After a link is up, HELLO has been sent and WELCOME received. */
#ifndef APP_PEERS_H
#define APP_PEERS_H

#include "app/registry.h"
#include "net/link.h"
#include "wire/link.h"

struct peers;

struct peers_handler {
	void (*on_up)(void *ctx, size_t peer);
	/* A decoded message other than HELLO and WELCOME. Not 0 closes the link. */
	int (*on_message)(void *ctx, size_t peer, const struct link_message *m);
	void (*on_down)(void *ctx, size_t peer);
};

#define PEERS_MAX 64

RS_MUST_CHECK int peers_new(struct peers **out, struct ev_loop *loop, struct rds *rds,
			    const char *kind, struct tls_context *tls, const char *own_id,
			    uint64_t own_boot, const struct peers_handler *handler, void *ctx);
void peers_free(struct peers *p);
size_t peers_up_count(const struct peers *p);
/* How many messages were not sent since the queue of a link was full. */
uint64_t peers_full_total(const struct peers *p);
bool peers_is_up(const struct peers *p, size_t peer);
/* A living peer chosen by `hash` (the same hash gives the same peer while the set
 * stays the same), or RS_EDOWN. Slots are 0..PEERS_MAX-1. */
RS_MUST_CHECK int peers_pick(const struct peers *p, uint32_t hash);
RS_MUST_CHECK int peers_send(struct peers *p, size_t peer, const struct link_message *m);
/* To all that are up. Nobody repeats it: a link that has no room for it is made anew
 * within some seconds, by which the other side learns that it missed something. */
void peers_send_all(struct peers *p, const struct link_message *m);

#endif
