/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the simulated world share. Private to tests/support/world*.c. */
#ifndef SIM_WORLD_STATE_H
#define SIM_WORLD_STATE_H

#include "sim/world.h"

#include "base/heap.h"
#include "session/balancer.h"
#include "session/client.h"
#include "session/server.h"

#include <stdio.h>

enum {
	CLIENTS_MAX = 4,
	BROKERS_MAX = 2,
	MESSAGES_MAX = 1024,
	KEPT_MAX = 64,     /* packets in the socket of a stopped client */
	DUE_MAX = 64,
	SIGHTED_MAX = 32,
	BALANCER_NODE = BROKERS_MAX, /* its number where brokers have theirs */
	WALL_START_S = 1800000000,
};

struct world;

/* Bytes that an engine holds: counted by malloc and its kin while it runs. */
struct meter {
	size_t live, peak;
};

struct flying {
	struct heap_node node; /* key: arrival in ms */
	struct addr from, to;
	uint32_t serial;       /* of the engine's own sending; 0: no engine sent these bytes */
	uint16_t len;
	uint8_t data[PACKET_MAX + 16];
};

struct peer {
	struct world *world;
	struct client *client;
	struct meter meter;
	size_t base_bytes;
	struct addr addr;         /* as the network sees it */
	char name[16];
	int64_t last_number;      /* sent in this session; -1: none */
	uint32_t attempt;         /* of its handshake */
	unsigned exchanges;       /* ephemeral keys in this attempt */
	uint64_t exchange;        /* the first bytes of the last one */
	bool online;
	uint64_t last_out_ms;     /* the NAT's idle time begins here */

	uint64_t awake_ms;        /* asleep until then; 0: awake */
	uint64_t fell_asleep_ms;
	uint64_t lag_ms;          /* its monotonic clock stands still in some sleeps */
	bool keeps, clock_stops;  /* of this sleep */
	struct flying *kept[KEPT_MAX];
	unsigned kept_count;
	unsigned data_came;

	/* its row in "Redis", and what the brokers know of it */
	unsigned broker;
	uint32_t conn;            /* of its session there, 0: none */
	uint64_t owner;           /* the fence */
	unsigned stored, acked;   /* messages so far; below `acked` all are out of the queue */
	bool gone[MESSAGES_MAX];  /* acknowledged */
	uint64_t stored_ms[MESSAGES_MAX];
	unsigned shown;
	uint64_t next_send_ms;
	bool hungry;              /* something changed: the broker may be fed */

	/* its requests: 1 to `asked` were made, 1 to `answered` have their answers */
	unsigned asked, answered;
	unsigned carried_out;     /* the last one, as its row in "Redis" has it */
	uint64_t next_ask_ms;
};

struct broker {
	struct world *world;
	unsigned index;
	struct server *server;    /* NULL: killed */
	struct server_config config;
	struct addr addr;
	struct meter meter;
	size_t base_bytes;        /* with a table of sessions but no outbox; 0: not known yet */
	uint64_t next_restart_ms, back_ms, next_redirect_ms;
};

enum due_kind { DUE_LOGIN, DUE_KICK, DUE_REQUEST };

/* What a broker asked its surroundings, and the answer that will come. */
struct due {
	uint64_t at_ms, owner, boot;
	struct peer *peer;        /* NULL: refuse the login */
	uint32_t conn, number;    /* number: of the request */
	unsigned broker;
	enum due_kind kind;
};

struct sighted {
	struct addr from, to;
	uint32_t serial;
	uint16_t len;
	uint8_t data[PACKET_MAX];
};

struct attack {
	struct addr own[2];
	struct client *evil;      /* a client with a wrong session id, or one that falls silent */
	struct addr evil_addr;
	bool evil_mute;           /* sends INITs alone */
	struct sighted sighted[SIGHTED_MAX];
	unsigned sighted_count, sighted_next;
	uint64_t next_ms, race_ms;
};

struct world {
	struct world_plan plan;
	struct world_result result;
	uint64_t now_ms, rng;
	bool quiet, draining;
	struct broker broker[BROKERS_MAX];
	struct balancer balancer;
	struct addr balancer_addr;
	struct peer peer[CLIENTS_MAX];
	struct attack attack;
	struct due due[DUE_MAX];
	unsigned due_count;
	uint64_t next_owner;
	uint32_t serials;
	uint64_t next_move_ms, next_silence_ms, next_sleep_ms;
	bool moved_once;
	struct { uint64_t until_ms; unsigned pct; } silence[2]; /* to clients, to brokers */

	/* the request that an engine is working on */
	const struct addr *request_from; /* NULL: none */
	size_t request_len;
};

/* ---- chance ---- */

