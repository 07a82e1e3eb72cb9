/* SPDX-License-Identifier: Apache-2.0 */
/* Taking UTF-8 (RFC 3629) apart, and the code points that a person cannot see. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the sequence at p, of which `left` > 0 bytes are there, 0 if it is
 * invalid, overlong, a surrogate or cut; *cp its code point. */
size_t utf8_next(const uint8_t *p, size_t left, uint32_t *cp);
/* Takes away the first bytes of a character at the end of text that was cut to a
 * length in the middle of it. */
void utf8_mend_end(char *text);
bool utf8_is_space(uint32_t cp);
/* Controls, marks of direction, and other code points without a picture. All
 * that are above U+FFFF pass: emoji are made with them. */
bool utf8_is_control(uint32_t cp);

#endif
