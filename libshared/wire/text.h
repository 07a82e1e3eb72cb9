/* SPDX-License-Identifier: Apache-2.0 */
/* The text protocol of the Apps (docs/app-protocol.md): requests taken apart,
 * answers put together. A request is
 *
 *   VERB VERSION CRLF  (name SP value CRLF)*  CRLF  body of `length` bytes
 *
 * A lone LF ends a line too, so that it can be typed by hand; a CR that is not
 * followed by LF and a NUL are refused. Header at most TEXT_HEADER_MAX bytes,
 * at most TEXT_FIELDS_MAX fields, no name twice, names of a-z 0-9 and '-'. Verbs are
 * of A-Z, with single '-' in between. */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_HEADER_MAX 8192
#define TEXT_FIELDS_MAX 32
#define TEXT_BODY_MAX 16384
#define TEXT_MANY_MAX (768 * 1024)         /* of SENDMANY: the names are in the body */
#define TEXT_BODY_SKIP_MAX (1024 * 1024) /* a longer `length` is answered and the connection closed */

struct text_span {
	const char *at; /* borrowed, not NUL-terminated */
	size_t len;
};

struct text_field {
	struct text_span name, value;
};

struct text_request {
	struct text_span verb, version;
	struct text_field fields[TEXT_FIELDS_MAX];
	size_t field_count;
	size_t header_len; /* through the empty line */
	size_t body_len;   /* the `length` field, 0 without one; may be over TEXT_BODY_MAX */
	struct text_span at_fault; /* after RS_EINVAL: the name of the field at fault, or empty */
};

/* Parses a header at data. RS_EAGAIN: the empty line is not there yet.
 * RS_ELIMIT or RS_EINVAL: *fault says what is wrong and what would be right
 * (static storage); the stream cannot be trusted any more. */
RS_MUST_CHECK int text_parse(const void *data, size_t len, struct text_request *out,
			     const char **fault);
/* The value of a field, or NULL. */
const struct text_span *text_value(const struct text_request *r, const char *name);
bool text_is(struct text_span s, const char *word);
/* Takes a line off a body, without its LF or CRLF; the last one may lack it. False: there
 * is none. */
bool text_take_line(struct text_span *left, struct text_span *line);
/* A whole decimal number in lo..hi. RS_EINVAL: not digits; RS_ELIMIT: outside. */
RS_MUST_CHECK int text_number(struct text_span s, uint64_t lo, uint64_t hi, uint64_t *out);

#endif
