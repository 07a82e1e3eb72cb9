/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what the engines hold. Needs the linker's --wrap for malloc, calloc,
 * realloc and free; without it nothing here links, so it cannot be off unseen. */
#include "sim/world_state.h"

#include <malloc.h>
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static struct meter *current;

struct meter *world_meter(struct meter *m)
{
	struct meter *before = current;
	current = m;
	return before;
}

static void *grown(void *p)
{
	if (!current || !p)
		return p;
	current->live += malloc_usable_size(p);
	if (current->live > current->peak)
		current->peak = current->live;
	return p;
}

static void shrunk(void *p)
{
	if (current && p)
		current->live -= malloc_usable_size(p);
}

void *__wrap_malloc(size_t n) { return grown(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t size) { return grown(__real_calloc(n, size)); }

void *__wrap_realloc(void *p, size_t n)
{
	size_t before = current && p ? malloc_usable_size(p) : 0;
	void *q = __real_realloc(p, n);
	if (q && current)
		current->live -= before;
	return q ? grown(q) : NULL;
}

void __wrap_free(void *p)
{
	shrunk(p);
	__real_free(p);
}
