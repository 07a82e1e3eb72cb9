/* SPDX-License-Identifier: Apache-2.0 */
/* From an address to who carries it: a table of prefixes, the longest one that
 * contains the address wins. As text, a line each, in any order:
 *
 *   # comment
 *   203.0.113.0/24   norda  eu1
 *   2001:db8::/32    norda
 *
 * Two tables that never mix: an IPv6 prefix, ::/0 too, says nothing of IPv4
 * addresses. A look-up is one binary search over the addresses at which the
 * answer changes. */
#ifndef BASE_PREFIXES_H
#define BASE_PREFIXES_H

#include "base/addr.h"
#include "base/name.h"

#include <stddef.h>

#define PREFIXES_MAX 1000000
#define PREFIXES_PLACES_MAX 4096 /* different pairs of ISP and zone */
#define PREFIXES_FAULT_MAX 256

struct place {
	char isp[NAME_MAX_BYTES + 1];
	char zone[NAME_MAX_BYTES + 1]; /* "": none was given */
};

struct prefixes;

/* RS_EINVAL, RS_ELIMIT: *line (from 1) and `fault` say where and what is wrong. */
RS_MUST_CHECK int prefixes_parse(struct prefixes **out, const char *text, size_t len, size_t *line,
				 char fault[PREFIXES_FAULT_MAX]);
void prefixes_free(struct prefixes *p); /* NULL is fine */
/* The place of an address; NULL: in no prefix, or p is NULL. Borrowed from p. */
const struct place *prefixes_find(const struct prefixes *p, const struct addr *a);
size_t prefixes_count(const struct prefixes *p); /* of lines that say something */

#endif
