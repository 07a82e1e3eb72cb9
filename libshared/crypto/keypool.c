/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keypool.h"

#include <stdlib.h>
#include <string.h>

int keypool_init(struct keypool *p, size_t max, random_fn *random)
{
	*p = (struct keypool){.at = calloc(max, sizeof *p->at), .max = max, .random = random};
	return p->at ? RS_OK : RS_ENOMEM;
}

void keypool_deinit(struct keypool *p)
{
	if (p->at)
		explicit_bzero(p->at, p->max * sizeof *p->at);
	free(p->at);
	*p = (struct keypool){0};
}

bool keypool_take(struct keypool *p, struct keypair *out)
{
	if (p->count == 0)
		return false;
	struct keypair *k = &p->at[--p->count];
	*out = *k;
	explicit_bzero(k, sizeof *k);
	return true;
}

bool keypool_fill(struct keypool *p, size_t count)
{
	for (; count > 0 && p->count < p->max; count--) {
		if (x25519_generate(p->random, &p->at[p->count]))
			return false;
		p->count++;
	}
	return p->count < p->max;
}
