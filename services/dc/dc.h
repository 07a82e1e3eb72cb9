/* SPDX-License-Identifier: Apache-2.0 */
/* The Data Center: what its parts share. One of it in the process, made by
 * main.c; every part borrows it and none outlives it. */
#ifndef DC_DC_H
#define DC_DC_H

#include "app/host.h"
#include "app/metrics.h"
#include "app/registry.h"
#include "net/link.h"
#include "ended.h"
#include "place.h"
#include "pool.h"
#include "receipt.h"
#include "base/budget.h"

struct dc_config {
	struct daemon_config common;
	struct addr listen_apps, listen_brokers;
	struct addr advertise_apps, advertise_brokers; /* all zero: derived */
	int64_t queue_max_messages, queue_max_bytes, status_s, broadcasts_max;
	int64_t ttl_default_s, receipt_look_s;
	int64_t max_connections, max_connections_per_address, wrong_keys_per_address;
	int64_t redis_timeout_ms, redis_max_in_flight, redis_connections, fan_in_flight;
	char durability[CONFIG_TEXT_MAX];
};

/* What became of a broadcast. */
enum broadcast_state { BROADCAST_KEPT, BROADCAST_SENT, BROADCAST_DROPPED, BROADCAST_DUPLICATE, BROADCAST_STATES };

struct dc_counts {
	uint64_t sends[SEND_STATES], broadcasts[BROADCAST_STATES], withdrawn;
	uint64_t auth_failed, auth_limited;
	uint64_t limited_rate, limited_size; /* by the limits of an App */
	uint64_t apps_removed;
	uint64_t pushes, nudges, kicks;
	uint64_t fetches, fetched, acks, acked, fenced, unavailable;
	uint64_t expired;
	uint64_t ended[ENDED_HOWS], recalls;
	uint64_t receipts[ENDED_HOWS]; /* given */
	uint64_t receipts_awaited, receipts_late, receipts_looked, receipts_sent;
	uint64_t presences; /* users that came or went, as brokers said */
};

/* AUTH that failed, of which the log tells at most one a second. */
struct auth_log {
	uint64_t next_ms;
	uint64_t left_out; /* since the last line */
};

struct app_table;
struct apps;
struct answers;
struct bodies;
struct brokers;
struct durability;
struct fan_board;
struct fan_counter;
struct owed;
struct receipts;
struct watchers;

struct dc {
	struct ev_loop *loop;
	const struct dc_config *config;
	uint64_t boot;
	char redis_password[HOST_PASSWORD_MAX]; /* borrowed by redis */
	struct pool *redis;
	uint64_t redis_up_ms;     /* wall clock: since when it has been there; 0: it is not */
	struct tls_context *tls;  /* NULL: plaintext links */
	struct answers *answers;
	struct app_table *known;  /* the Apps that lately spoke to this DC */
	struct apps *apps;
	struct brokers *brokers;
	struct bodies *bodies;    /* of fan-outs */
	struct fan_board *fans;
	struct fan_counter *counter; /* of the subscribers of topics */
	struct durability *durability;
	struct receipts *receipts; /* the streams of them */
	struct owed *owed;
	struct watchers *watchers;
	struct registry *registry;
	struct dc_counts counts;
	struct auth_log auth_log;
	unsigned many;            /* requests of many recipients under way; answer.h */
	struct budget wrong_keys; /* per address */
	struct receipt_mark receipt_marks[RECEIPT_MARKS];
};

#endif
