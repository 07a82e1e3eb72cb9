/* SPDX-License-Identifier: Apache-2.0 */
#include "session/inbox.h"

#include <stdlib.h>
#include <string.h>

struct inmsg {
	uint64_t bitmap;
	uint16_t total;
	uint8_t pieces, have;
	uint8_t data[];
};

void inbox_init(struct inbox *b, uint32_t window)
{
	*b = (struct inbox){.next = 1, .window = window};
}

static void drop(struct inbox *b, uint32_t ref)
{
	struct inmsg **slot = &b->slot[ref % INBOX_REFS];
	if (*slot)
		b->bytes -= (*slot)->total;
	free(*slot);
	*slot = NULL;
}

void inbox_deinit(struct inbox *b)
{
	for (uint32_t i = 0; i < INBOX_REFS; i++)
		drop(b, i);
}

static struct inmsg *new_message(struct inbox *b, uint32_t ref, uint16_t total)
{
	if (b->bytes > 0 && b->bytes + total > b->window && ref != b->next)
		return NULL;
	struct inmsg *m = calloc(1, sizeof *m + total);
	if (!m)
		return NULL;
	m->total = total;
	m->pieces = (uint8_t)frame_pieces(total);
	b->bytes += total;
	b->slot[ref % INBOX_REFS] = m;
	return m;
}

enum inbox_result inbox_add(struct inbox *b, const struct frame_message *f, uint64_t *bitmap)
{
	uint32_t ahead = f->ref - b->next;
	if (f->ref == 0 || ahead >= INBOX_REFS)
		return f->ref != 0 && f->ref < b->next ? INBOX_OLD : INBOX_DROPPED;
	struct inmsg *m = b->slot[f->ref % INBOX_REFS];
	if (m && m->total != f->total) {
		if (f->total != 0)
			return INBOX_DROPPED;
		drop(b, f->ref); /* it became void on the way */
		m = NULL;
	}
	if (!m)
		m = new_message(b, f->ref, f->total);
	if (!m)
		return INBOX_DROPPED;
	uint64_t bit = 1ull << f->index;
	if (f->total > 0 && !(m->bitmap & bit)) {
		memcpy(m->data + f->index * FRAME_PIECE, f->piece, f->piece_len);
		m->bitmap |= bit;
		m->have++;
	}
	*bitmap = m->bitmap;
	return INBOX_KEPT;
}

bool inbox_peek(const struct inbox *b, const uint8_t **data, size_t *len)
{
	const struct inmsg *m = b->slot[b->next % INBOX_REFS];
	if (!m || m->have < m->pieces)
		return false;
	*data = m->data;
	*len = m->total;
	return true;
}

void inbox_pop(struct inbox *b)
{
	drop(b, b->next);
	b->next++;
}
