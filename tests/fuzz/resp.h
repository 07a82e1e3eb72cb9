/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_RESP_H
#define FUZZ_RESP_H

#include <stddef.h>
#include <stdint.h>

/* hiredis takes memory for as many elements as an array is said to have, before it has
 * seen one, and is known to miscount above 2^31. That is not ours to look at: how many of
 * these bytes come before an array of more than 9,999 elements. */
size_t resp_sane(const uint8_t *data, size_t len);

#endif
