/* SPDX-License-Identifier: Apache-2.0 */
/* How many of something each address has (as addr_source() counts them): for the
 * limit per address. Holds only addresses whose count is not 0. */
#ifndef NET_ADDRESS_COUNT_H
#define NET_ADDRESS_COUNT_H

#include "base/addr.h"

#include <stddef.h>
#include <stdint.h>

struct address_count {
	struct address_entry **buckets;
	size_t bucket_count; /* a power of two */
	uint64_t seed;       /* so that nobody chooses the addresses of one bucket */
};

/* expected: how many addresses at most, roughly. */
RS_MUST_CHECK int address_count_init(struct address_count *c, size_t expected);
void address_count_deinit(struct address_count *c);
/* RS_ELIMIT: the address has `max` already. */
RS_MUST_CHECK int address_count_add(struct address_count *c, const struct addr *a, uint32_t max);
void address_count_drop(struct address_count *c, const struct addr *a);

#endif
