/* SPDX-License-Identifier: Apache-2.0 */
/* What a test draws from a seed, and what the environment says of its size. */
#ifndef SUPPORT_CHANCE_H
#define SUPPORT_CHANCE_H

#include <stdint.h>

/* The next number (splitmix64); *state is the seed at first. */
uint64_t chance_draw(uint64_t *state);
static inline unsigned chance_below(uint64_t *state, unsigned n) { return (unsigned)(chance_draw(state) % n); }
/* A number of the environment; `without` where there is none. */
uint64_t from_env(const char *name, uint64_t without);

#endif
