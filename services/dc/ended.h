/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that left a queue otherwise than by being fetched and forgotten: what
 * the scripts say of each ("replaced chat 01JD... r"), and what follows from it. */
#ifndef DC_ENDED_H
#define DC_ENDED_H

#include "base/err.h"
#include "base/ulid.h"
#include "wire/text.h"

struct dc;
struct redisReply;

enum ended_how { ENDED_ACKNOWLEDGED, ENDED_EXPIRED, ENDED_REPLACED, ENDED_DISPLACED, ENDED_WITHDRAWN, ENDED_HOWS };
extern const char *const ended_words[ENDED_HOWS];

struct ended {
	enum ended_how how;
	struct text_span app; /* borrowed */
	struct ulid id;
	bool receipt;         /* its App wants to know */
};

/* "<event> <app> <id>[ r| -]". RS_EINVAL. */
RS_MUST_CHECK int ended_parse(const char *text, size_t len, struct ended *out);
/* ENDED_HOWS: it is none of them. */
enum ended_how ended_how_of(struct text_span word);
/* Takes the events of a reply, from place `first` + 4 on; the holder stands in the four
 * elements before, or nothing. Each is counted, the broker that holds the user is told
 * not to show it any more, and its App gets a receipt. */
void ended_take_all(struct dc *dc, const struct redisReply *reply, size_t first, const char *user,
		    size_t user_len);

#endif
