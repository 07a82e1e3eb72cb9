/* SPDX-License-Identifier: Apache-2.0 */
#include "recalled.h"

#include "base/bytes.h"

/* The last bytes of an id are random. */
static unsigned place_of(const struct ulid *id) { return (unsigned)be_get(id->b + ULID_BYTES - 4, 4) % RECALLED_MAX; }

void recalled_add(struct recalled *r, const struct ulid *id) { r->id[place_of(id)] = *id; }

bool recalled_has(const struct recalled *r, const struct ulid *id)
{
	return ulid_equal(&r->id[place_of(id)], id);
}
