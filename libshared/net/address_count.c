/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address_count.h"

#include "base/bytes.h"
#include "crypto/random.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 64, BUCKETS_MAX = 65536 };

struct address_entry {
	struct address_entry *next;
	uint8_t source[ADDR_SOURCE];
	uint32_t count;
};

/* Where the entry hangs, or would hang. */
static struct address_entry **find(struct address_count *c, const uint8_t source[ADDR_SOURCE])
{
	uint64_t h = bytes_hash16(c->seed, source);
	struct address_entry **at = &c->buckets[(h >> 16) & (c->bucket_count - 1)];
	while (*at && memcmp((*at)->source, source, sizeof (*at)->source) != 0)
		at = &(*at)->next;
	return at;
}

int address_count_init(struct address_count *c, size_t expected)
{
	size_t n = BUCKETS_MIN;
	while (n < expected && n < BUCKETS_MAX)
		n *= 2;
	c->buckets = calloc(n, sizeof *c->buckets);
	if (!c->buckets)
		return RS_ENOMEM;
	c->bucket_count = n;
	random_bytes(&c->seed, sizeof c->seed);
	return RS_OK;
}

void address_count_deinit(struct address_count *c)
{
	for (size_t i = 0; i < c->bucket_count; i++) {
		for (struct address_entry *e = c->buckets[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	}
	free(c->buckets);
	*c = (struct address_count){0};
}

int address_count_add(struct address_count *c, const struct addr *a, uint32_t max)
{
	uint8_t source[ADDR_SOURCE];
	addr_source(a, source);
	struct address_entry **at = find(c, source), *e = *at;
	if (!e) {
		e = calloc(1, sizeof *e);
		if (!e)
			return RS_ENOMEM;
		memcpy(e->source, source, sizeof e->source);
		*at = e;
	}
	if (e->count >= max)
		return RS_ELIMIT;
	e->count++;
	return RS_OK;
}

void address_count_drop(struct address_count *c, const struct addr *a)
{
	uint8_t source[ADDR_SOURCE];
	addr_source(a, source);
	struct address_entry **at = find(c, source), *e = *at;
	if (!e || --e->count > 0)
		return;
	*at = e->next;
	free(e);
}
