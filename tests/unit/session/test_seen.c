/* SPDX-License-Identifier: Apache-2.0 */
#include "session/seen.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* `low` decides where an id is kept, `high` tells it from others there. */
static struct ulid make(uint32_t high, uint32_t low)
{
	struct ulid id = {{0}};
	be_put(id.b, high, 4);
	be_put(id.b + 12, low, 4);
	return id;
}

static struct seen *new_seen(void)
{
	struct seen *s = calloc(1, sizeof *s);
	cr_assert_not_null(s);
	return s;
}

/* Adds more than fit: the last SEEN_MAX are in, no other is. */
static void fill(uint32_t (*low)(uint32_t))
{
	struct seen *s = new_seen();
	for (uint32_t i = 0; i < 3 * SEEN_MAX; i++) {
		struct ulid id = make(i, low(i));
		cr_assert_not(seen_has(s, &id), "%u", i);
		seen_add(s, &id);
		cr_assert(seen_has(s, &id), "%u", i);
		if (i % 509)
			continue;
		for (uint32_t k = 0; k <= i; k++) {
			id = make(k, low(k));
			cr_assert_eq(seen_has(s, &id), i - k < SEEN_MAX, "%u of %u", k, i);
		}
	}
	free(s);
}

static uint32_t spread(uint32_t i) { return i * 2654435761u; }
static uint32_t all_alike(uint32_t i) { return 8190 + 0 * i; } /* and around the end of the table */
static uint32_t clustered(uint32_t i) { return 8100 + i % 150; }
static uint32_t in_a_row(uint32_t i) { return i; }

Test(seen, spread) { fill(spread); }
Test(seen, in_a_row) { fill(in_a_row); }
Test(seen, clusters_around_the_end_of_the_table) { fill(clustered); }

/* All at one place is the worst there can be: slow, and right. */
Test(seen, all_at_one_place)
{
	struct seen *s = new_seen();
	for (uint32_t i = 0; i < SEEN_MAX + 600; i++) {
		struct ulid id = make(i, all_alike(i));
		seen_add(s, &id);
	}
	for (uint32_t i = 0; i < SEEN_MAX + 600; i += 37) {
		struct ulid id = make(i, all_alike(i));
		cr_expect_eq(seen_has(s, &id), i >= 600, "%u", i);
	}
	free(s);
}

Test(seen, empty_and_the_id_of_zeros)
{
	struct seen *s = new_seen();
	struct ulid zero = {{0}};
	cr_expect_not(seen_has(s, &zero));
	seen_add(s, &zero);
	cr_expect(seen_has(s, &zero));
	free(s);
}
