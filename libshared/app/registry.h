/* SPDX-License-Identifier: Apache-2.0 */
/* Who is there: each daemon keeps a hash rs:<kind>:<id> with an expiry and
 * beats once a second; the sorted set rs:<kind>s holds the ids by last beat.
 * Time is Redis's own, so that the clocks of the hosts need not agree. */
#ifndef APP_REGISTRY_H
#define APP_REGISTRY_H

#include "base/addr.h"
#include "base/isps.h"
#include "base/name.h"
#include "rds/rds.h"

#include <stdbool.h>

#define REGISTRY_BEAT_MS 1000
#define REGISTRY_ALIVE_MS 2500 /* a member whose beat is older is not used */
#define REGISTRY_TTL_MS 5000   /* expiry of its hash */
#define REGISTRY_MEMBERS_MAX 256
#define REGISTRY_DRAIN_MAX_S 86400
#define REGISTRY_FAULT_MAX 64

/* All fields of all kinds; a kind uses what it has (zero: absent). */
struct member {
	char id[NAME_MAX_BYTES + 1];
	uint64_t boot;
	uint64_t beat_ms;          /* Redis time of the last beat */
	struct addr address;       /* broker, lb: clients' UDP; dc: Apps' TCP */
	struct addr link;          /* dc, lb: where brokers connect */
	struct addr http;          /* lb: where it explains its choice */
	uint8_t key[32];           /* broker, lb: X25519 public key */
	char zone[NAME_MAX_BYTES + 1];
	struct isp_set isps;       /* broker: addresses for the clients of some ISPs */
	uint32_t sessions, capacity; /* broker */
	bool draining;             /* broker */
	char fault[REGISTRY_FAULT_MAX]; /* in a listing: why it is not ready; empty: it is, or does not say */
	bool alive;                /* in a listing: beat within REGISTRY_ALIVE_MS */
};

struct registry;

/* Beats for `self` (copied; change it with registry_update) every second while
 * Redis is up. kind: "broker", "dc", "lb". */
RS_MUST_CHECK int registry_join(struct registry **out, struct ev_loop *loop, struct rds *rds,
				const char *kind, const struct member *self);
void registry_update(struct registry *r, const struct member *self);
/* Tells all with each beat whether this member is ready, or why not. */
void registry_tell_ready(struct registry *r, const char *(*not_ready)(void *ctx), void *ctx);
/* What is wrong with the membership itself, NULL if nothing: another daemon has the id. */
const char *registry_fault(const struct registry *r);
/* Somebody has told this member by registry_drain to drain within so many seconds;
 * said again with each beat. */
void registry_on_drain(struct registry *r, void (*fn)(void *ctx, uint32_t over_s), void *ctx);
/* Takes the member out at once (orderly stop), then calls done (may be NULL). */
void registry_leave(struct registry *r, void (*done)(void *ctx), void *ctx);
void registry_free(struct registry *r);

/* Watches the members of a kind: every second, on_members with all of them,
 * alive or not (borrowed for the call). Not called while Redis is away. */
struct registry_watch;
typedef void registry_members_fn(void *ctx, const struct member *members, size_t count,
				 uint64_t redis_now_ms);
RS_MUST_CHECK int registry_watch(struct registry_watch **out, struct ev_loop *loop, struct rds *rds,
				 const char *kind, registry_members_fn *on_members, void *ctx);
void registry_watch_free(struct registry_watch *w);

#endif
