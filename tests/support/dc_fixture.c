/* SPDX-License-Identifier: Apache-2.0 */
#include "support/dc_fixture.h"

#include "base/clock.h"
#include "crypto/hash.h"
#include "support/lua_call.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ARGS_MAX = 40, WAIT_MS = 20000 };

void dc_fixture_add_app(struct dc_fixture *f, const char *app)
{
	char key[80], hash[2 * SHA256_BYTES + 1];
	snprintf(key, sizeof key, "rs:app:%s", app);
	sha256_hex(DC_KEY, strlen(DC_KEY), hash);
	cr_assert_str_eq(lua(f->c, SCRIPT_APP_CREATE, 1, key, hash, "1700000000000"), "1");
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); }

static void start_dc(struct dc_fixture *f, bool durable, const char *const *args)
{
	char redis[ADDR_TEXT_MAX];
	struct addr at = redis_server_addr(&f->redis);
	const char *argv[ARGS_MAX] = {
		"restante-dc", "--listen-apps", "127.0.0.1:0", "--listen-brokers", "127.0.0.1:0",
		"--listen-http", "127.0.0.1:0", "--cluster-plaintext", "yes", "--log-level", "debug",
		"--redis", addr_format(&at, redis), "--durability", durable ? "fsync" : "memory",
	};
	size_t n = 15;
	for (size_t i = 0; args && args[i]; i++)
		argv[n++] = args[i];
	daemon_process_start(&f->dc, argv, NULL);
	f->apps = daemon_process_log_addr(&f->dc, "listening", "apps");
	f->brokers = daemon_process_log_addr(&f->dc, "listening", "brokers");
	f->http = daemon_process_log_addr(&f->dc, "http listening", "address");
}

void dc_fixture_start(struct dc_fixture *f, const struct redis_options *redis, const char *const *args)
{
	memset(f, 0, sizeof *f);
	redis_server_start(&f->redis, redis);
	f->c = lua_connect(f->redis.port);
	dc_fixture_add_app(f, "chat");
	start_dc(f, redis && redis->append_always, args);
	dc_fixture_wait_redis(f, true);
}

void dc_fixture_stop(struct dc_fixture *f)
{
	if (f->c)
		redisFree(f->c);
	f->c = NULL;
	daemon_process_stop_clean(&f->dc);
	redis_server_stop(&f->redis);
}

void dc_fixture_client(const struct dc_fixture *f, struct text_client *c)
{
	text_client_open(c, &f->apps);
	text_client_auth(c, "chat", DC_KEY);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *dc_fixture_stored(struct dc_fixture *f)
{
	static char texts[2][65536];
	static unsigned next;
	char *out = texts[next++ % 2];
	const char *keys[512];
	size_t at = 0;
	redisReply *r = redisCommand(f->c, "KEYS rs:{*");
	cr_assert(r && r->type == REDIS_REPLY_ARRAY && r->elements < 512);
	for (size_t i = 0; i < r->elements; i++)
		keys[i] = r->element[i]->str;
	qsort(keys, r->elements, sizeof *keys, compare);
	out[0] = '\0';
	for (size_t i = 0; i < r->elements; i++)
		at += (size_t)snprintf(out + at, sizeof texts[0] - at, "%s %s\n", keys[i],
				       redis_text(f->c, "DUMP %s", keys[i]));
	freeReplyObject(r);
	return out;
}

void dc_fixture_reconnect(struct dc_fixture *f)
{
	redisFree(f->c);
	f->c = lua_connect(f->redis.port);
}

double dc_fixture_metric(const struct dc_fixture *f, const char *name)
{
	static const char get[] = "GET /metrics HTTP/1.0\r\n\r\n";
	char page[65536], mark[128];
	size_t len = 0;
	int fd = net_raw_connect(&f->http);
	cr_assert_eq(send(fd, get, sizeof get - 1, MSG_NOSIGNAL), (ssize_t)(sizeof get - 1));
	for (ssize_t n = 1; n > 0 && len < sizeof page - 1; len += n > 0 ? (size_t)n : 0)
		n = recv(fd, page + len, sizeof page - 1 - len, 0);
	close(fd);
	page[len] = '\0';
	snprintf(mark, sizeof mark, "\n%s ", name);
	const char *at = strstr(page, mark);
	return at ? strtod(at + strlen(mark), NULL) : -1;
}

void dc_fixture_wait_redis(const struct dc_fixture *f, bool up)
{
	const char *name = up ? "restante_dc_redis_up" : "restante_dc_redis_connections";
	uint64_t until = clock_mono_ms() + WAIT_MS;
	while (dc_fixture_metric(f, name) != (up ? 1 : 0)) {
		cr_assert(clock_mono_ms() < until, "Redis does not go %s", up ? "up" : "down");
		nap();
	}
}
