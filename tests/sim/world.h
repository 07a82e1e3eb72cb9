/* SPDX-License-Identifier: Apache-2.0 */
/* A small world for the session engines: brokers, a balancer, some clients, a
 * hostile network with a virtual clock, an attacker, and an application that
 * keeps a queue for each user as Redis would. Everything that happens follows
 * from the plan and its seed; what must never happen is counted. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum attacker { ATTACKER_NONE, ATTACKER_BLIND, ATTACKER_ON_PATH };

/* Zero: does not happen. */
struct world_plan {
	uint64_t seed;
	unsigned clients;
	unsigned brokers;         /* 1 or 2; 0 is 1 */
	bool balancer;            /* clients ask it which broker to use */
	unsigned messages;        /* to each client */
	unsigned size_max;        /* bytes of a body */
	unsigned spacing_ms;      /* between messages: up to this; 0: 400 */
	unsigned heartbeat_s;     /* 0: 10 */
	unsigned requests;        /* of each client */
	unsigned ask_spacing_ms;  /* between them: up to this; 0: all at once */
	unsigned ask_ms;          /* what it takes to carry one out: up to this */
	unsigned window;          /* of the clients, bytes; 0: theirs */
	unsigned sessions_max;    /* of a broker; 0: 64 */
	unsigned cookie_above;    /* 0: 64 */
	unsigned free_per_s, bad_burst, address_per_s; /* struct gate_config */
	unsigned login_ms, kick_ms; /* what a broker's own questions take: up to this */

	/* the network, of all packets, each way */
	unsigned loss_pct, dup_pct, corrupt_pct, replay_pct;
	unsigned reorder_pct;     /* late by up to 3 s more */
	unsigned delay_ms, jitter_ms;
	unsigned nat_s;           /* a mapping not used by the client for so long is forgotten */

	/* events, about every so many seconds */
	unsigned move_every_s;    /* a client's address changes */
	unsigned move_after_data; /* once, after so many DATA packets to client 0 */
	unsigned restart_every_s; /* a broker is killed and comes back */
	unsigned redirect_every_s;/* a broker sends its clients to others */
	unsigned silence_every_s, silence_for_s; /* one way, 50 to 100 % lost */
	unsigned sleep_every_s, sleep_for_s; /* a client does nothing for up to so long */
	unsigned keep_pct;        /* of sleeps: packets wait in the socket; else they are lost */
	bool exact;               /* silence and sleep take exactly that long, silence is total */

	enum attacker attacker;
	unsigned attack_every_ms;

	uint64_t limit_s;         /* virtual time after which everything must have arrived */
	uint64_t calm_after_s;    /* no loss and no events from then on; 0: never */
	bool trace;               /* says on stderr what happens */
};

/* What must not happen. */
enum world_fault {
	FAULT_LOST,        /* not everything arrived in time */
	FAULT_DOUBLED,     /* a message was shown twice */
	FAULT_DISORDERED,
	FAULT_DAMAGED,     /* a body was not what was sent */
	FAULT_EARLY_ACK,   /* acknowledged before it was shown */
	FAULT_REQUEST,     /* a request was carried out damaged, or after a later one */
	FAULT_REPLY,       /* it was answered twice, out of order, wrongly, or without being carried out */
	FAULT_STOPPED,     /* a client gave up for good */
	FAULT_NONCE,       /* a packet number or an ephemeral key served twice */
	FAULT_FORGED,      /* something that no engine sent was taken for genuine */
	FAULT_REPLAYED,    /* a packet was taken twice */
	FAULT_AMPLIFIED,   /* more was sent to an unproven address than came from it */
	FAULT_STRAYED,     /* a session went to an address that its client never had */
	FAULT_DISTURBED,   /* a session ended by the attacker's packets alone */
	FAULT_MEMORY,      /* an engine's memory grew beyond its bound, or was kept */
	FAULT_OFFLINE,     /* in the calm after it all a client was not online */
	WORLD_FAULTS
};

struct world_result {
	unsigned fault[WORLD_FAULTS];
	unsigned sent, shown, packets;
	unsigned answered;        /* requests */
	unsigned dropped;         /* times that a client's session ended */
	unsigned moves, attacks, sleeps, redirects; /* that took place */
	uint64_t slowest_ms;      /* from stored to shown */
	uint64_t slowest_late_ms; /* the same of the second half of the messages */
	uint64_t ended_ms;        /* virtual time */
	size_t server_peak, client_peak; /* bytes, of one engine */
};

/* A plan drawn from the seed alone. */
struct world_plan world_plan_from_seed(uint64_t seed);
/* The only disturbance is the attacker: sessions must not end. */
bool world_plan_is_quiet(const struct world_plan *p);
struct world_result world_run(const struct world_plan *plan);
/* NULL: all promises held; else the first that did not. */
const char *world_verdict(const struct world_result *r);
const char *world_fault_text(enum world_fault f);

#endif
