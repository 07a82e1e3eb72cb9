/* SPDX-License-Identifier: Apache-2.0 */
/* Message ids: 16 bytes, 48 bits of milliseconds since 1970 and 80 random
 * bits, written as 26 characters of Crockford's base 32, so that they sort by
 * time and need no agreement between the DCs that make them. */
#ifndef BASE_ULID_H
#define BASE_ULID_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define ULID_BYTES 16
#define ULID_TEXT 26

struct ulid {
	uint8_t b[ULID_BYTES];
};

struct ulid ulid_make(uint64_t wall_ms, const uint8_t random[10]);
/* The time it was made with, ms since 1970. */
uint64_t ulid_time_ms(const struct ulid *id);
char *ulid_format(const struct ulid *id, char out[ULID_TEXT + 1]); /* returns out */
/* text: exactly 26 characters, upper case, need not end in NUL. */
RS_MUST_CHECK int ulid_parse(const char *text, struct ulid *out);
uint64_t ulid_time(const struct ulid *id); /* wall_ms of ulid_make() */
bool ulid_equal(const struct ulid *a, const struct ulid *b);
bool ulid_is_zero(const struct ulid *a); /* all zero bytes means "none" */

#endif
