/* SPDX-License-Identifier: Apache-2.0 */
/* A forger: throws handshakes at a broker or balancer from many addresses and
 * ports of loopback, and counts what comes back. It is a process of its own, and
 * dies with the test. Of ten packets one is rubbish: random lengths and bytes,
 * and packets of sessions that are not there.
 *
 *   struct flood f;
 *   flood_start(&f, &(struct flood_plan){.kind = FLOOD_MADE_AHEAD, .port = port, ...});
 *   ... see how others fare ...
 *   struct flood_counts c = flood_end(&f); */
#ifndef SUPPORT_FLOOD_H
#define SUPPORT_FLOOD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum flood_kind {
	FLOOD_RANDOM,     /* right length and header, the rest random: each costs a key agreement */
	FLOOD_MADE_AHEAD, /* true handshakes, the same few thousand from ever new addresses */
	FLOOD_COOKIES,    /* true handshakes with cookies that were never given out */
};

struct flood_plan {
	enum flood_kind kind;
	bool asks;        /* ASK, for a balancer, not INIT */
	uint16_t port;    /* of 127.0.0.1 */
	uint8_t key[32];  /* of who listens there */
	unsigned per_s;   /* packets; less if the machine cannot do it */
};

struct flood_counts {
	uint64_t sent, sent_bytes;
	uint64_t back, back_bytes; /* what the flooded one sent to the forger */
	uint64_t ms;               /* how long it sent */
};

struct flood_shared;

struct flood {
	pid_t pid; /* 0: not running */
	struct flood_shared *shared;
};

/* Returns when all is made ahead, and the flood begins. */
void flood_start(struct flood *f, const struct flood_plan *plan);
/* Ends it, when the last answers were heard. */
struct flood_counts flood_end(struct flood *f);
void flood_kill(struct flood *f); /* a second time does nothing */

#endif
