/* SPDX-License-Identifier: Apache-2.0 */
#include "app/topics.h"

#include "base/name.h"
#include "rds/keys.h"
#include "rds/rds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MAX = 8 }; /* times the truth may have changed meanwhile */

enum step {
	STEP_TRUTH,   /* the script */
	STEP_FOLLOW,  /* SADD or SREM of the user */
	STEP_LOOK,    /* is it still the truth? */
	STEP_LIST,    /* the filter has users */
	STEP_COUNT,   /* has it any? */
	STEP_UNLIST,
	STEP_RECOUNT,
};

struct change {
	struct rds *rds;
	topics_fn *fn;
	void *ctx;
	enum step step;
	bool wanted;
	unsigned rounds;
	size_t user_len, filter_len, of_user_len, of_filter_len, list_len;
	char user[NAME_MAX_BYTES], filter[NAME_MAX_BYTES];
	char of_user[KEY_MAX], of_filter[KEY_MAX], list[KEY_MAX];
};

static void on_step(void *ctx, int err, const struct redisReply *reply);

static void end(struct change *c, enum topics_result result)
{
	topics_fn *fn = c->fn;
	void *ctx = c->ctx;
	free(c);
	fn(ctx, result);
}

static int ask(struct change *c, enum step step)
{
	const struct rds_arg user = RDS_MEM(c->user, c->user_len), filter = RDS_MEM(c->filter, c->filter_len);
	const struct rds_arg of_user = RDS_MEM(c->of_user, c->of_user_len), list = RDS_MEM(c->list, c->list_len);
	const struct rds_arg of_filter = RDS_MEM(c->of_filter, c->of_filter_len);
	struct rds_arg argv[3] = {RDS_STR("SCARD"), of_filter};
	size_t argc = 3;
	c->step = step;
	switch (step) {
	case STEP_FOLLOW:
		argv[0] = c->wanted ? RDS_STR("SADD") : RDS_STR("SREM");
		argv[2] = user;
		break;
	case STEP_LOOK:
		argv[0] = RDS_STR("SISMEMBER");
		argv[1] = of_user;
		argv[2] = filter;
		break;
	case STEP_LIST:
	case STEP_UNLIST:
		argv[0] = step == STEP_LIST ? RDS_STR("SADD") : RDS_STR("SREM");
		argv[1] = list;
		argv[2] = filter;
		break;
	default:
		argc = 2;
	}
	return rds_command(c->rds, argc, argv, on_step, c);
}

/* What the truth's script said. */
static void take_truth(struct change *c, int64_t said)
{
	if (said == -1)
		end(c, TOPICS_FENCED);
	else if (said == -2)
		end(c, TOPICS_TOO_MANY);
	else if (ask(c, STEP_FOLLOW))
		end(c, TOPICS_FAILED);
}

/* The step after the one that was answered with `said`; STEP_TRUTH: none. */
static enum step next_step(struct change *c, int64_t said)
{
	switch (c->step) {
	case STEP_FOLLOW:
		return STEP_LOOK;
	case STEP_LOOK:
		if ((said == 1) != c->wanted && c->rounds++ < ROUNDS_MAX) {
			c->wanted = !c->wanted;
			return STEP_FOLLOW;
		}
		return c->wanted ? STEP_LIST : STEP_COUNT;
	case STEP_COUNT:
		return said == 0 ? STEP_UNLIST : STEP_TRUTH;
	case STEP_UNLIST:
		return STEP_RECOUNT;
	case STEP_RECOUNT:
		return said > 0 ? STEP_LIST : STEP_TRUTH;
	default:
		return STEP_TRUTH;
	}
}

static void on_step(void *ctx, int err, const struct redisReply *reply)
{
	struct change *c = ctx;
	int64_t said = 0;
	if (err || !reply_int(reply, &said)) {
		end(c, TOPICS_FAILED);
		return;
	}
	if (c->step == STEP_TRUTH) {
		take_truth(c, said);
		return;
	}
	enum step next = next_step(c, said);
	if (next == STEP_TRUTH)
		end(c, TOPICS_DONE);
	else if (ask(c, next))
		end(c, TOPICS_FAILED);
}

static int send_truth(struct change *c, uint64_t owner)
{
	char presence[KEY_MAX], token[24] = "", max[RDS_NUM_MAX];
	if (owner)
		snprintf(token, sizeof token, "%" PRIu64, owner);
	size_t presence_len = key_presence(presence, c->user, c->user_len);
	struct rds_arg argv[] = {
		RDS_MEM(c->of_user, c->of_user_len), RDS_MEM(presence, presence_len), RDS_STR(token),
		RDS_MEM(c->filter, c->filter_len), rds_num(TOPICS_OF_USER_MAX, max),
	};
	return rds_script(c->rds, c->wanted ? SCRIPT_TOPIC_SUBSCRIBE : SCRIPT_TOPIC_UNSUBSCRIBE, 2, c->wanted ? 5 : 4,
			  argv, on_step, c);
}

int topics_change(struct rds *rds, struct text_span user, struct text_span filter, uint64_t owner, bool subscribe,
		  topics_fn *fn, void *ctx)
{
	struct change *c = calloc(1, sizeof *c);
	if (!c)
		return RS_ENOMEM;
	*c = (struct change){.rds = rds, .fn = fn, .ctx = ctx, .step = STEP_TRUTH, .wanted = subscribe,
			     .user_len = user.len, .filter_len = filter.len};
	memcpy(c->user, user.at, user.len);
	memcpy(c->filter, filter.at, filter.len);
	c->of_user_len = key_topics_of(c->of_user, user.at, user.len);
	c->of_filter_len = key_topic(c->of_filter, filter.at, filter.len);
	c->list_len = key_topics(c->list);
	int err = send_truth(c, owner);
	if (err)
		free(c);
	return err;
}