uint64_t world_draw(uint64_t *state);
uint64_t world_below(struct world *w, uint64_t n);
bool world_chance(struct world *w, unsigned pct);
/* The next time of something that happens about every so often. */
uint64_t world_after(struct world *w, unsigned every_s);
void world_engine_random(void *out, size_t len);
void world_seed_engines(uint64_t seed);

static inline uint64_t world_wall(const struct world *w) { return WALL_START_S * 1000ull + w->now_ms; }

static inline bool world_is_calm(const struct world *w)
{
	return w->draining || (w->plan.calm_after_s && w->now_ms > w->plan.calm_after_s * 1000);
}

__attribute__((format(printf, 2, 3))) void world_trace(const struct world *w, const char *format, ...);

/* ---- world_net.c: packets on their way ---- */

void world_net_begin(struct world *w);
/* An engine sends; the network does to it what the plan says. Returns its serial. */
uint32_t world_transmit(struct world *w, const struct addr *from, const struct addr *to,
			const uint8_t *data, size_t len);
/* Puts it on its way, to arrive then; drops it when too much flies already. */
void world_fly(struct world *w, const struct addr *from, const struct addr *to, const uint8_t *data,
	       size_t len, uint32_t serial, uint64_t at_ms);
struct flying *world_next_flying(void); /* NULL: nothing flies; stays the world's */
void world_land(struct flying *f);      /* out of the air, still the caller's */
void world_free_flying(struct flying *f);
void world_net_end(void);

/* ---- world_broker.c: brokers, balancer, Redis, the application ---- */

void world_start_broker(struct broker *b);
void world_kill_broker(struct broker *b);
void world_broker_recv(struct broker *b, struct flying *f);
void world_broker_run(struct broker *b); /* its timers and events */
uint64_t world_broker_deadline(const struct broker *b);
void world_balancer_start(struct world *w);
void world_balancer_recv(struct world *w, struct flying *f);
void world_run_due(struct world *w);
/* The answer comes then, or at once if that is now. */
void world_add_due(struct world *w, const struct due *d);
void world_application(struct world *w);

/* The body follows from who and which: a damaged one is noticed. */
size_t world_make_body(const struct peer *p, unsigned i, uint8_t *out);
struct ulid world_make_id(const struct peer *p, unsigned i);

/* ---- world_client.c: the clients, their sleeps and moves ---- */

/* By its own clock. */
static inline uint64_t world_peer_now(const struct peer *p) { return p->world->now_ms - p->lag_ms; }

void world_start_client(struct world *w, unsigned i);
void world_end_client(struct peer *p);
void world_client_recv(struct peer *p, struct flying *f); /* takes f */
void world_client_run(struct peer *p);
uint64_t world_client_deadline(const struct peer *p);
void world_move(struct peer *p);
void world_fall_asleep(struct peer *p, uint64_t ms, bool keeps);
void world_wake(struct peer *p);

/* ---- world_request.c: what clients ask for, what brokers do about it ---- */

void world_ask(struct peer *p); /* what is due */
void world_on_reply(void *ctx, uint32_t number, unsigned code);
void world_on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f);
void world_carry_out(struct broker *b, const struct due *d);
/* When world_ask() has something to do. */
uint64_t world_next_ask(const struct peer *p);

/* ---- world_attack.c ---- */

void world_attack_begin(struct world *w);
void world_attack_end(struct world *w);
void world_attack_sights(struct world *w, const struct addr *from, const struct addr *to,
			 const uint8_t *data, size_t len, uint32_t serial);
void world_attack_run(struct world *w);
void world_attack_recv(struct world *w, struct flying *f); /* if it is for him */
uint64_t world_attack_deadline(const struct world *w);

/* ---- world_check.c: what must hold ---- */

void world_check_begin(void);
void world_check_client_sends(struct peer *p, const uint8_t *data, size_t len);
void world_check_server_sends(struct broker *b, const struct addr *to, const uint8_t *data, size_t len);
/* node: a broker's index or BALANCER_NODE; boot: which life of it. */
void world_check_request(struct world *w, unsigned node, uint64_t boot, const struct addr *from, size_t len);
void world_check_answer(struct world *w, unsigned node, uint64_t boot, const struct addr *to, size_t len);
void world_check_hello(struct world *w, const uint8_t *data, size_t len, size_t e_at);
void world_check_proven(struct world *w, unsigned node, uint64_t boot, const struct addr *at);
/* The client has, or had, this address. */
void world_check_own(const struct peer *p, const struct addr *at);
bool world_check_owns(const struct peer *p, const struct addr *at);
/* An engine took this packet for genuine. */
void world_check_taken(struct world *w, const struct flying *f);
void world_check_bounds(struct world *w); /* often */
void world_check_end(struct world *w);    /* when nothing is under way any more */
void world_fault(struct world *w, enum world_fault f);

/* ---- world_meter.c ---- */

/* From now on allocations count for m (NULL: for nobody); returns for whom before. */
struct meter *world_meter(struct meter *m);

#endif
