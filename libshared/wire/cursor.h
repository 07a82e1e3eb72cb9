/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing of big-endian fields with a sticky error: read or write
 * all fields, then check `failed` once. A failed reader yields zeros and NULL;
 * a failed writer writes nothing more. */
#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *at, *end;
	bool failed;
};

struct writer {
	uint8_t *start, *at, *end;
	bool failed;
};

struct reader reader_over(const void *data, size_t len);
uint64_t read_uint(struct reader *r, unsigned bytes);      /* 1 to 8 bytes */
const uint8_t *read_bytes(struct reader *r, size_t len);   /* borrowed from the input */
void read_copy(struct reader *r, void *out, size_t len);
static inline size_t reader_left(const struct reader *r) { return (size_t)(r->end - r->at); }
/* All was read and nothing failed. */
static inline bool reader_done(const struct reader *r) { return !r->failed && r->at == r->end; }

struct writer writer_over(void *out, size_t cap);
void write_uint(struct writer *w, uint64_t v, unsigned bytes);
void write_bytes(struct writer *w, const void *data, size_t len);
uint8_t *write_space(struct writer *w, size_t len);        /* NULL when failed */
static inline size_t writer_len(const struct writer *w) { return (size_t)(w->at - w->start); }
static inline size_t writer_left(const struct writer *w) { return (size_t)(w->end - w->at); }

#endif
