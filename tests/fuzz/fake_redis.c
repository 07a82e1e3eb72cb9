/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_redis.h"

#include "fake_loop.h"

#include "resp.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING_MAX = 4096, COMMAND_MAX = 32, KEY_MAX_BYTES = 96 };

struct rds {
	struct rds_stats stats;
};

struct waiting {
	struct rds *rds;
	rds_reply_fn *fn;
	void *ctx;
	char command[COMMAND_MAX], key[KEY_MAX_BYTES];
};

static struct waiting waiting[WAITING_MAX];
static size_t head, count;
static bool refusing;
static redisReader *stream; /* what Redis still says; NULL: nothing */
static unsigned open_count;

void fake_redis_reset(void)
{
	head = count = 0;
	open_count = 0;
	refusing = false;
	if (stream)
		redisReaderFree(stream);
	stream = NULL;
}

unsigned fake_redis_open(void) { return open_count; }
size_t fake_redis_waiting(void) { return count; }
const char *fake_redis_command(void) { return count ? waiting[head].command : ""; }
const char *fake_redis_key(void) { return count ? waiting[head].key : ""; }

/* ---- rds/rds.h ---- */

int rds_new(struct rds **out, struct ev_loop *loop, const struct rds_config *config,
	    rds_state_fn *on_state, void *ctx)
{
	(void)loop, (void)config;
	*out = calloc(1, sizeof **out);
	fuzz_check(*out != NULL, "out of memory");
	open_count++;
	if (on_state)
		on_state(ctx, true);
	return RS_OK;
}

void rds_free(struct rds *r)
{
	if (!r)
		return;
	for (size_t i = 0, left = count; i < left; i++) { /* the others go to the end */
		struct waiting w = waiting[head];
		head = (head + 1) % WAITING_MAX;
		count--;
		if (w.rds != r)
			waiting[(head + count++) % WAITING_MAX] = w;
		else if (w.fn)
			w.fn(w.ctx, RS_ELOST, NULL);
	}
	open_count--;
	free(r);
}

bool rds_is_up(const struct rds *r) { return r && !refusing; }
const struct rds_stats *rds_stats(const struct rds *r) { return &r->stats; }

static void put(char *out, size_t cap, const void *data, size_t len)
{
	memcpy(out, data, len < cap ? len : cap - 1);
}

static int submit(struct rds *r, struct rds_arg command, const struct rds_arg *key, rds_reply_fn *fn, void *ctx)
{
	if (refusing)
		return RS_EDOWN;
	if (count == WAITING_MAX)
		return RS_EBUSY;
	struct waiting *w = &waiting[(head + count++) % WAITING_MAX];
	*w = (struct waiting){.rds = r, .fn = fn, .ctx = ctx};
	put(w->command, sizeof w->command, command.data, command.len);
	if (key)
		put(w->key, sizeof w->key, key->data, key->len);
	r->stats.requests++;
	r->stats.in_flight++;
	return RS_OK;
}

static void check_arguments(size_t argc, const struct rds_arg *argv)
{
	for (size_t i = 0; i < argc; i++)
		free(fuzz_copy(argv[i].data ? argv[i].data : "", argv[i].len)); /* all of it can be read */
}

int rds_command(struct rds *r, size_t argc, const struct rds_arg *argv, rds_reply_fn *fn, void *ctx)
{
	check_arguments(argc, argv);
	return submit(r, argv[0], argc > 1 ? &argv[1] : NULL, fn, ctx);
}

int rds_script(struct rds *r, enum script_id script, size_t keys, size_t argc,
	       const struct rds_arg *argv, rds_reply_fn *fn, void *ctx)
{
	check_arguments(argc, argv);
	return submit(r, RDS_STR(scripts[script].name), keys ? argv : NULL, fn, ctx);
}

/* ---- answers ---- */

void fake_redis_answer(int err, const struct redisReply *reply)
{
	fuzz_check(count > 0, "an answer for nobody");
	struct waiting w = waiting[head];
	head = (head + 1) % WAITING_MAX;
	count--;
	w.rds->stats.in_flight--;
	if (w.fn)
		w.fn(w.ctx, err, reply);
	fake_loop_end_turn();
}

void fake_redis_refuse(bool refuses) { refusing = refuses; }

void fake_redis_registry(void)
{
	char ids[96], time[96];
	snprintf(ids, sizeof ids, "*2\r\n$3\r\ndc1\r\n$13\r\n%llu\r\n", (unsigned long long)fuzz_wall_ms());
	snprintf(time, sizeof time, "*2\r\n$10\r\n%llu\r\n$1\r\n0\r\n",
		 (unsigned long long)fuzz_wall_ms() / 1000);
	while (count > 0) {
		if (strcmp(fake_redis_command(), "TIME") == 0)
			fake_redis_say(time);
		else if (strcmp(fake_redis_key(), "rs:dcs") == 0)
			fake_redis_say(ids);
		else if (strcmp(fake_redis_key(), "rs:dc:dc1") == 0)
			fake_redis_say("*4\r\n$4\r\nboot\r\n$1\r\n3\r\n$4\r\nlink\r\n$13\r\n10.0.0.9:7101\r\n");
		else
			fake_redis_say("*0\r\n");
	}
}

void fake_redis_lose(int err)
{
	for (size_t left = count; left > 0 && count > 0; left--)
		fake_redis_answer(err, NULL);
}

static void answer_with(redisReply *reply)
{
	fake_redis_answer(reply->type == REDIS_REPLY_ERROR ? RS_EREMOTE : RS_OK, reply);
	freeReplyObject(reply);
}

void fake_redis_say(const char *resp)
{
	void *reply = NULL;
	redisReader *r = redisReaderCreate();
	fuzz_check(r && redisReaderFeed(r, resp, strlen(resp)) == REDIS_OK &&
			   redisReaderGetReply(r, &reply) == REDIS_OK && reply, "not an answer: %s", resp);
	redisReaderFree(r);
	answer_with(reply);
}

void fake_redis_feed(const uint8_t *data, size_t len)
{
	if (stream)
		redisReaderFree(stream);
	stream = redisReaderCreate();
	len = resp_sane(data, len);
	fuzz_check(stream && redisReaderFeed(stream, (const char *)data, len) == REDIS_OK, "no reader");
}

bool fake_redis_next(void)
{
	void *reply;
	if (count == 0 || !stream || redisReaderGetReply(stream, &reply) != REDIS_OK || !reply)
		return false;
	answer_with(reply);
	return true;
}

void fake_redis_run(void (*more)(void *ctx), void *ctx)
{
	do
		if (count == 0 && more)
			more(ctx);
	while (fake_redis_next());
}
