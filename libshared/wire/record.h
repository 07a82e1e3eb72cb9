/* SPDX-License-Identifier: Apache-2.0 */
/* A stored message, as an element of the Redis list rs:{user}:queue and on the
 * links between DC and broker. One readable line, then the body as it came:
 *
 *   <id> <app> <sent> <expires> <app's id or ->[ p=high|p=low][ c=<key>][ t=<topic>][ r][ f=<bytes>]\n<body>
 *   01JDCF3K7Q9R8W2ZT5XV6YB4NM chat 1732370000000 1732456400000 order-17\nhello
 *
 * id: 26 characters (ULID). sent, expires: milliseconds since 1970, 13 digits
 * each (so that a script finds the fields without parsing). What follows the App's
 * id is there only when it says something, in this order:
 *
 *   p=high, p=low  its priority
 *   c=<key>        a newer one of this App with the same key takes its place
 *   t=<topic>      it was sent to the subscribers of a topic
 *   r              the App wants a receipt
 *   f=<bytes>      one of many with the same body, of so many bytes, which lies in
 *                  rs:fan:{<id>}:body and counts as if it lay here; f alone: it is empty
 *
 * The Lua scripts rely on: id = characters 1..26; `expires` 15 characters behind
 * the second space; the line ends at the first newline. */
#ifndef WIRE_RECORD_H
#define WIRE_RECORD_H

#include "base/name.h"
#include "base/ulid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_BODY_MAX 16384
#define RECORD_TOKENS_MAX (7 + 3 + NAME_MAX_BYTES + 3 + NAME_MAX_BYTES + 2 + 8)
#define RECORD_HEADER_MAX \
	(ULID_TEXT + 1 + NAME_MAX_BYTES + 1 + 13 + 1 + 13 + 1 + NAME_MAX_BYTES + RECORD_TOKENS_MAX + 1)
#define RECORD_MAX (RECORD_HEADER_MAX + RECORD_BODY_MAX)

/* Also the number of the queue it waits in: see rds/keys.h. */
enum priority { PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_LOW };
#define PRIORITIES 3
extern const char *const priority_words[PRIORITIES]; /* "normal", "high", "low" */
extern const enum priority priority_first_to_last[PRIORITIES]; /* as they are delivered: high first */

struct record {
	struct ulid id;
	uint64_t sent_ms, expires_ms; /* wall clock */
	const char *app;              /* borrowed, not NUL-terminated */
	size_t app_len;
	const char *app_id;           /* the App's own id; length 0: none */
	size_t app_id_len;
	enum priority priority;
	const char *collapse;         /* length 0: none */
	size_t collapse_len;
	const char *topic;            /* length 0: none */
	size_t topic_len;
	bool receipt;                 /* the App wants to hear what becomes of it */
	bool body_elsewhere;          /* rs:fan:{<id>}:body has it; body_len is 0 in a queue */
	size_t elsewhere_len;         /* ... of so many bytes */
	const uint8_t *body;
	size_t body_len;
};

/* Writes r into out; returns the length, or RS_ELIMIT if cap is too small,
 * RS_EINVAL if a name (the collapse key and the topic are names, too) is not a
 * name, the App's id is "-", a time has more than 13 digits, or a body lies nowhere
 * (elsewhere_len without body_elsewhere). */
RS_MUST_CHECK int record_format(const struct record *r, uint8_t *out, size_t cap);
/* Fields of out point into data. RS_EINVAL if it is not a record. */
RS_MUST_CHECK int record_parse(const void *data, size_t len, struct record *out);

#endif
