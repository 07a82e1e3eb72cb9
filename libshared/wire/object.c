/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/object.h"

#include "wire/cursor.h"

int object_encode(const struct record *r, uint8_t flags, uint8_t *out, size_t cap)
{
	struct writer w = writer_over(out, cap);
	if (r->app_len > NAME_MAX_BYTES || r->app_id_len > NAME_MAX_BYTES || r->body_len > RECORD_BODY_MAX)
		return RS_ELIMIT;
	write_bytes(&w, r->id.b, ULID_BYTES);
	write_uint(&w, r->sent_ms, 8);
	write_uint(&w, r->expires_ms, 8);
	write_uint(&w, flags, 1);
	write_uint(&w, r->app_len, 1);
	write_bytes(&w, r->app, r->app_len);
	write_uint(&w, r->app_id_len, 1);
	write_bytes(&w, r->app_id, r->app_id_len);
	write_bytes(&w, r->body, r->body_len);
	return w.failed ? RS_ELIMIT : (int)writer_len(&w);
}

int object_decode(const uint8_t *data, size_t len, struct record *r, uint8_t *flags)
{
	struct reader in = reader_over(data, len);
	read_copy(&in, r->id.b, ULID_BYTES);
	r->sent_ms = read_uint(&in, 8);
	r->expires_ms = read_uint(&in, 8);
	*flags = (uint8_t)read_uint(&in, 1);
	r->app_len = read_uint(&in, 1);
	r->app = (const char *)read_bytes(&in, r->app_len);
	r->app_id_len = read_uint(&in, 1);
	r->app_id = (const char *)read_bytes(&in, r->app_id_len);
	r->body_len = reader_left(&in);
	r->body = read_bytes(&in, r->body_len);
	if (in.failed || r->body_len > RECORD_BODY_MAX || name_fault(r->app, r->app_len) ||
	    (r->app_id_len && name_fault(r->app_id, r->app_id_len)))
		return RS_EINVAL;
	return RS_OK;
}
