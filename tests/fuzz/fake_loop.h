/* SPDX-License-Identifier: Apache-2.0 */
/* In place of libev's timers: they run when an input lets time go on. What is fed to the
 * end of a turn of the loop runs when a stand-in has called what it calls. */
#ifndef FUZZ_FAKE_LOOP_H
#define FUZZ_FAKE_LOOP_H

#include <stddef.h>
#include <stdint.h>

struct ev_loop;

extern struct ev_loop *const fake_loop; /* only to be handed on */

void fake_loop_reset(void);
/* The loop was away for so long: runs the timers that are due, each once. */
void fake_loop_advance(uint64_t ms);
size_t fake_loop_timers(void); /* that are active */
void fake_loop_end_turn(void); /* runs what was fed */

#endif
