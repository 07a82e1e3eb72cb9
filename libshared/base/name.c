/* SPDX-License-Identifier: Apache-2.0 */
#include "base/name.h"

#include "base/utf8.h"

#include <stdint.h>

const char *name_fault(const void *name, size_t len)
{
	const uint8_t *p = name;
	if (len == 0)
		return "is empty";
	if (len > NAME_MAX_BYTES)
		return "is longer than 64 bytes";
	for (size_t at = 0; at < len;) {
		if (p[at] > ' ' && p[at] < 0x7f && p[at] != '{' && p[at] != '}') {
			at++; /* what names are made of; the rest is looked at closely */
			continue;
		}
		uint32_t c;
		size_t step = utf8_next(p + at, len - at, &c);
		if (step == 0)
			return "is not valid UTF-8";
		if (c == 0)
			return "contains a NUL byte";
		if (c == '\r' || c == '\n')
			return "contains a line break";
		if (utf8_is_space(c))
			return "contains a space";
		if (c == '{' || c == '}')
			return "contains a brace";
		if (utf8_is_control(c))
			return "contains a control character";
		at += step;
	}
	return NULL;
}
