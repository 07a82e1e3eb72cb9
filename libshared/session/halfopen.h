/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes under way: a bounded table that keeps each RESP, so that an INIT
 * sent again gets the same answer and costs nothing. Four places to a bucket;
 * a full bucket gives up its oldest. Private to session/. */
#ifndef SESSION_HALFOPEN_H
#define SESSION_HALFOPEN_H

#include "wire/packet.h"

struct half {
	struct addr addr;
	uint32_t attempt;
	uint8_t e[32];      /* the client's ephemeral key */
	uint32_t conn;      /* 0: place free */
	uint64_t since_ms;
	uint8_t resp[RESP_BYTES];
};

struct halfopen {
	struct half *at;
	uint32_t buckets, count;
	uint64_t seed;      /* random, so that nobody can aim at a bucket */
};

RS_MUST_CHECK int halfopen_init(struct halfopen *t, uint32_t max, uint64_t seed);
void halfopen_deinit(struct halfopen *t);
/* The handshake of this very INIT, or NULL. init: the datagram. */
struct half *halfopen_find(const struct halfopen *t, const struct addr *from, const uint8_t *init);
/* A place for it (fields are filled but conn, since_ms and resp); *evicted is the
 * conn that lost its place, or 0. */
struct half *halfopen_take(struct halfopen *t, const struct addr *from, const uint8_t *init,
			   uint32_t *evicted);
uint32_t halfopen_place(const struct halfopen *t, const struct half *h);
void halfopen_free(struct halfopen *t, uint32_t place);

#endif
