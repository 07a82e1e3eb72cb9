/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a request: parsed as its bytes come, it is the same as at once; what
 * it consists of lies within it. */
#include "fuzz.h"

#include "wire/text.h"

#include <stdlib.h>
#include <string.h>

void fuzz_start(void) {}

static void check_span(const char *data, size_t len, struct text_span s)
{
	fuzz_check(s.at >= data && s.len <= len && s.at + s.len <= data + len, "a span outside of the header");
	fuzz_check(!memchr(s.at, '\n', s.len) && !memchr(s.at, '\0', s.len) && !memchr(s.at, '\r', s.len),
		   "a span over more than its line");
}

static void check_good(const char *data, size_t len, const struct text_request *r)
{
	uint64_t number = 0;
	fuzz_check(r->header_len > 0 && r->header_len <= len && r->header_len <= TEXT_HEADER_MAX,
		   "a header of %zu bytes", r->header_len);
	fuzz_check(r->field_count <= TEXT_FIELDS_MAX, "%zu fields", r->field_count);
	check_span(data, r->header_len, r->verb);
	check_span(data, r->header_len, r->version);
	for (size_t i = 0; i < r->field_count; i++) {
		check_span(data, r->header_len, r->fields[i].name);
		check_span(data, r->header_len, r->fields[i].value);
		if (text_number(r->fields[i].value, 5, 1000, &number) == RS_OK)
			fuzz_check(number >= 5 && number <= 1000, "a number out of its range");
	}
	const struct text_span *length = text_value(r, "length");
	fuzz_check(length || r->body_len == 0, "a body without a length");
}

static bool same(const struct text_request *a, const struct text_request *b)
{
	return a->header_len == b->header_len && a->body_len == b->body_len && a->field_count == b->field_count &&
	       a->verb.len == b->verb.len && a->version.len == b->version.len;
}

/* Each front part of what makes a good header needs more. */
static void parse_fronts(const char *data, size_t header_len, size_t step, const struct text_request *whole)
{
	struct text_request r;
	const char *fault = NULL;
	for (size_t len = 0; len < header_len; len += step) {
		char *front = fuzz_copy(data, len);
		fuzz_check(text_parse(front, len, &r, &fault) == RS_EAGAIN, "%zu of %zu bytes are enough", len, header_len);
		free(front);
	}
	char *header = fuzz_copy(data, header_len);
	fuzz_check(text_parse(header, header_len, &r, &fault) == RS_OK && same(&r, whole), "without its body it is another");
	free(header);
}

void fuzz_one(struct fuzz *in)
{
	struct text_request r;
	const char *fault = NULL;
	size_t step = 1 + fuzz_byte(in) % 64;
	struct piece p = fuzz_rest(in);
	char *data = fuzz_copy(p.data, p.len);
	int err = text_parse(data, p.len, &r, &fault);
	if (err == RS_OK) {
		check_good(data, p.len, &r);
		parse_fronts(data, r.header_len, step, &r);
	} else {
		fuzz_check(err == RS_EAGAIN || fault != NULL, "no word of what is wrong");
		fuzz_check(err != RS_EAGAIN || p.len < TEXT_HEADER_MAX, "it would wait for ever");
	}
	free(data);
}
