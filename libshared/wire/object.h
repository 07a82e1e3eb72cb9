/* SPDX-License-Identifier: Apache-2.0 */
/* A message as a client gets it: what the MESSAGE frames of one ref add up to.
 *
 *   id 16, sent_ms 8, expires_ms 8, flags 1, app str8, app's id str8, body
 *
 * flags: bit 0, it is stored (acknowledging it deletes it). Other bits are zero
 * and ignored by the receiver. */
#ifndef WIRE_OBJECT_H
#define WIRE_OBJECT_H

#include "wire/record.h"

#include <stdbool.h>

#define OBJECT_STORED 0x01
#define OBJECT_HEADER_MAX (16 + 8 + 8 + 1 + 1 + NAME_MAX_BYTES + 1 + NAME_MAX_BYTES)
#define OBJECT_MAX (OBJECT_HEADER_MAX + RECORD_BODY_MAX)

/* Returns the length or RS_ELIMIT. */
RS_MUST_CHECK int object_encode(const struct record *r, uint8_t flags, uint8_t *out, size_t cap);
/* Fields of r point into data. RS_EINVAL if malformed. */
RS_MUST_CHECK int object_decode(const uint8_t *data, size_t len, struct record *r, uint8_t *flags);

#endif
