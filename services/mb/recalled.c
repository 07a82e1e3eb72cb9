/* SPDX-License-Identifier: Apache-2.0 */
#include "recalled.h"

#include "base/bytes.h"

/* The last bytes of an id are random; owner tokens are times. */
static unsigned place_of(struct link_owner to, const struct ulid *id)
{
	return (unsigned)(be_get(id->b + ULID_BYTES - 4, 4) + to.owner) % RECALLED_MAX;
}

void recalled_add(struct recalled *r, const struct link_withdraw *w) { r->at[place_of(w->to, &w->id)] = *w; }

bool recalled_has(const struct recalled *r, struct link_owner to, const struct ulid *id)
{
	const struct link_withdraw *w = &r->at[place_of(to, id)];
	return w->to.conn == to.conn && w->to.owner == to.owner && ulid_equal(&w->id, id);
}
