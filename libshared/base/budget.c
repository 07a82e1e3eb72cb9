/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, UNIT = 60000 }; /* a unit in `owed`, so that a millisecond gives back a whole number */

struct budget_entry {
	uint8_t source[ADDR_SOURCE];
	uint64_t owed, at_ms; /* owed 0: place free */
};

int budget_init(struct budget *b, uint32_t sources, uint32_t burst, uint32_t per_minute, uint64_t seed)
{
	*b = (struct budget){.buckets = sources / WAYS ? sources / WAYS : 1, .burst = burst,
			     .per_minute = per_minute, .seed = seed};
	b->at = calloc((size_t)b->buckets * WAYS, sizeof *b->at);
	return b->at ? RS_OK : RS_ENOMEM;
}

void budget_deinit(struct budget *b)
{
	free(b->at);
	*b = (struct budget){0};
}

static struct budget_entry *bucket(const struct budget *b, const uint8_t *source)
{
	return &b->at[(bytes_hash16(b->seed, source) >> 16) % b->buckets * WAYS];
}

static struct budget_entry *find(const struct budget *b, const uint8_t *source)
{
	struct budget_entry *e = bucket(b, source);
	for (int i = 0; i < WAYS; i++)
		if (e[i].owed && memcmp(e[i].source, source, ADDR_SOURCE) == 0)
			return &e[i];
	return NULL;
}

static uint64_t owes(const struct budget *b, const struct budget_entry *e, uint64_t now_ms)
{
	uint64_t passed = now_ms > e->at_ms ? now_ms - e->at_ms : 0;
	if (b->per_minute && passed > e->owed / b->per_minute) /* all came back; after years the product runs over */
		return 0;
	return e->owed - passed * b->per_minute;
}

/* A place for a new source: free, or of whoever owes least. */
static struct budget_entry *place(const struct budget *b, const uint8_t *source, uint64_t now_ms)
{
	struct budget_entry *e = bucket(b, source), *pick = e;
	for (int i = 1; i < WAYS; i++)
		if (owes(b, &e[i], now_ms) < owes(b, pick, now_ms))
			pick = &e[i];
	memcpy(pick->source, source, ADDR_SOURCE);
	pick->owed = 0;
	return pick;
}

static void spend(struct budget *b, const uint8_t *source, uint32_t units, uint64_t now_ms)
{
	uint64_t most = (uint64_t)b->burst * 2 * UNIT;
	if (b->burst == 0)
		return;
	struct budget_entry *e = find(b, source);
	if (!e)
		e = place(b, source, now_ms);
	e->owed = owes(b, e, now_ms) + (uint64_t)units * UNIT;
	e->at_ms = now_ms;
	if (e->owed > most)
		e->owed = most;
}

void budget_spend(struct budget *b, const uint8_t source[ADDR_SOURCE], uint64_t now_ms)
{
	spend(b, source, 1, now_ms);
}

bool budget_over(const struct budget *b, const uint8_t source[ADDR_SOURCE], uint64_t now_ms)
{
	const struct budget_entry *e = b->burst ? find(b, source) : NULL;
	return e && owes(b, e, now_ms) >= (uint64_t)b->burst * UNIT;
}

bool budget_clean(const struct budget *b, const uint8_t source[ADDR_SOURCE], uint64_t now_ms)
{
	const struct budget_entry *e = b->burst ? find(b, source) : NULL;
	return !e || owes(b, e, now_ms) == 0;
}

void budget_spend_addr(struct budget *b, const struct addr *a, uint32_t units, uint64_t now_ms)
{
	uint8_t source[ADDR_SOURCE];
	addr_source(a, source);
	spend(b, source, units, now_ms);
}

bool budget_over_addr(const struct budget *b, const struct addr *a, uint64_t now_ms)
{
	uint8_t source[ADDR_SOURCE];
	addr_source(a, source);
	return budget_over(b, source, now_ms);
}
