/* SPDX-License-Identifier: Apache-2.0 */
#include "session/halfopen.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, ATTEMPT_AT = 4, E_AT = HELLO_HEADER + COOKIE_LEN };

int halfopen_init(struct halfopen *t, uint32_t max, uint64_t seed)
{
	*t = (struct halfopen){.buckets = max / WAYS ? max / WAYS : 1, .seed = seed};
	t->at = calloc((size_t)t->buckets * WAYS, sizeof *t->at);
	return t->at ? RS_OK : RS_ENOMEM;
}

void halfopen_deinit(struct halfopen *t)
{
	free(t->at);
	*t = (struct halfopen){0};
}

static struct half *bucket(const struct halfopen *t, const struct addr *from, const uint8_t *init)
{
	uint64_t h = bytes_hash16(t->seed, from->ip);
	h = bytes_mix(h, be_get(from->port, 2) << 32 | be_get(init + ATTEMPT_AT, 4));
	h = bytes_mix(h, t->seed >> 7);
	return &t->at[(h >> 16) % t->buckets * WAYS];
}

struct half *halfopen_find(const struct halfopen *t, const struct addr *from, const uint8_t *init)
{
	struct half *b = bucket(t, from, init);
	for (int i = 0; i < WAYS; i++)
		if (b[i].conn && addr_equal(&b[i].addr, from) &&
		    b[i].attempt == be_get(init + ATTEMPT_AT, 4) &&
		    memcmp(b[i].e, init + E_AT, sizeof b[i].e) == 0)
			return &b[i];
	return NULL;
}

struct half *halfopen_take(struct halfopen *t, const struct addr *from, const uint8_t *init,
			   uint32_t *evicted)
{
	struct half *b = bucket(t, from, init), *pick = b;
	for (int i = 0; i < WAYS && pick->conn; i++)
		if (b[i].conn == 0 || b[i].since_ms < pick->since_ms)
			pick = &b[i];
	*evicted = pick->conn;
	if (!pick->conn)
		t->count++;
	pick->conn = 0;
	pick->addr = *from;
	pick->attempt = (uint32_t)be_get(init + ATTEMPT_AT, 4);
	memcpy(pick->e, init + E_AT, sizeof pick->e);
	return pick;
}

uint32_t halfopen_place(const struct halfopen *t, const struct half *h) { return (uint32_t)(h - t->at); }

void halfopen_free(struct halfopen *t, uint32_t place)
{
	if (t->at[place].conn)
		t->count--;
	explicit_bzero(&t->at[place], sizeof t->at[place]);
}
