/* SPDX-License-Identifier: Apache-2.0 */
/* A message as a client gets it: what the MESSAGE frames of one ref add up to.
 *
 *   id 16, sent_ms 8, expires_ms 8, flags 1, app str8, app's id str8,
 *   topic str8 (with OBJECT_TOPIC only), body
 *
 * Other flags are zero and ignored by the receiver. */
#ifndef WIRE_OBJECT_H
#define WIRE_OBJECT_H

#include "wire/record.h"

#include <stdbool.h>

#define OBJECT_STORED 0x01 /* acknowledging it deletes it */
#define OBJECT_NOTICE 0x02 /* a word of the service about messages of this App: the body is text */
#define OBJECT_TOPIC 0x04
#define OBJECT_HEADER_MAX (16 + 8 + 8 + 1 + 3 * (1 + NAME_MAX_BYTES))
#define OBJECT_MAX (OBJECT_HEADER_MAX + RECORD_BODY_MAX)

/* Returns the length or RS_ELIMIT. OBJECT_TOPIC follows from r, whatever flags says. */
RS_MUST_CHECK int object_encode(const struct record *r, uint8_t flags, uint8_t *out, size_t cap);
/* Fields of r point into data; what an object does not hold is zero. RS_EINVAL if
 * malformed. */
RS_MUST_CHECK int object_decode(const uint8_t *data, size_t len, struct record *r, uint8_t *flags);
/* The body of a notice that so many messages were displaced: "missed 3". RS_EINVAL:
 * it says something else. */
RS_MUST_CHECK int notice_missed(const void *body, size_t len, uint64_t *count);

#endif
