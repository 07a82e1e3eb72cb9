/* SPDX-License-Identifier: Apache-2.0 */
/* A member of the registry as fields of its Redis hash, in plain words:
 *
 *   boot 8127… address 127.0.0.1:7200 link 127.0.0.1:7101 http 127.0.0.1:7380
 *   key <64 hex> zone eu1 isps norda=203.0.113.7:7200
 *   sessions 12 capacity 250000 draining no
 *   ready yes         (or why not)
 *
 * Used by registry.c and registry_watch.c. */
#ifndef APP_MEMBER_H
#define APP_MEMBER_H

#include "app/registry.h"

#define MEMBER_FIELDS_MAX 11
#define MEMBER_KIND_MAX 16

struct member_fields {
	struct rds_arg at[2 * MEMBER_FIELDS_MAX]; /* name, value, ...; they borrow `text` */
	size_t count;
	char text[MEMBER_FIELDS_MAX][2 * 32 + 1];
	char isps[ISPS_TEXT_MAX];
};

/* What is zero is left out; sessions, capacity and draining are there when
 * `counts` (a broker: for it a zero says something). */
void member_write(const struct member *m, bool counts, struct member_fields *out);
/* From the answer to HGETALL; id and times are not touched. RS_EINVAL: malformed;
 * *field is then the field's name. */
RS_MUST_CHECK int member_read(const struct redisReply *hash, struct member *out, const char **field);

#endif
