/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_RESP_H
#define FUZZ_RESP_H

#include <stddef.h>
#include <stdint.h>

/* How many bytes come before a header of an array with more than four digits. hiredis
 * allocates all that such a header names at once; Redis may name as many, but input that
 * does runs into the limit of memory and shows nothing. */
size_t resp_sane(const uint8_t *data, size_t len);

/* Replies in Redis's words, from ours: "[ a :1 - !no ]" is an array of a string, a
 * number, nil and an error; in a string _ is a space, ~ a newline, '' nothing. Returns
 * the length; it fits. */
size_t resp_of(const char *words, char *out, size_t cap);

#endif
