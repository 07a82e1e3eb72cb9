/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <criterion/criterion.h>

enum { NODES = 500 };

/* Each node knows its place, no child is smaller than its parent. */
static void check(const struct heap *h)
{
	for (size_t i = 0; i < h->count; i++) {
		cr_assert_eq(h->at[i]->place, i + 1);
		if (i)
			cr_assert_leq(h->at[(i - 1) / 2]->key, h->at[i]->key);
	}
}

Test(heap, an_empty_one_can_be_asked)
{
	struct heap h = {0};
	struct heap_node n = {0};
	cr_expect_null(heap_first(&h));
	heap_remove(&h, &n);
	cr_expect_eq(n.place, 0);
	heap_deinit(&h);
	heap_deinit(&h);
}

Test(heap, comes_out_in_order)
{
	struct heap h = {0};
	struct heap_node node[NODES] = {0};
	unsigned dice = 5;
	for (int i = 0; i < NODES; i++) {
		dice = dice * 1103515245u + 12345u;
		cr_assert_eq(heap_set(&h, &node[i], dice >> 16 & 255), RS_OK); /* many alike */
	}
	check(&h);
	uint64_t last = 0;
	for (int i = 0; i < NODES; i++) {
		struct heap_node *n = heap_first(&h);
		cr_assert_geq(n->key, last);
		last = n->key;
		heap_remove(&h, n);
		cr_assert_eq(n->place, 0);
	}
	cr_expect_null(heap_first(&h));
	heap_deinit(&h);
}

/* Sets, moves either way and removals from anywhere, against a plain array. */
Test(heap, moves_and_removals_at_random)
{
	struct heap h = {0};
	struct heap_node node[NODES] = {0};
	unsigned dice = 77;
	for (int turn = 0; turn < 20000; turn++) {
		dice = dice * 1103515245u + 12345u;
		struct heap_node *n = &node[(dice >> 8) % NODES];
		if (dice >> 28 < 6)
			heap_remove(&h, n);
		else
			cr_assert_eq(heap_set(&h, n, dice >> 4 & 0xffff), RS_OK);
		if (turn % 64)
			continue;
		check(&h);
		size_t in = 0;
		uint64_t least = UINT64_MAX;
		for (int i = 0; i < NODES; i++)
			if (node[i].place) {
				in++;
				least = node[i].key < least ? node[i].key : least;
			}
		cr_assert_eq(h.count, in);
		cr_assert_eq(heap_first(&h) ? heap_first(&h)->key : UINT64_MAX, least);
	}
	heap_deinit(&h);
}

Test(heap, the_extremes_of_a_key)
{
	struct heap h = {0};
	struct heap_node a = {0}, b = {0};
	cr_assert_eq(heap_set(&h, &a, UINT64_MAX), RS_OK);
	cr_assert_eq(heap_set(&h, &b, 0), RS_OK);
	cr_expect_eq(heap_first(&h), &b);
	cr_assert_eq(heap_set(&h, &b, UINT64_MAX), RS_OK);
	cr_assert_eq(heap_set(&h, &a, 0), RS_OK);
	cr_expect_eq(heap_first(&h), &a);
	heap_deinit(&h);
}
