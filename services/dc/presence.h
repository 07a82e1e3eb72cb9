/* SPDX-License-Identifier: Apache-2.0 */
/* Where a user is: the presence hash of Redis, read. */
#ifndef DC_PRESENCE_H
#define DC_PRESENCE_H

#include "answer.h"
#include "rds/rds.h"
#include "wire/link.h"

/* The login that holds a user. */
struct holder {
	struct link_name broker; /* borrowed from the reply; length 0: nobody */
	uint64_t boot;
	struct link_owner owner;
};

/* From broker, boot, conn and owner at `first` and after it in a reply. */
struct holder holder_read(const struct redisReply *reply, size_t first);
/* HMGET of these four; fn gets the reply. */
RS_MUST_CHECK int presence_get_holder(struct dc *dc, const char *user, size_t user_len, rds_reply_fn *fn,
				      void *ctx);
/* The verb PRESENCE: answers whether the user a->name is online, and where. */
void presence_ask(struct answer *a);
/* The same for a list: `count` lines of the body, a name each; the answer has a body
 * with a line for each, in the same order. */
void presence_list(struct answer *a, struct text_span count, const uint8_t *body, size_t len);

/* The fields of a presence hash that these need, for an HMGET. */
#define PRESENCE_FIELDS RDS_STR("broker"), RDS_STR("boot"), RDS_STR("since"), RDS_STR("seen")
/* Where a user is, by a reply to that. */
struct whereabouts {
	struct link_name broker;   /* borrowed from the reply; length 0: offline */
	uint64_t since_ms, seen_ms; /* 0: not known */
};
struct whereabouts whereabouts_read(const struct dc *dc, const struct redisReply *reply);

#endif
