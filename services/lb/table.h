/* SPDX-License-Identifier: Apache-2.0 */
/* The brokers a balancer knows, from two sources: their own links (LOAD once a
 * second) and the registry in Redis. Both may fail for a while; a broker is used
 * as long as one of them has heard of it within TABLE_ALIVE_MS. A link that
 * breaks means that the broker is gone: what Redis says of that boot is not
 * believed until a beat comes that is younger than the break. */
#ifndef LB_TABLE_H
#define LB_TABLE_H

#include "app/registry.h"
#include "wire/link.h"

#include <stdbool.h>

#define TABLE_MAX REGISTRY_MEMBERS_MAX
#define TABLE_ALIVE_MS REGISTRY_ALIVE_MS

/* What a broker measured of the clients of an ISP. */
struct path {
	char isp[NAME_MAX_BYTES + 1];
	uint16_t rtt_ms, loss;   /* of a thousand packets */
};

struct entry {
	struct member is;        /* what was said last, by whichever source */
	uint32_t packets;        /* a second; these and what follows only over its link */
	uint16_t lag_ms;
	uint8_t path_count;
	struct path path[LINK_PATHS_MAX];
	bool linked;
	uint64_t heard_ms;       /* monotonic: last LOAD, or last new beat seen in Redis */
	uint64_t beat_ms;        /* Redis time of the newest beat seen */
	uint64_t broke_ms;       /* Redis time by which beats are not believed; 0: none */
	uint32_t handed_out;     /* clients sent there since its last report */
};

struct table {
	struct entry at[TABLE_MAX];
	size_t count;
	uint64_t redis_ahead_ms; /* Redis's clock minus our monotonic one, as last seen */
	size_t alive;            /* brokers, as counted last ... */
	uint64_t alive_until_ms; /* ... which holds until then at most; 0: it is to be counted */
};

/* LOAD came over the link of this broker. */
void table_on_load(struct table *t, const char *id, uint64_t boot, const struct link_load *load,
		   uint64_t now_ms);
void table_on_link_lost(struct table *t, const char *id, uint64_t boot, uint64_t now_ms);
/* A listing of the registry. */
void table_on_members(struct table *t, const struct member *members, size_t count,
		      uint64_t redis_now_ms, uint64_t now_ms);
bool table_is_alive(const struct entry *e, uint64_t now_ms);
/* Asked for each client: counts when something was heard, or when one falls silent. */
size_t table_alive_count(struct table *t, uint64_t now_ms);

#endif
