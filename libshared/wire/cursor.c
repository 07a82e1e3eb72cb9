/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/cursor.h"

#include "base/bytes.h"

#include <string.h>

struct reader reader_over(const void *data, size_t len)
{
	const uint8_t *p = data;
	return (struct reader){.at = p, .end = len ? p + len : p}; /* p may be NULL when len is 0 */
}

const uint8_t *read_bytes(struct reader *r, size_t len)
{
	if (r->failed || len > reader_left(r)) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->at;
	if (len) /* NULL + 0 is not C */
		r->at += len;
	return p;
}

uint64_t read_uint(struct reader *r, unsigned bytes)
{
	const uint8_t *p = read_bytes(r, bytes);
	return p ? be_get(p, bytes) : 0;
}

void read_copy(struct reader *r, void *out, size_t len)
{
	const uint8_t *p = read_bytes(r, len);
	if (p && len)
		memcpy(out, p, len);
	else if (len)
		memset(out, 0, len);
}

struct writer writer_over(void *out, size_t cap)
{
	uint8_t *p = out;
	return (struct writer){.start = p, .at = p, .end = cap ? p + cap : p};
}

uint8_t *write_space(struct writer *w, size_t len)
{
	if (w->failed || len > writer_left(w)) {
		w->failed = true;
		return NULL;
	}
	uint8_t *p = w->at;
	if (len)
		w->at += len;
	return p;
}

void write_uint(struct writer *w, uint64_t v, unsigned bytes)
{
	uint8_t *p = write_space(w, bytes);
	if (p)
		be_put(p, v, bytes);
}

void write_bytes(struct writer *w, const void *data, size_t len)
{
	uint8_t *p = write_space(w, len);
	if (p && len)
		memcpy(p, data, len);
}
