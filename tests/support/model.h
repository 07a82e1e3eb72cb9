/* SPDX-License-Identifier: Apache-2.0 */
/* What must be where: a simple model of the queues of some users, for tests that send
 * at random. It is told of each answer, and of each message that a client was shown,
 * and says what does not fit.
 *
 * A user is *strict* while nobody can be logged in: then each answer is foretold, and
 * so is each queue. Otherwise the user is *loose*: messages are taken while others
 * come, and more than one outcome is right. What can have become of a message is noted
 * then, and when all is at rest STATUS says which of it did (model_status); from there
 * on the model holds to that. A user also gets loose when a message expires just while
 * an answer is made.
 *
 * At most one request about a user may be under way. */
#ifndef SUPPORT_MODEL_H
#define SUPPORT_MODEL_H

#include "rds/app_limits.h"
#include "wire/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_USERS 64
#define MODEL_APPS 3
#define MODEL_NOTHING UINT32_MAX /* no message */
#define MODEL_SLACK_MS 2000      /* within which a client has heard that it must not show a message */

enum model_fate {
	FATE_ASKED,  /* no answer yet */
	FATE_NONE,   /* not stored */
	FATE_WAITS,
	FATE_ACKNOWLEDGED, FATE_EXPIRED, FATE_REPLACED, FATE_DISPLACED, FATE_WITHDRAWN,
	FATES,
};
extern const char *const model_fates[FATES]; /* as STATUS says it; NULL for the first three */
extern const char *const model_apps[MODEL_APPS];

struct model_message {
	/* What was asked for. */
	uint32_t user;
	uint8_t app, lane, key;   /* key: a collapse key; 0: none */
	bool store;
	uint32_t name, ttl_s, body_len; /* name: the App's own id; 0: none */
	/* What became of it. */
	char id[ULID_TEXT + 1];
	uint64_t expires_ms, ended_ms;
	uint32_t bytes;           /* of its record */
	enum model_fate fate, leaves;
	unsigned may;             /* a bit for each fate that it may have had already */
	bool must_go;             /* it cannot wait any more, whatever its fate was */
	bool hidden;              /* it ended while nobody was logged in: not to be shown any more */
	bool told;                /* STATUS has said its fate, after it had ended */
	bool pushed;              /* though it was not stored */
	bool there;               /* in Redis, by the last comparison */
	bool lost;                /* its acknowledgement was, with the session */
	unsigned shown, shown_in; /* how often, and in which of the client's lives */
};

struct model_user {
	bool loose;
	bool off[MODEL_APPS];     /* nothing is kept of this App */
	uint32_t *waiting, *named; /* messages, in the order of sending */
	size_t waiting_count, waiting_cap, named_count, named_cap;
	uint64_t missed[MODEL_APPS], told[MODEL_APPS]; /* displaced; and that the client heard of */
	uint32_t last_shown[PRIORITIES];
};

struct model {
	struct app_limits limits[MODEL_APPS];
	size_t user_max;          /* messages that may wait for a user */
	struct model_user user[MODEL_USERS];
	struct model_message *message;
	uint32_t count, cap;
	char fault[512];          /* the first thing that did not fit; "" */
};

struct model_answer {
	int code;
	const char *state, *id, *first;
	uint64_t from_ms, to_ms;  /* asked and answered, wall clock */
};

void model_init(struct model *m);
void model_deinit(struct model *m);
/* A message that is sent now; its number, which its body begins with. */
uint32_t model_add(struct model *m, const struct model_message *draft);
void model_sent(struct model *m, uint32_t message, const struct model_answer *a);
void model_withdrawn(struct model *m, uint32_t message, const struct model_answer *a);
/* late_ok: the client was deaf for a while, and may know no better. */
void model_shown(struct model *m, uint32_t user, uint32_t message, const char *id, uint64_t now_ms, bool late_ok);
/* Somebody logs in. */
void model_loosen(struct model *m, uint32_t user);
/* All is at rest: STATUS of a message; and, once that of all that waits was asked, what
 * a queue holds, as records. */
void model_status(struct model *m, uint32_t message, const struct model_answer *a);
void model_compare(struct model *m, uint32_t user, enum priority lane, const char *const *records, size_t count,
		   uint64_t now_ms);
void model_fail(struct model *m, const char *fmt, ...) RS_PRINTF(2, 3);

#endif
