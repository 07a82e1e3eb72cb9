/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of an App: the optional fields of the hash rs:app:<id>, which the
 * command line writes and the DC obeys. One table for both. */
#ifndef RDS_APP_LIMITS_H
#define RDS_APP_LIMITS_H

#include "wire/text.h"

/* What becomes of a message for a queue that holds all it may of this App. */
enum overflow { OVERFLOW_REJECT, OVERFLOW_DROP_OLDEST, OVERFLOW_DROP_LOWEST };

struct app_limits {
	uint32_t rate;           /* messages a second; 0: no limit */
	uint32_t burst;          /* messages at once; 0: as many as in a second */
	uint32_t body_max;       /* bytes */
	uint32_t queue_messages; /* of this App in the queue of a user; 0: no limit */
	uint64_t queue_bytes;    /* the same; 0: no limit */
	enum overflow overflow;
	bool broadcast;          /* may send to all */
};

/* In the order of the table. */
enum app_limit {
	APP_RATE,
	APP_BURST,
	APP_BODY_MAX,
	APP_QUEUE_MESSAGES,
	APP_QUEUE_BYTES,
	APP_OVERFLOW,
	APP_BROADCAST,
	APP_LIMITS
};

struct app_limit_field {
	const char *name;          /* in Redis: "body_max" */
	const char *const *words;  /* what it may be, NULL at the end; NULL: a number */
	uint64_t min, max, absent; /* of a number, or of the place in words */
};

extern const struct app_limit_field app_limit_fields[APP_LIMITS];

/* RS_EINVAL: it is no value of that field. */
RS_MUST_CHECK int app_limit_parse(enum app_limit which, struct text_span text, uint64_t *out);
/* A value that app_limit_parse() gave, or `absent`. */
void app_limit_put(struct app_limits *limits, enum app_limit which, uint64_t value);

#endif
