/* SPDX-License-Identifier: Apache-2.0 */
#include "base/items.h"

#include <string.h>

bool items_next(const char **at, char item[ITEM_MAX])
{
	if (!*at)
		return false;
	const char *from = *at + strspn(*at, " \t");
	size_t len = strcspn(from, ",");
	*at = from[len] ? from + len + 1 : NULL;
	while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\t'))
		len--;
	if (len >= ITEM_MAX)
		len = 0;
	memcpy(item, from, len);
	item[len] = '\0';
	return true;
}
