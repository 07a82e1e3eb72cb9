/* SPDX-License-Identifier: Apache-2.0 */
/* What all fuzz targets share. A target is fuzz_<name>.c with fuzz_one(): one input,
 * from a clean state to a clean state. It says by fuzz_check() what must hold besides
 * what the sanitizers see.
 *
 * Everything follows from the input: the clocks and the random bytes of base/ and
 * crypto/ are replaced by those here, which are set back before each input. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/addr.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_WALL_MS 1800000000000ull /* the wall clock when fuzz_now_ms is 0 */
#define FUZZ_START_MS 1000u           /* where the monotonic clock starts */

/* The rest of an input, taken from the front. What is not there is zero. */
struct fuzz {
	const uint8_t *at, *end;
};

struct piece {
	const uint8_t *data; /* borrowed from the input; not NULL */
	size_t len;
};

/* Written by each target. */
void fuzz_one(struct fuzz *in);
/* Once, before the first input. */
void fuzz_start(void);

size_t fuzz_left(const struct fuzz *in);
uint8_t fuzz_byte(struct fuzz *in);
uint64_t fuzz_number(struct fuzz *in, unsigned bytes); /* big-endian */
struct piece fuzz_rest(struct fuzz *in);
/* Length (2 bytes) and that many bytes, or as many as there are; at most `max`. */
struct piece fuzz_piece(struct fuzz *in, size_t max);
/* The same with a length of one byte, as a string without NUL inside; free() it. */
char *fuzz_text(struct fuzz *in);

/* A copy that ends where its memory ends, so that a read behind it is noticed. */
void *fuzz_copy(const void *data, size_t len);
/* Ends the process, so that the input is kept, when `good` is false. */
void fuzz_check(bool good, const char *fmt, ...) RS_PRINTF(2, 3);
/* Standard output and error go to memory from here on, ... */
void fuzz_capture(void);
/* ... and back; what was said, until the next fuzz_capture(). */
const char *fuzz_captured(size_t *len);
/* The path of a file in memory that holds this, mode 0600; until the next call. */
const char *fuzz_file(const void *data, size_t len);
/* What a program prints for people: lines of UTF-8 without control characters. */
void fuzz_check_printable(const char *text, size_t len);

extern uint64_t fuzz_now_ms;
uint64_t fuzz_wall_ms(void);
void fuzz_random(void *out, size_t len);

struct addr fuzz_addr(unsigned n); /* 10.0.0.<n>:4000 */

#endif
