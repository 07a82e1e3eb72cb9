/* SPDX-License-Identifier: Apache-2.0 */
#include "session/table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What the server does with a session it has taken. */
static struct session *take(struct table *t)
{
	struct session *x = table_take(t, 77);
	if (x)
		x->state = SESSION_HALF_OPEN;
	return x;
}

Test(table, limits)
{
	struct table t;
	cr_expect_eq(table_init(&t, 0), RS_ELIMIT);
	cr_expect_eq(table_init(&t, TABLE_MAX + 1), RS_ELIMIT);
	cr_assert_eq(table_init(&t, TABLE_MAX), RS_OK);
	cr_expect_eq(t.size, 0, "nothing is allocated before the first session");
	table_deinit(&t);
}

Test(table, nothing_is_found_in_an_empty_one)
{
	struct table t;
	cr_assert_eq(table_init(&t, 10), RS_OK);
	cr_expect_null(table_find(&t, 0));
	cr_expect_null(table_find(&t, UINT32_MAX));
	struct session *x = take(&t);
	for (uint32_t place = 0; place < 10; place++) /* a free place's conn is its place */
		cr_expect_null(table_find(&t, place));
	cr_expect_neq(x->conn >> TABLE_INDEX_BITS, 0);
	table_deinit(&t);
}

static void fill_and_empty(uint32_t max)
{
	struct table t;
	uint32_t *conn = calloc(max, sizeof *conn);
	cr_assert_eq(table_init(&t, max), RS_OK);
	for (uint32_t i = 0; i < max; i++) {
		struct session *x = take(&t);
		cr_assert_not_null(x, "%u of %u", i, max);
		conn[i] = x->conn;
		cr_assert_eq(x->conn & (TABLE_MAX - 1), i, "lowest first");
		x->next_ref = i;
	}
	cr_expect_eq(t.used, max);
	cr_expect_eq(t.size, max);
	cr_expect_null(take(&t), "one more than %u", max);
	for (uint32_t i = 0; i < max; i++)
		cr_assert(table_find(&t, conn[i]) && table_find(&t, conn[i])->next_ref == i);
	for (uint32_t i = 0; i < max; i++) {
		table_put(&t, table_find(&t, conn[i]));
		cr_assert_null(table_find(&t, conn[i]));
	}
	cr_expect_eq(t.used, 0);
	table_deinit(&t);
	free(conn);
}

Test(table, up_to_its_limit)
{
	static const uint32_t max[] = {1, 2, 1023, 1024, 1025, 3000};
	for (size_t i = 0; i < sizeof max / sizeof *max; i++)
		fill_and_empty(max[i]);
}

Test(table, sessions_do_not_move_when_it_grows)
{
	struct table t;
	cr_assert_eq(table_init(&t, 5000), RS_OK);
	struct session *first = take(&t);
	uint32_t conn = first->conn;
	for (int i = 0; i < 4999; i++)
		cr_assert_not_null(take(&t));
	cr_expect_eq(table_find(&t, conn), first);
	table_deinit(&t);
}

/* All 1,023 generations of a place: a stale id is not found until its own turn
 * comes again, and 0 is none. */
Test(table, a_place_used_again_has_another_id)
{
	struct table t;
	uint32_t seen[1023];
	cr_assert_eq(table_init(&t, 1), RS_OK);
	for (unsigned i = 0; i < 1023; i++) {
		struct session *x = take(&t);
		seen[i] = x->conn;
		cr_assert_neq(x->conn >> TABLE_INDEX_BITS, 0);
		for (unsigned k = 0; k < i; k++)
			cr_assert_neq(seen[k], x->conn, "after %u uses", i - k);
		if (i)
			cr_assert_null(table_find(&t, seen[i - 1]));
		table_put(&t, x);
	}
	cr_expect_eq(take(&t)->conn, seen[0]);
	table_deinit(&t);
}

Test(table, what_is_given_back_is_wiped)
{
	struct table t;
	cr_assert_eq(table_init(&t, 2), RS_OK);
	struct session *x = take(&t);
	memset(&x->keys, 0xaa, sizeof x->keys);
	x->next_number = 99;
	x->received.next = 5;
	table_put(&t, x);
	struct session *y = table_at(&t, 0);
	static const struct keys none;
	cr_expect_arr_eq(&y->keys, &none, sizeof none);
	cr_expect_eq(y->next_number, 0);
	cr_expect_eq(y->received.next, 0);
	cr_expect_eq(y->state, SESSION_FREE);
	table_deinit(&t);
}
