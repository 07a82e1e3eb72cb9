/* SPDX-License-Identifier: Apache-2.0 */
/* What each source may still cost: a leaky bucket for each of those that lately
 * spent something, in a table that cannot grow. A source is 16 bytes: addr_source(),
 * or a hash. When the table is full, whoever owes least is forgotten, so that many
 * new names cannot clear the debts of an old one. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include "base/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct budget_entry;

struct budget {
	struct budget_entry *at;
	uint32_t buckets;
	uint32_t burst;      /* units that may be spent at once; 0: there is no limit */
	uint32_t per_minute; /* units that come back */
	uint64_t seed;       /* random, so that nobody can aim at a bucket */
};

/* sources: how many are remembered at most. */
RS_MUST_CHECK int budget_init(struct budget *b, uint32_t sources, uint32_t burst, uint32_t per_minute,
			      uint64_t seed);
void budget_deinit(struct budget *b);
/* Spends one unit; also beyond the limit, up to twice of it. */
void budget_spend(struct budget *b, const uint8_t source[ADDR_SOURCE], uint64_t now_ms);
/* Nothing is left; the smallest part of a unit is enough for one more. */
bool budget_over(const struct budget *b, const uint8_t source[ADDR_SOURCE], uint64_t now_ms);
/* Both, for the source that an address is. */
void budget_spend_addr(struct budget *b, const struct addr *a, uint32_t units, uint64_t now_ms);
bool budget_over_addr(const struct budget *b, const struct addr *a, uint64_t now_ms);
/* Nothing is owed: it spent nothing, or all came back. */
bool budget_clean(const struct budget *b, const uint8_t source[ADDR_SOURCE], uint64_t now_ms);

#endif
