/* SPDX-License-Identifier: Apache-2.0 */
#include "session/seen.h"

#include "base/bytes.h"

enum { SLOTS = 2 * SEEN_MAX };

/* The last bytes of an id are random, made by our own DCs: they need no hash. */
static size_t home(const struct ulid *id) { return be_get(id->b + 12, 4) % SLOTS; }

static size_t find(const struct seen *s, const struct ulid *id)
{
	size_t i = home(id);
	while (s->table[i] && !ulid_equal(&s->ring[s->table[i] - 1], id))
		i = (i + 1) % SLOTS;
	return i;
}

bool seen_has(const struct seen *s, const struct ulid *id) { return s->table[find(s, id)] != 0; }

/* Takes slot i out and moves up those behind it that would not be found any more. */
static void remove_slot(struct seen *s, size_t i)
{
	size_t hole = i;
	for (size_t j = (i + 1) % SLOTS; s->table[j]; j = (j + 1) % SLOTS) {
		size_t want = home(&s->ring[s->table[j] - 1]);
		if ((j + SLOTS - want) % SLOTS >= (j + SLOTS - hole) % SLOTS) {
			s->table[hole] = s->table[j];
			hole = j;
		}
	}
	s->table[hole] = 0;
}

void seen_add(struct seen *s, const struct ulid *id)
{
	if (s->count == SEEN_MAX)
		remove_slot(s, find(s, &s->ring[s->next]));
	else
		s->count++;
	s->ring[s->next] = *id;
	s->table[find(s, id)] = (uint16_t)(s->next + 1);
	s->next = (s->next + 1) % SEEN_MAX;
}
