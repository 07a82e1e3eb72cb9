/* SPDX-License-Identifier: Apache-2.0 */
/* A binary min-heap of deadlines. The node is embedded in what waits; `place`
 * is its position + 1, 0 when it is not in the heap. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t key;
	size_t place;
};

struct heap {
	struct heap_node **at;
	size_t count, cap;
};

void heap_deinit(struct heap *h);
/* Puts the node in with this key, or moves it when it is in already. */
RS_MUST_CHECK int heap_set(struct heap *h, struct heap_node *n, uint64_t key);
void heap_remove(struct heap *h, struct heap_node *n); /* fine when it is not in */
static inline struct heap_node *heap_first(const struct heap *h) { return h->count ? h->at[0] : NULL; }

#endif
