/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_redis.h"

#include "probe.h"
#include "say.h"

#include "app/keyfile.h"
#include "base/clock.h"
#include "rds/keys.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECT_MS = 3000, SESSION_MS = 15 * 60 * 1000, DEPTH = 256 };

/* ---- the form of commands and replies ---- */

int bench_redis_command(struct buf *out, size_t argc, const struct rds_arg *argv)
{
	int err = buf_printf(out, "*%zu\r\n", argc);
	for (size_t i = 0; i < argc && !err; i++) {
		err = buf_printf(out, "$%zu\r\n", argv[i].len);
		if (!err)
			err = buf_append(out, argv[i].data, argv[i].len);
		if (!err)
			err = buf_append(out, "\r\n", 2);
	}
	return err;
}

static size_t whole_array(const uint8_t *data, size_t len, size_t at, long count, unsigned depth);

static size_t whole_at(const uint8_t *data, size_t len, unsigned depth)
{
	const uint8_t *end = len ? memchr(data, '\n', len) : NULL;
	if (depth > 8)
		return SIZE_MAX;
	if (!end)
		return 0;
	size_t line = (size_t)(end - data) + 1;
	long n = data[0] == '$' || data[0] == '*' ? strtol((const char *)data + 1, NULL, 10) : 0;
	switch (data[0]) {
	case '+':
	case '-':
	case ':':
		return line;
	case '$':
		return n < 0 ? line : line + (size_t)n + 2 <= len ? line + (size_t)n + 2 : 0;
	case '*':
		return whole_array(data, len, line, n, depth);
	default:
		return SIZE_MAX;
	}
}

static size_t whole_array(const uint8_t *data, size_t len, size_t at, long count, unsigned depth)
{
	for (long i = 0; i < count; i++) {
		size_t n = whole_at(data + at, len - at, depth + 1);
		if (n == 0 || n == SIZE_MAX)
			return n;
		at += n;
	}
	return at;
}

size_t bench_redis_whole(const uint8_t *data, size_t len) { return whole_at(data, len, 0); }

/* ---- one row of commands ---- */

struct row {
	struct bench_redis *redis;
	int (*make)(const struct row *row, uint64_t i, struct buf *out);
	uint32_t from;
	enum script_id script;
	const char *field; /* of a reply that is text: what stands behind this is added */
	const char *topic;
	const struct ulid *id;
	int64_t sum;       /* of replies that are numbers */
};

static int make_one(void *ctx, uint64_t i, struct buf *out)
{
	const struct row *row = ctx;
	return row->make(row, i, out);
}

static int take_one(void *ctx, uint64_t i, const uint8_t *data, size_t len)
{
	struct row *row = ctx;
	(void)i;
	if (data[0] == ':')
		row->sum += strtol((const char *)data + 1, NULL, 10);
	if (data[0] == '$' && row->field) {
		const char *at = memmem(data, len, row->field, strlen(row->field));
		row->sum += at ? strtoll(at + strlen(row->field), NULL, 10) : 0;
	}
	if (data[0] == '-') {
		if (row->redis->errors++ == 0)
			say("Redis refuses: %.*s", (int)(len > 202 ? 200 : len - 2), (const char *)data);
		return RS_EREMOTE;
	}
	return RS_OK;
}

static int run_row(struct row *row, uint64_t count)
{
	static const struct pipe_handler handler = {bench_redis_whole, make_one, take_one};
	struct pipe p;
	int err = pipe_init(&p, row->redis->fd, &handler, row, count, DEPTH);
	if (!err)
		err = pipe_run(&p, 1);
	pipe_deinit(&p);
	if (err && err != RS_EREMOTE)
		say("Redis cannot be used for the benchmark: %s", err_str(err));
	return err;
}

/* ---- connecting ---- */

