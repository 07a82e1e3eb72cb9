/* SPDX-License-Identifier: Apache-2.0 */
#include "resp.h"

enum { DIGITS_MAX = 4 };

size_t resp_sane(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t n = 1;
		while (data[i] == '*' && i + n < len && data[i + n] != '\r' && n <= DIGITS_MAX + 1)
			n++;
		if (n > DIGITS_MAX + 1)
			return i;
	}
	return len;
}
