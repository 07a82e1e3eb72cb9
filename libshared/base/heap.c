/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <stdlib.h>

void heap_deinit(struct heap *h)
{
	free(h->at);
	*h = (struct heap){0};
}

static void put_at(struct heap *h, size_t i, struct heap_node *n)
{
	h->at[i] = n;
	n->place = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
	struct heap_node *n = h->at[i];
	for (; i > 0 && h->at[(i - 1) / 2]->key > n->key; i = (i - 1) / 2)
		put_at(h, i, h->at[(i - 1) / 2]);
	put_at(h, i, n);
}

static void sift_down(struct heap *h, size_t i)
{
	struct heap_node *n = h->at[i];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= h->count)
			break;
		if (child + 1 < h->count && h->at[child + 1]->key < h->at[child]->key)
			child++;
		if (h->at[child]->key >= n->key)
			break;
		put_at(h, i, h->at[child]);
		i = child;
	}
	put_at(h, i, n);
}

int heap_set(struct heap *h, struct heap_node *n, uint64_t key)
{
	if (n->place == 0) {
		if (h->count == h->cap) {
			size_t cap = h->cap ? 2 * h->cap : 64;
			struct heap_node **at = realloc(h->at, cap * sizeof(struct heap_node *));
			if (!at)
				return RS_ENOMEM;
			h->at = at;
			h->cap = cap;
		}
		put_at(h, h->count++, n);
	}
	n->key = key;
	sift_up(h, n->place - 1);
	sift_down(h, n->place - 1);
	return RS_OK;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	if (n->place == 0)
		return;
	size_t i = n->place - 1;
	struct heap_node *last = h->at[--h->count];
	n->place = 0;
	if (last == n)
		return;
	put_at(h, i, last);
	sift_up(h, i);
	sift_down(h, last->place - 1);
}
