/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <string.h>

size_t utf8_next(const uint8_t *p, size_t left, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
	if (len == 0 || len > left)
		return 0;
	uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return len;
}

void utf8_mend_end(char *text)
{
	size_t len = strlen(text), at = len;
	uint32_t cp;
	while (at > 0 && len - at < 4 && ((uint8_t)text[at - 1] >> 6) == 2)
		at--;
	if (at > 0 && (uint8_t)text[at - 1] >= 0xc0 && utf8_next((uint8_t *)text + at - 1, len - at + 1, &cp) == 0)
		text[at - 1] = '\0';
}

struct range {
	uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t cp)
{
	for (size_t i = 0; i < count; i++)
		if (cp >= ranges[i].first && cp <= ranges[i].last)
			return true;
	return false;
}

bool utf8_is_space(uint32_t cp)
{
	static const struct range spaces[] = {
		{' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
		{0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
	};
	return is_in(spaces, sizeof spaces / sizeof *spaces, cp);
}

bool utf8_is_control(uint32_t cp)
{
	static const struct range controls[] = {
		{0, 0x1f},        {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},   {0x180e, 0x180e},
		{0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
		{0xfffe, 0xffff},
	};
	return is_in(controls, sizeof controls / sizeof *controls, cp);
}
