/* SPDX-License-Identifier: Apache-2.0 */
/* What the ways to the clients of an ISP are like, from what the sessions see anyway:
 * the round trip of packets that carried messages, and how many of these had to be
 * sent again. Told to the balancers with the load; needs the setting `prefixes`, the
 * same file as theirs. An ISP counts once QUALITY_SAMPLES deliveries were seen, and is
 * forgotten when none was for QUALITY_KEPT_MS. The figures are averages over clients
 * and deliveries, so that a single one says little. */
#ifndef MB_QUALITY_H
#define MB_QUALITY_H

#include "app/prefix_file.h"
#include "session/server.h"
#include "wire/link.h"

#define QUALITY_SAMPLES 8
#define QUALITY_KEPT_MS (10 * 60 * 1000u)
#define QUALITY_RTT_MAX_MS 2000u /* of one sample */

struct quality_row {
	char isp[NAME_MAX_BYTES + 1];
	uint32_t samples;       /* stops at QUALITY_SAMPLES */
	uint32_t rtt_x16;       /* 16 times the average, ms */
	uint32_t sent, again;   /* pieces; both halved when there are many */
	uint64_t heard_ms;
};

struct quality {
	struct prefix_file prefixes;
	struct quality_row row[LINK_PATHS_MAX];
	size_t count;
};

/* A session has sent messages to a client at this address. */
void quality_sample(struct quality *q, const struct addr *to, const struct server_path *p, uint64_t now_ms);
/* Writes what is known into `space`, for LOAD; their number. */
uint8_t quality_write(struct quality *q, uint64_t now_ms, struct writer *w);
void quality_metrics(const struct quality *q, struct metrics *m);

#endif
