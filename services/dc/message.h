/* SPDX-License-Identifier: Apache-2.0 */
/* A message as an App sends it: the fields that SEND and its kin have in common,
 * and the record that is made of them. */
#ifndef DC_MESSAGE_H
#define DC_MESSAGE_H

#include "answer.h"
#include "conn.h"
#include "rds/app_limits.h"
#include "wire/record.h"

#define MESSAGE_TTL_MAX_S 2592000
#define MESSAGE_FIELDS "ttl", "store", "collapse", "priority", "receipt", "length"

struct send {
	struct text_span app;
	struct app_limits limits;
	uint64_t ttl_s;
	bool store;                 /* false: to whoever is online now, or dropped */
	bool receipt;
	enum priority priority;
	struct text_span collapse, topic; /* length 0: none */
	const uint8_t *body;        /* borrowed for the call */
	size_t body_len;
};

/* Reads the fields above. False: one is wrong, and the answer was given. */
RS_MUST_CHECK bool message_take(struct conn *c, struct answer *a, const struct text_request *r,
				struct send *out);
/* A time in seconds; without the field, *seconds stays as it is. */
RS_MUST_CHECK bool message_take_seconds(struct answer *a, const struct text_request *r, const char *field,
					uint64_t *seconds);
/* An id with random bytes for a message of now. */
struct ulid message_id(uint64_t now_ms);
/* Writes the record with a new id (*id) into out; its length, or an error. elsewhere:
 * the body does not stand in it. */
RS_MUST_CHECK int message_format(const struct send *s, struct text_span app_id, bool elsewhere,
				 struct ulid *id, uint8_t *out, size_t cap);

/* The same into a->record, with the App's id a->id, and its id in a->message. */
RS_MUST_CHECK int message_put(struct answer *a, const struct send *send);

#endif
