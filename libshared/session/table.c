/* SPDX-License-Identifier: Apache-2.0 */
#include "session/table.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1024, GENERATIONS = 1u << (32 - TABLE_INDEX_BITS) };

int table_init(struct table *t, uint32_t max)
{
	if (max == 0 || max > TABLE_MAX)
		return RS_ELIMIT;
	*t = (struct table){.max = max};
	t->chunk = calloc((max + CHUNK - 1) / CHUNK, sizeof(struct session *));
	return t->chunk ? RS_OK : RS_ENOMEM;
}

void table_deinit(struct table *t)
{
	for (uint32_t i = 0; i * CHUNK < t->size; i++) {
		explicit_bzero(t->chunk[i], CHUNK * sizeof(struct session));
		free(t->chunk[i]);
	}
	free(t->chunk);
	*t = (struct table){0};
}

struct session *table_at(const struct table *t, uint32_t place)
{
	return &t->chunk[place / CHUNK][place % CHUNK];
}

static void append_free(struct table *t, struct session *s)
{
	uint32_t place = s->conn & (TABLE_MAX - 1);
	s->next_free = 0;
	if (t->last_free)
		table_at(t, t->last_free - 1)->next_free = place + 1;
	else
		t->first_free = place + 1;
	t->last_free = place + 1;
}

/* Adds a chunk of free places, lowest first in the list. */
static int grow(struct table *t, uint16_t salt)
{
	if (t->size >= t->max)
		return RS_ELIMIT;
	struct session *c = calloc(CHUNK, sizeof *c);
	if (!c)
		return RS_ENOMEM;
	t->chunk[t->size / CHUNK] = c;
	uint32_t places = t->max - t->size < CHUNK ? t->max - t->size : CHUNK;
	t->size += places;
	for (uint32_t i = 0; i < places; i++) {
		c[i].conn = (salt + i * 7) % GENERATIONS << TABLE_INDEX_BITS | (t->size - places + i);
		append_free(t, &c[i]);
	}
	return RS_OK;
}

struct session *table_take(struct table *t, uint16_t salt)
{
	if (t->first_free == 0 && grow(t, salt))
		return NULL;
	uint32_t place = t->first_free - 1;
	struct session *s = table_at(t, place);
	t->first_free = s->next_free;
	if (t->first_free == 0)
		t->last_free = 0;
	uint32_t generation = ((s->conn >> TABLE_INDEX_BITS) + 1) % GENERATIONS;
	memset(s, 0, sizeof *s);
	s->conn = (generation ? generation : 1) << TABLE_INDEX_BITS | place;
	t->used++;
	return s;
}

void table_put(struct table *t, struct session *s)
{
	uint32_t conn = s->conn;
	explicit_bzero(s, sizeof *s);
	s->conn = conn;
	append_free(t, s);
	t->used--;
}

struct session *table_find(const struct table *t, uint32_t conn)
{
	uint32_t place = conn & (TABLE_MAX - 1);
	if (place >= t->size)
		return NULL;
	struct session *s = table_at(t, place);
	return s->state != SESSION_FREE && s->conn == conn ? s : NULL;
}
