/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte buffer with a read position.
 *
 *   data[0 .. start) consumed   data[start .. end) readable   data[end .. cap) free
 *
 * The memory belongs to the buffer. Growth fails with RS_ENOMEM and leaves the
 * buffer as it was. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t start, end, cap;
};

/* NULL while nothing was ever appended (and NULL + 0 is not C). */
static inline const uint8_t *buf_head(const struct buf *b)
{
	return b->data ? b->data + b->start : NULL;
}
static inline size_t buf_len(const struct buf *b) { return b->end - b->start; }

void buf_deinit(struct buf *b);                              /* frees; b may be used again */
RS_MUST_CHECK int buf_reserve(struct buf *b, size_t len);    /* room for len more bytes at the end */
RS_MUST_CHECK int buf_append(struct buf *b, const void *data, size_t len);
RS_MUST_CHECK int buf_printf(struct buf *b, const char *fmt, ...) RS_PRINTF(2, 3);
static inline uint8_t *buf_tail(struct buf *b) { return b->data ? b->data + b->end : NULL; }
static inline size_t buf_room(const struct buf *b) { return b->cap - b->end; }
static inline void buf_commit(struct buf *b, size_t len) { b->end += len; }
void buf_consume(struct buf *b, size_t len);                 /* len <= buf_len(b) */

#endif
