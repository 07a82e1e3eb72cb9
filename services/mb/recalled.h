/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a Data Center has lately called back from a login: withdrawn, replaced,
 * displaced. The word of it may be faster than the message itself, which comes from
 * another Data Center; then it must not be handed over any more. Of that login only: all
 * copies of a message to many have one id. A table of fixed size: a newer one takes the
 * place of an older one. */
#ifndef MB_RECALLED_H
#define MB_RECALLED_H

#include "base/ulid.h"
#include "wire/link.h"

#include <stdbool.h>

#define RECALLED_MAX 4096 /* a power of two */

struct recalled {
	struct link_withdraw at[RECALLED_MAX];
};

void recalled_add(struct recalled *r, const struct link_withdraw *w);
bool recalled_has(const struct recalled *r, struct link_owner to, const struct ulid *id);

#endif
