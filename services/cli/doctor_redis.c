/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAJOR_LEAST = 7,
	FULL_PERCENT = 90,
	CLOCK_WARN_MS = 1000,
	CLOCK_FAIL_MS = 30000,
	PROBE_TTL_MS = 5000,
};

/* ---- INFO ---- */

struct info {
	char version[32], role[16], aof_write[16];
	uint64_t used, limit;
};

/* Words of Redis's that are shown: what a terminal might obey becomes '?'. */
static void put(const char *text, size_t len, char *out, size_t cap)
{
	snprintf(out, cap, "%.*s", (int)(len < cap ? len : cap), text);
	for (char *c = out; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void take(const char *text, const char *name, char *out, size_t cap)
{
	char wanted[64];
	snprintf(wanted, sizeof wanted, "\n%s:", name);
	const char *at = strstr(text, wanted);
	if (at)
		put(at + strlen(wanted), strcspn(at + strlen(wanted), "\r\n"), out, cap);
}

static void on_info(void *ctx, const struct redisReply *reply)
{
	struct info *i = ctx;
	char number[32] = "0";
	size_t len = 0;
	const char *text = reply_str(reply, &len);
	if (!text)
		return;
	take(text, "redis_version", i->version, sizeof i->version);
	take(text, "role", i->role, sizeof i->role);
	take(text, "aof_last_write_status", i->aof_write, sizeof i->aof_write);
	take(text, "used_memory", number, sizeof number);
	i->used = strtoull(number, NULL, 10);
	take(text, "maxmemory", number, sizeof number);
	i->limit = strtoull(number, NULL, 10);
}

static void check_info(struct doctor *d, struct info *i)
{
	struct rds_arg argv[] = {RDS_STR("INFO")};
	if (operator_command(&d->op, 1, argv, on_info, i)) {
		doctor_fail(d, "%s: allow it the command INFO", d->op.fault);
		return;
	}
	if (atoi(i->version) < MAJOR_LEAST)
		doctor_fail(d, "Redis is version %s: restante needs 7 or later", i->version);
	else
		doctor_ok(d, "Redis answers, version %s", i->version);
	if (strcmp(i->role, "slave") == 0)
		doctor_fail(d, "this Redis is a replica: name the primary in the setting redis");
	if (strcmp(i->aof_write, "err") == 0)
		doctor_fail(d, "Redis could not write its append-only file: look at its log and its disk");
}

/* ---- CONFIG ---- */

struct kept {
	char appendonly[16], appendfsync[16], policy[32];
};

static void take_field(const struct redisReply *reply, const char *name, char *out, size_t cap)
{
	size_t len = 0;
	const struct redisReply *field = reply_field(reply, name);
	const char *text = field ? reply_str(field, &len) : NULL;
	put(text ? text : "", len, out, cap);
}

static void on_config(void *ctx, const struct redisReply *reply)
{
	struct kept *k = ctx;
	take_field(reply, "appendonly", k->appendonly, sizeof k->appendonly);
	take_field(reply, "appendfsync", k->appendfsync, sizeof k->appendfsync);
	take_field(reply, "maxmemory-policy", k->policy, sizeof k->policy);
}

static void check_durability(struct doctor *d, const struct kept *k)
{
	if (strcmp(k->appendonly, "yes") != 0)
		doctor_warn(d, "Redis keeps no append-only file: a crash loses messages that were OK'd; set "
			    "appendonly yes and appendfsync always");
	else if (strcmp(k->appendfsync, "always") != 0)
		doctor_warn(d, "Redis syncs \"%s\": a crash of the host may lose the last messages; set appendfsync always",
			    k->appendfsync);
	else
		doctor_ok(d, "Redis syncs each write (appendonly yes, appendfsync always)");
}

static void check_memory(struct doctor *d, const struct kept *k, const struct info *i)
{
	if (strcmp(k->policy, "noeviction") != 0) {
		if (i->limit)
			doctor_fail(d, "Redis throws keys away when it is full (maxmemory-policy %s): set noeviction",
				    k->policy);
		else
			doctor_warn(d, "maxmemory-policy is %s: set noeviction before a maxmemory", k->policy);
		return;
	}
	if (i->limit && i->used >= i->limit / 100 * FULL_PERCENT)
		doctor_warn(d, "Redis's memory is %d %% full: raise maxmemory or find the long queues",
			    (int)(i->used * 100 / i->limit));
	else
		doctor_ok(d, "Redis refuses when full, and is not (maxmemory-policy noeviction)");
}

static void check_config(struct doctor *d, const struct info *i)
{
	struct kept k = {"", "", ""};
	struct rds_arg argv[] = {RDS_STR("CONFIG"), RDS_STR("GET"), RDS_STR("appendonly"),
				 RDS_STR("appendfsync"), RDS_STR("maxmemory-policy")};
	if (operator_command(&d->op, 5, argv, on_config, &k) || !k.appendonly[0]) {
		doctor_warn(d, "Redis does not tell its configuration: see by hand to appendonly yes, appendfsync always, "
			    "maxmemory-policy noeviction");
		return;
	}
	check_durability(d, &k);
	check_memory(d, &k, i);
}

/* ---- writing, clocks ---- */

static void check_write(struct doctor *d)
{
	char key[64], random[17], ttl[RDS_NUM_MAX];
	uint8_t raw[8];
	random_bytes(raw, sizeof raw);
	snprintf(key, sizeof key, "rs:doctor:%s", hex_encode(raw, sizeof raw, random));
	struct rds_arg set[] = {RDS_STR("SET"), RDS_STR(key), RDS_STR("1"), RDS_STR("PX"), rds_num(PROBE_TTL_MS, ttl)};
	struct rds_arg del[] = {RDS_STR("DEL"), RDS_STR(key)};
	if (operator_command(&d->op, 5, set, NULL, NULL) || operator_command(&d->op, 2, del, NULL, NULL))
		doctor_fail(d, "writing: %s: free memory or disk, or lift what forbids it", d->op.fault);
	else
		doctor_ok(d, "Redis takes writes");
}

static void on_time(void *ctx, const struct redisReply *reply)
{
	int64_t seconds = 0, micros = 0;
	if (reply_int(reply_at(reply, 0), &seconds) && reply_int(reply_at(reply, 1), &micros) && seconds > 0 &&
	    seconds < INT64_MAX / 1000 && micros >= 0 && micros < 1000000)
		*(int64_t *)ctx = seconds * 1000 + micros / 1000;
}

static void check_clock(struct doctor *d)
{
	struct rds_arg argv[] = {RDS_STR("TIME")};
	int64_t theirs = 0, before = (int64_t)clock_wall_ms();
	if (operator_command(&d->op, 1, argv, on_time, &theirs) || theirs == 0) {
		doctor_warn(d, "%s: the clocks could not be compared", d->op.fault);
		return;
	}
	int64_t off = llabs(theirs - (before + (int64_t)clock_wall_ms()) / 2);
	if (off >= CLOCK_FAIL_MS)
		doctor_fail(d, "this clock and Redis's are %lld s apart: messages expire at the wrong time; run NTP on both",
			    (long long)off / 1000);
	else if (off >= CLOCK_WARN_MS)
		doctor_warn(d, "this clock and Redis's are %lld ms apart: run NTP on both", (long long)off);
	else
		doctor_ok(d, "the clocks agree (within %lld ms)", (long long)off + 1);
}

bool doctor_check_redis(struct doctor *d)
{
	struct info info = {.version = "unknown"};
	if (operator_open(&d->op, d->settings, true)) {
		doctor_fail(d, "%s", d->op.fault);
		return false;
	}
	check_info(d, &info);
	check_config(d, &info);
	check_write(d);
	check_clock(d);
	return d->op.rds != NULL;
}
