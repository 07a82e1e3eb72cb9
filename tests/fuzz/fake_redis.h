/* SPDX-License-Identifier: Apache-2.0 */
/* In place of rds/rds.c: requests wait here until the input answers them. */
#ifndef FUZZ_FAKE_REDIS_H
#define FUZZ_FAKE_REDIS_H

#include "fuzz.h"

#include "rds/rds.h"

/* Forgets what waits, without a word: for the start of an input. */
void fake_redis_reset(void);
/* Connections that were made and not freed. */
unsigned fake_redis_open(void);
size_t fake_redis_waiting(void);
/* Of the oldest request: its command or script, and its first key or argument. */
const char *fake_redis_command(void);
const char *fake_redis_key(void);
/* Answers the oldest request; reply as for rds_reply_fn. */
void fake_redis_answer(int err, const struct redisReply *reply);
/* ... with an answer in Redis's own words. */
void fake_redis_say(const char *resp);
/* Nothing is taken from now on, or all again. */
void fake_redis_refuse(bool refuses);
/* Answers what waits, as a registry in which there is the DC "dc1", and no other. */
void fake_redis_registry(void);
/* All that wait lose their answer. */
void fake_redis_lose(int err);
/* From now on Redis says this. */
void fake_redis_feed(const uint8_t *data, size_t len);
/* Answers the oldest request with the next of it; false: there is no more, or it makes
 * no sense. */
bool fake_redis_next(void);
/* Answers as long as there are answers. When no request waits, `more` is called; if then
 * there is still none, the rest is left out. */
void fake_redis_run(void (*more)(void *ctx), void *ctx);

#endif
