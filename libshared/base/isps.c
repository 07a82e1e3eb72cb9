/* SPDX-License-Identifier: Apache-2.0 */
#include "base/isps.h"

#include "base/items.h"

#include <stdio.h>
#include <string.h>

_Static_assert(NAME_MAX_BYTES + 1 + ADDR_TEXT_MAX <= ITEM_MAX, "an ISP with its address is an item");

const struct addr *isps_find(const struct isp_set *s, const char *isp)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->at[i].isp, isp) == 0)
			return &s->at[i].address;
	return NULL;
}

int isps_add(struct isp_set *s, const char *isp, size_t len, const struct addr *a)
{
	struct isp_address new = {.address = *a};
	if (name_fault(isp, len) || memchr(isp, ',', len))
		return RS_EINVAL;
	memcpy(new.isp, isp, len);
	if (isps_find(s, new.isp))
		return RS_EEXIST;
	if (s->count == ISPS_MAX)
		return RS_ELIMIT;
	s->at[s->count++] = new;
	return RS_OK;
}

static int add_item(struct isp_set *s, const char *item, const char **fault)
{
	struct addr a;
	const char *sign = strrchr(item, '=');
	*fault = "wants ISP=ip:port, several with commas between";
	if (!sign || addr_parse(sign + 1, &a))
		return RS_EINVAL;
	int err = isps_add(s, item, (size_t)(sign - item), &a);
	if (err == RS_EEXIST)
		*fault = "names an ISP twice";
	else if (err == RS_ELIMIT)
		*fault = "names too many ISPs; at most 8";
	return err ? RS_EINVAL : RS_OK;
}

int isps_parse(const char *text, struct isp_set *out, const char **fault)
{
	char item[ITEM_MAX];
	struct isp_set s;
	memset(&s, 0, sizeof s); /* padding too: sets are compared as bytes */
	for (const char *at = *text ? text : NULL; items_next(&at, item);) {
		int err = add_item(&s, item, fault);
		if (err)
			return err;
	}
	*out = s;
	return RS_OK;
}

const char *isps_format(const struct isp_set *s, char out[ISPS_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];
	size_t at = 0;
	out[0] = '\0';
	for (size_t i = 0; i < s->count; i++)
		at += (size_t)snprintf(out + at, ISPS_TEXT_MAX - at, "%s%s=%s", i ? "," : "", s->at[i].isp,
				       addr_format(&s->at[i].address, text));
	return out;
}
