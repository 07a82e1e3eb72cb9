/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include <criterion/criterion.h>

struct item {
	int before;
	struct list node;
	int value;
};

static int text_of(const struct list *l, int *out)
{
	int n = 0;
	for (const struct list *at = l->next; at != l; at = at->next) {
		cr_assert_eq(at->prev->next, at);
		out[n++] = LIST_ENTRY(at, struct item, node)->value;
	}
	return n;
}

Test(list, appends_in_order_and_removes_anywhere)
{
	struct list l;
	struct item item[5];
	int got[5];
	list_init(&l);
	cr_expect(list_empty(&l));
	for (int i = 0; i < 5; i++) {
		item[i].value = i;
		list_init(&item[i].node);
		list_append(&l, &item[i].node);
	}
	cr_expect_not(list_empty(&l));
	cr_assert_eq(text_of(&l, got), 5);
	cr_expect_arr_eq(got, ((int[]){0, 1, 2, 3, 4}), sizeof got);
	list_remove(&item[0].node);
	list_remove(&item[2].node);
	list_remove(&item[4].node);
	cr_assert_eq(text_of(&l, got), 2);
	cr_expect_arr_eq(got, ((int[]){1, 3}), 2 * sizeof *got);
	list_append(&l, &item[0].node);
	cr_assert_eq(text_of(&l, got), 3);
	cr_expect_arr_eq(got, ((int[]){1, 3, 0}), 3 * sizeof *got);
}

Test(list, a_node_that_is_in_none_points_at_itself)
{
	struct list l, n;
	list_init(&l);
	list_init(&n);
	list_remove(&n); /* fine when it is in none */
	cr_expect(list_empty(&n));
	list_append(&l, &n);
	cr_expect_not(list_empty(&n));
	list_remove(&n);
	cr_expect(list_empty(&n));
	cr_expect(list_empty(&l));
}