static int make_auth(const struct row *row, uint64_t i, struct buf *out)
{
	char password[SECRET_MAX + 1], why[400];
	size_t len;
	(void)i;
	int err = keyfile_read_secret(row->redis->bench->settings->redis_password_file, password,
				      sizeof password, &len, why, sizeof why);
	if (err) {
		say("redis_password_file: %s", why);
		return RS_EREMOTE;
	}
	struct rds_arg argv[] = {RDS_STR("AUTH"), RDS_MEM(password, len)};
	err = bench_redis_command(out, 2, argv);
	explicit_bzero(password, sizeof password);
	return err;
}

int bench_redis_open(struct bench_redis *r, const struct bench *b)
{
	char at[ADDR_TEXT_MAX];
	int one = 1;
	*r = (struct bench_redis){.bench = b, .fd = -1};
	int err = probe_connect(&b->settings->redis, CONNECT_MS, &r->fd);
	if (err) {
		say("Redis at %s cannot be reached: %s", addr_format(&b->settings->redis, at), probe_reason(err));
		return err;
	}
	setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (!b->settings->redis_password_file[0])
		return RS_OK;
	struct row row = {.redis = r, .make = make_auth};
	return run_row(&row, 1);
}

void bench_redis_close(struct bench_redis *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static int make_load(const struct row *row, uint64_t i, struct buf *out)
{
	(void)i;
	const struct script *s = &scripts[row->script];
	struct rds_arg argv[] = {RDS_STR("SCRIPT"), RDS_STR("LOAD"), RDS_MEM(s->source, s->source_len)};
	return bench_redis_command(out, 3, argv);
}

int bench_redis_load(struct bench_redis *r, enum script_id script)
{
	struct row row = {.redis = r, .make = make_load, .script = script};
	return run_row(&row, 1);
}

/* ---- users ---- */

size_t bench_user(const struct bench *b, uint32_t i, char out[BENCH_USER_MAX])
{
	return (size_t)snprintf(out, BENCH_USER_MAX, "%s%u", b->prefix, i);
}

size_t bench_session(const struct bench *b, uint32_t i, char out[BENCH_SESSION_MAX])
{
	return (size_t)snprintf(out, BENCH_SESSION_MAX, "session-of-%s%u", b->prefix, i);
}

static int make_session(const struct row *row, uint64_t i, struct buf *out)
{
	char key[KEY_MAX], user[BENCH_USER_MAX], session[BENCH_SESSION_MAX], num[3][RDS_NUM_MAX];
	const struct bench *b = row->redis->bench;
	int64_t now = (int64_t)clock_wall_ms();
	size_t session_len = bench_session(b, (uint32_t)i, session);
	size_t key_len = key_session(key, session, session_len);
	struct rds_arg argv[] = {
		RDS_STR("EVALSHA"), RDS_STR(scripts[SCRIPT_SESSION_CREATE].sha1), RDS_STR("1"),
		RDS_MEM(key, key_len), RDS_MEM(user, bench_user(b, (uint32_t)i, user)),
		rds_num(now, num[0]), rds_num(now + SESSION_MS, num[1]), rds_num(now + SESSION_MS, num[2]),
	};
	return bench_redis_command(out, 8, argv);
}

int bench_redis_make_sessions(struct bench_redis *r, uint32_t count)
{
	struct row row = {.redis = r, .make = make_session};
	int err = bench_redis_load(r, SCRIPT_SESSION_CREATE);
	return err ? err : run_row(&row, count);
}

static int make_clean(const struct row *row, uint64_t i, struct buf *out)
{
	char key[4][KEY_MAX], user[BENCH_USER_MAX], session[BENCH_SESSION_MAX];
	uint32_t n = row->from + (uint32_t)i;
	size_t user_len = bench_user(row->redis->bench, n, user);
	size_t session_len = bench_session(row->redis->bench, n, session);
	struct rds_arg argv[] = {
		RDS_STR("DEL"), RDS_MEM(key[0], key_queue(key[0], user, user_len, PRIORITY_NORMAL)),
		RDS_MEM(key[1], key_presence(key[1], user, user_len)),
		RDS_MEM(key[2], key_session(key[2], session, session_len)),
		RDS_MEM(key[3], key_journal(key[3], user, user_len)),
	};
	return bench_redis_command(out, 5, argv);
}

int bench_redis_clean(struct bench_redis *r, uint32_t from, uint32_t to)
{
	struct row row = {.redis = r, .make = make_clean, .from = from};
	return r->fd < 0 ? RS_EDOWN : run_row(&row, to - from);
}

static int make_subscribe(const struct row *row, uint64_t i, struct buf *out)
{
	char key[KEY_MAX], user[BENCH_USER_MAX];
	struct rds_arg argv[] = {RDS_STR("SADD"), RDS_MEM(key, key_topic(key, row->topic, strlen(row->topic))),
				 RDS_MEM(user, bench_user(row->redis->bench, (uint32_t)i, user))};
	return bench_redis_command(out, 3, argv);
}

int bench_redis_subscribe(struct bench_redis *r, const char *topic, uint32_t count)
{
	struct row row = {.redis = r, .make = make_subscribe, .topic = topic};
	return run_row(&row, count);
}

static int make_forget_topic(const struct row *row, uint64_t i, struct buf *out)
{
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("UNLINK"), RDS_MEM(key, key_topic(key, row->topic, strlen(row->topic)))};
	(void)i;
	return bench_redis_command(out, 2, argv);
}

