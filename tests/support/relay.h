/* SPDX-License-Identifier: Apache-2.0 */
/* A bad network between real programs: a UDP relay on a port of 127.0.0.1 in
 * front of one server. It is a process of its own, so that it goes on while the
 * test waits, and dies with the test. Each client address gets a socket of its
 * own towards the server, so that the server sees as many addresses.
 *
 *   struct relay r;
 *   relay_start(&r, port, &(struct relay_plan){.loss_pct = 20});
 *   ... clients talk to relay_addr(&r) ...
 *   relay_stop(&r); */
#ifndef SUPPORT_RELAY_H
#define SUPPORT_RELAY_H

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What happens to datagrams, each way alike. All zeros: a perfect network. */
struct relay_plan {
	unsigned seed;
	unsigned loss_pct;
	unsigned double_pct;
	unsigned corrupt_pct;    /* one bit is turned over */
	unsigned delay_pct;      /* held for up to delay_ms: what comes after overtakes */
	unsigned delay_ms;
	unsigned move_every_ms;  /* towards the server every client gets a new port; 0: never */
	uint64_t move_at;        /* the same once, when relay_counts.pieces has come so far; 0: never */
	bool cut;                /* nothing passes */
};

struct relay_counts {
	uint64_t passed, lost, doubled, corrupted, delayed, moves;
	uint64_t pieces; /* passed to clients, and so long that they are of a larger message */
};

struct relay_shared;

struct relay {
	pid_t pid; /* 0: not running */
	uint16_t port;
	struct relay_shared *shared;
};

/* server_port: of 127.0.0.1; need not be there yet, or always. plan NULL: perfect. */
void relay_start(struct relay *r, uint16_t server_port, const struct relay_plan *plan);
void relay_stop(struct relay *r); /* a second time does nothing */
/* From now on. */
void relay_change(struct relay *r, const struct relay_plan *plan);
struct relay_counts relay_counts(const struct relay *r);
struct addr relay_addr(const struct relay *r);

#endif
