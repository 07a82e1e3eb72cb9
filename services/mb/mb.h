/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a broker share: the engine with its sessions, the socket,
 * Redis, the links to DCs and balancers. Each part is one file and one noun:
 * login, lease, delivery, broadcast, notice, recalled, report, request, auth, guard,
 * shed, drain, quality. */
#ifndef MB_MB_H
#define MB_MB_H

#include "app/host.h"
#include "app/peers.h"
#include "app/registry.h"
#include "auth.h"
#include "base/list.h"
#include "base/pace.h"
#include "crypto/keypool.h"
#include "broadcast.h"
#include "guard.h"
#include "net/udp.h"
#include "quality.h"
#include "session/server.h"
#include "recalled.h"
#include "shed.h"

#include <ev.h>

struct mb_config {
	struct daemon_config common;
	struct addr listen_clients, advertise_clients;
	char key_file[CONFIG_TEXT_MAX];
	char zone[CONFIG_TEXT_MAX], prefixes[CONFIG_TEXT_MAX];
	struct isp_set advertise_isp;
	int64_t heartbeat_s, lease_s, capacity, handshakes_per_s, handshakes_per_address, logins_max, logins_per_s;
	int64_t wrong_logins_per_address, wrong_logins_per_user;
	int64_t redis_timeout_ms, redis_max_in_flight, drain_s;
};

struct mb_counts {
	uint64_t ephemerals_ahead, ephemerals_late; /* handshakes with a key made ahead; without */
	uint64_t logins_ok, logins_wrong, logins_expired, logins_unavailable, logins_overloaded, logins_deferred;
	uint64_t logins_shed, logins_refused_address, logins_refused_user;
	uint64_t kicks_sent, kicks_obeyed, fenced, renewed, renew_failed, cleared, clear_failed;
	uint64_t fetches, fetched, fetch_unavailable, pushes, push_gaps, push_stale, not_stored_dropped;
	uint64_t acks_sent, ack_unavailable, damaged_records, withdrawn, notices, notices_taken;
	uint64_t broadcasts_kept, broadcasts_unkept, broadcasts_withdrawn;
	uint64_t requests_done, requests_refused, requests_failed;
	uint64_t broadcasts_handed, broadcasts_dropped, cursors_advanced, cursors_failed;
};

/* Time for the engine: monotonic and wall, in ms. */
struct mb_time {
	uint64_t mono_ms, wall_ms;
};

/* How busy it is: measured in this second, and what was said of the last one. */
struct load {
	uint64_t since_ms, packets_before;
	uint32_t worst_late_ms;
	uint32_t packets;               /* in and out, a second */
	uint16_t lag_ms;
};

/* How the broker ends, if it does: mb/drain.h. */
struct drain {
	bool on, stopping, leaving;     /* at all; by SIGTERM; the registry: the last step */
	uint64_t from_ms, over_ms;      /* when it began, and how long it may take */
	uint32_t users;                 /* that were here when it began */
	uint64_t sent_ms;               /* when the last client was sent away; 0: none was */
	int64_t word;                   /* the seconds an operator gave last; -1: none did */
};

struct mb {
	struct ev_loop *loop;
	const struct mb_config *config;
	struct addr advertised;
	uint64_t boot;
	struct keypair key;
	struct server *server;
	struct udp *udp;
	char redis_password[HOST_PASSWORD_MAX]; /* borrowed by rds */
	struct rds *rds;
	struct tls_context *tls;
	struct peers *dcs, *lbs;
	struct registry *registry;
	struct registry_watch *watch;   /* of the other brokers: the fallback list */
	struct auth *auth;
	struct guard guard;
	struct shed shed;
	struct broadcasts broadcasts;
	struct recalled recalled;
	struct list users;              /* by next lease renewal: the first is due first */
	struct list deliveries;         /* users with something under way */
	struct list ack_ready;          /* deliveries whose acknowledgements go out at batch end */
	struct list notices;            /* given to clients and not yet taken */
	struct list logins;             /* under way */
	struct list bundle;             /* of these, those that are checked when bundle_timer is due */
	uint32_t user_count, logins_pending;
	struct pace admission;          /* of logins */
	uint32_t resync;                /* users at the head of the list to renew ahead of time */
	struct drain drain;
	struct mb_time batch;           /* of the batch of datagrams at hand; mono_ms 0: none */
	ev_timer engine_timer;          /* at server_deadline() */
	ev_timer tick;                  /* MB_TICK_MS: renewals, retries, load */
	ev_timer bundle_timer;          /* mb/login.c */
	ev_prepare turn;                /* never started, fed: mb_flush() at the end of a turn of the loop */
	unsigned ticks;
	struct load load;
	struct quality quality;
	struct keypool ephemerals;      /* made when there is nothing else to do */
	ev_idle spare_time;             /* ... in here */
	struct mb_counts counts;
};

#define MB_TICK_MS 100

struct delivery;

/* A user who is online here. Kept small: there may be a million. */
struct user {
	struct list node;               /* in mb.users */
	struct delivery *delivery;      /* NULL while nothing is under way */
	uint32_t conn;                  /* whose session knows the owner token: user_owner() */
	uint32_t renew_s;               /* monotonic */
	uint32_t broadcasts;            /* the ordinal up to which they were handed over */
	uint8_t name_len;
	char name[];                    /* not NUL-terminated */
};

/* The fence of this login; also while the session ends. */
static inline uint64_t user_owner(const struct mb *m, const struct user *u)
{
	return server_owner(m->server, u->conn);
}

struct mb_time mb_time(void);
/* Sends what the engine has collected and sets its timer anew; after anything
 * that may have given it work outside a batch of datagrams. */
void mb_flush(struct mb *m);
/* The same at the end of this turn of the loop, once for all that came in it. */
void mb_flush_later(struct mb *m);

#endif
