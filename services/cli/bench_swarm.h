/* SPDX-License-Identifier: Apache-2.0 */
/* Many clients in one process, of one broker or of those that the balancers name:
 * each is the engine of librestante (session/client.h), all share a socket. What
 * comes in is told apart by the attempt (handshake) or by sender and connection id,
 * which the swarm learns from what its engines send. */
#ifndef CLI_BENCH_SWARM_H
#define CLI_BENCH_SWARM_H

#include "bench.h"
#include "bench_redis.h"
#include "bench_udp.h"

#include "crypto/keypool.h"
#include "session/client.h"

struct swarm;

struct swarm_client {
	struct swarm *swarm;
	struct client *engine;   /* NULL: not started yet */
	bool beating;            /* a heartbeat awaits its answer */
	bool touched, online;
};

/* A number (attempt, or sender and connection id) to the client that bears it. */
struct swarm_map {
	uint64_t *key;
	uint32_t *client;        /* + 1; 0: free */
	uint32_t mask, used;
};

struct swarm {
	const struct bench *bench;
	struct bench_udp *udp;
	struct client_config config; /* of all, but for user, session and device */
	struct addr metrics;     /* of the one broker */
	struct swarm_client *at;
	uint64_t *due;           /* when each engine wants its tick */
	uint64_t look_ms;        /* who is due is not looked for before */
	uint32_t *ticks, tick_at, tick_count; /* who was due then */
	uint64_t came_us;        /* when the datagram came that is looked at now */
	uint32_t count, online, refused;
	struct swarm_map attempts, conns;
	struct keypool keys;     /* made ahead, for handshakes that are to cost this process less */
	bool hold_logins;        /* LOGIN packets are not sent: handshakes only */
	uint64_t beats_answered, bad;
	uint32_t beats_waiting, next_beat;
	uint32_t *pending, pending_count; /* between start and online */
	uint32_t touched[64], touched_count;
	void (*on_shown)(void *ctx, const struct client_message *m); /* may be NULL ... */
	void (*on_online)(void *ctx, uint32_t client);               /* ... this too */
	void *ctx;
};

/* Finds the broker (by_balancers: the balancers) in the registry and opens the
 * socket. Failures are said; swarm_close() is due in any case. */
RS_MUST_CHECK int swarm_open(struct swarm *s, const struct bench *b, uint32_t count, bool by_balancers);
void swarm_close(struct swarm *s);

/* Clients from..to-1 log in, at most `window` at a time. Failures are said. */
RS_MUST_CHECK int swarm_login(struct swarm *s, uint32_t from, uint32_t to, uint32_t window);
/* Keys for so many handshakes are made ahead, as by so many devices that have nothing
 * else to do; meanwhile heartbeats go on. Once. */
RS_MUST_CHECK int swarm_make_keys(struct swarm *s, uint32_t count);
/* Only up to the handshake; logged in later by swarm_release(). */
RS_MUST_CHECK int swarm_shake(struct swarm *s, uint32_t from, uint32_t to, uint32_t window);
RS_MUST_CHECK int swarm_release(struct swarm *s, uint32_t from, uint32_t to);
/* All log out. */
void swarm_logout(struct swarm *s);

/* Takes in one batch, waiting that long at most; sends the engines' answers. */
unsigned swarm_receive(struct swarm *s, int wait_ms);
/* The engines' timers: who is due is looked for every 50 ms, and then has its turn, a
 * few with each call, so that what comes in meanwhile does not wait for all of them. */
void swarm_tick(struct swarm *s);
/* Some have not had it yet. */
bool swarm_ticks_wait(const struct swarm *s);
/* Until no client has a queue in Redis: all was acknowledged. Failures are said. */
RS_MUST_CHECK int swarm_wait_empty(struct swarm *s, struct bench_redis *r);
/* The next client in turn sends a heartbeat now. */
void swarm_beat(struct swarm *s);
/* Heartbeats that were lost are sent again. */
void swarm_beat_again(struct swarm *s);

#endif
