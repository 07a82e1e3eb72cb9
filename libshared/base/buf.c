/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 512 };

void buf_deinit(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

int buf_reserve(struct buf *b, size_t len)
{
	if (b->cap - b->end >= len)
		return RS_OK;
	size_t held = buf_len(b);
	if (b->start > 0 && b->start >= b->cap / 2 && b->cap - held >= len) {
		memmove(b->data, b->data + b->start, held);
		b->start = 0;
		b->end = held;
		return RS_OK;
	}
	if (len > SIZE_MAX / 4 - held)
		return RS_ENOMEM;
	size_t cap = b->cap ? b->cap : BUF_FIRST;
	while (cap - held < len)
		cap *= 2;
	uint8_t *data = malloc(cap);
	if (!data)
		return RS_ENOMEM;
	if (held)
		memcpy(data, b->data + b->start, held);
	free(b->data);
	*b = (struct buf){.data = data, .start = 0, .end = held, .cap = cap};
	return RS_OK;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
	int err = buf_reserve(b, len);
	if (err)
		return err;
	if (len)
		memcpy(b->data + b->end, data, len);
	b->end += len;
	return RS_OK;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int need = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (need < 0)
		return RS_EINVAL;
	int err = buf_reserve(b, (size_t)need + 1);
	if (err)
		return err;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->end, (size_t)need + 1, fmt, ap);
	va_end(ap);
	b->end += (size_t)need;
	return RS_OK;
}

void buf_consume(struct buf *b, size_t len)
{
	b->start += len;
	if (b->start == b->end)
		b->start = b->end = 0;
}