int bench_redis_forget_topic(struct bench_redis *r, const char *topic)
{
	struct row row = {.redis = r, .make = make_forget_topic, .topic = topic};
	return run_row(&row, 1);
}

/* What remembers that user i was served; the first one takes the fan-out with it. */
static int make_forget_fan(const struct row *row, uint64_t i, struct buf *out)
{
	char key[3][KEY_MAX], user[BENCH_USER_MAX], id[ULID_TEXT + 1];
	const char *app = row->redis->bench->settings->app;
	size_t user_len = bench_user(row->redis->bench, (uint32_t)i, user);
	ulid_format(row->id, id);
	struct rds_arg argv[] = {
		RDS_STR("DEL"), RDS_MEM(key[0], key_once(key[0], user, user_len, app, strlen(app), id, ULID_TEXT)),
		RDS_MEM(key[1], key_fan(key[1], row->id)), RDS_MEM(key[2], key_fan_body(key[2], row->id)),
	};
	return bench_redis_command(out, i == 0 ? 4 : 2, argv);
}

int bench_redis_forget_fan(struct bench_redis *r, const struct ulid *id, uint32_t count)
{
	struct row row = {.redis = r, .make = make_forget_fan, .id = id};
	return run_row(&row, count);
}

static int make_exists(const struct row *row, uint64_t i, struct buf *out)
{
	char key[KEY_MAX], user[BENCH_USER_MAX];
	size_t user_len = bench_user(row->redis->bench, (uint32_t)i, user);
	struct rds_arg argv[] = {RDS_STR("EXISTS"), RDS_MEM(key, key_queue(key, user, user_len, PRIORITY_NORMAL))};
	return bench_redis_command(out, 2, argv);
}

int bench_redis_queues(struct bench_redis *r, uint32_t count, uint32_t *left)
{
	struct row row = {.redis = r, .make = make_exists};
	int err = run_row(&row, count);
	*left = (uint32_t)row.sum;
	return err;
}

static int make_info(const struct row *row, uint64_t i, struct buf *out)
{
	struct rds_arg argv[] = {RDS_STR("INFO"), RDS_STR("memory")};
	(void)row, (void)i;
	return bench_redis_command(out, 2, argv);
}

int bench_redis_memory(struct bench_redis *r, int64_t *bytes)
{
	struct row row = {.redis = r, .make = make_info, .field = "used_memory:"};
	int err = run_row(&row, 1);
	*bytes = row.sum;
	return err;
}
