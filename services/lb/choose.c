/* SPDX-License-Identifier: Apache-2.0 */
#include "choose.h"

#include <stdlib.h>
#include <string.h>

struct candidate {
	struct entry *entry;
	bool avoided;
	uint64_t load; /* millionths of capacity */
};

static bool is_avoided(const struct ask_payload *ask, const struct addr *a)
{
	for (unsigned i = 0; i < ask->avoid_count; i++)
		if (addr_equal(&ask->avoid[i], a))
			return true;
	return false;
}

static int by_rank(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->avoided != y->avoided)
		return x->avoided ? 1 : -1;
	if (x->load != y->load)
		return x->load < y->load ? -1 : 1;
	return strcmp(x->entry->is.id, y->entry->is.id);
}

void choose_brokers(struct table *t, const struct ask_payload *ask, uint64_t now_ms,
		    struct answer_payload *out)
{
	struct candidate list[TABLE_MAX];
	size_t count = 0;
	for (size_t i = 0; i < t->count; i++) {
		struct entry *e = &t->at[i];
		uint64_t taken = (uint64_t)e->is.sessions + e->handed_out;
		if (!table_is_alive(e, now_ms) || e->is.draining || e->is.capacity == 0 ||
		    e->is.sessions >= e->is.capacity)
			continue;
		list[count++] = (struct candidate){e, is_avoided(ask, &e->is.address),
						   taken * 1000000 / e->is.capacity};
	}
	qsort(list, count, sizeof *list, by_rank);
	*out = (struct answer_payload){.status = count ? 0 : 1, .retry_ms = count ? 0 : CHOOSE_RETRY_MS};
	for (size_t i = 0; i < count && i < ANSWER_BROKERS_MAX; i++) {
		out->broker[i].address = list[i].entry->is.address;
		memcpy(out->broker[i].key, list[i].entry->is.key, sizeof out->broker[i].key);
		out->count++;
	}
	if (count)
		list[0].entry->handed_out++;
}
