/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that a broker has in the networks of some ISPs, beside its own, as
 * text "norda=203.0.113.7:7200,sudor=[2001:db8::7]:7200". */
#ifndef BASE_ISPS_H
#define BASE_ISPS_H

#include "base/addr.h"
#include "base/name.h"

#include <stddef.h>

#define ISPS_MAX 8
#define ISPS_TEXT_MAX (ISPS_MAX * (NAME_MAX_BYTES + 1 + ADDR_TEXT_MAX) + 1)

struct isp_address {
	char isp[NAME_MAX_BYTES + 1];
	struct addr address;
};

struct isp_set {
	struct isp_address at[ISPS_MAX];
	size_t count;
};

/* An ISP that holds a comma cannot be named. RS_EINVAL: *fault says why, in static
 * storage; out is as it was. "" is none. */
RS_MUST_CHECK int isps_parse(const char *text, struct isp_set *out, const char **fault);
/* The same text; returns out. */
const char *isps_format(const struct isp_set *s, char out[ISPS_TEXT_MAX]);
/* RS_ELIMIT: full; RS_EEXIST: it has one; RS_EINVAL: not a name, or one with a comma. */
RS_MUST_CHECK int isps_add(struct isp_set *s, const char *isp, size_t len, const struct addr *a);
/* NULL: none for this ISP. */
const struct addr *isps_find(const struct isp_set *s, const char *isp);

#endif
