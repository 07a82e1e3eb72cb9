/* SPDX-License-Identifier: Apache-2.0 */
#include "support/chance.h"

#include <stdlib.h>

uint64_t chance_draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t from_env(const char *name, uint64_t without)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 10) : without;
}
