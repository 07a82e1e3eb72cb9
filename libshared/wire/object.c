/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/object.h"

#include "wire/cursor.h"

#include <string.h>

static void write_name(struct writer *w, const char *name, size_t len)
{
	write_uint(w, len, 1);
	write_bytes(w, name, len);
}

int object_encode(const struct record *r, uint8_t flags, uint8_t *out, size_t cap)
{
	struct writer w = writer_over(out, cap);
	if (r->app_len > NAME_MAX_BYTES || r->app_id_len > NAME_MAX_BYTES || r->topic_len > NAME_MAX_BYTES ||
	    r->body_len > RECORD_BODY_MAX)
		return RS_ELIMIT;
	flags = (uint8_t)((flags & ~OBJECT_TOPIC) | (r->topic_len ? OBJECT_TOPIC : 0));
	write_bytes(&w, r->id.b, ULID_BYTES);
	write_uint(&w, r->sent_ms, 8);
	write_uint(&w, r->expires_ms, 8);
	write_uint(&w, flags, 1);
	write_name(&w, r->app, r->app_len);
	write_name(&w, r->app_id, r->app_id_len);
	if (r->topic_len)
		write_name(&w, r->topic, r->topic_len);
	write_bytes(&w, r->body, r->body_len);
	return w.failed ? RS_ELIMIT : (int)writer_len(&w);
}

static const char *read_name(struct reader *in, size_t *len)
{
	*len = read_uint(in, 1);
	return (const char *)read_bytes(in, *len);
}

int object_decode(const uint8_t *data, size_t len, struct record *r, uint8_t *flags)
{
	struct reader in = reader_over(data, len);
	*r = (struct record){0};
	read_copy(&in, r->id.b, ULID_BYTES);
	r->sent_ms = read_uint(&in, 8);
	r->expires_ms = read_uint(&in, 8);
	*flags = (uint8_t)read_uint(&in, 1);
	r->app = read_name(&in, &r->app_len);
	r->app_id = read_name(&in, &r->app_id_len);
	if (*flags & OBJECT_TOPIC)
		r->topic = read_name(&in, &r->topic_len);
	r->body_len = reader_left(&in);
	r->body = read_bytes(&in, r->body_len);
	if (in.failed || r->body_len > RECORD_BODY_MAX || name_fault(r->app, r->app_len) ||
	    (r->app_id_len && name_fault(r->app_id, r->app_id_len)) ||
	    (*flags & OBJECT_TOPIC && name_fault(r->topic, r->topic_len)))
		return RS_EINVAL;
	return RS_OK;
}

int notice_missed(const void *body, size_t len, uint64_t *count)
{
	static const char word[] = "missed ";
	enum { WORD = sizeof word - 1, DIGITS_MAX = 19 };
	const char *text = body;
	if (len <= WORD || len > WORD + DIGITS_MAX || memcmp(text, word, WORD) != 0 || text[WORD] == '0')
		return RS_EINVAL;
	*count = 0;
	for (size_t i = WORD; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return RS_EINVAL;
		*count = *count * 10 + (uint64_t)(text[i] - '0');
	}
	return RS_OK;
}
