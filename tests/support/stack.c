/* SPDX-License-Identifier: Apache-2.0 */
#include "support/stack.h"

#include "base/clock.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "base/bytes.h"
#include "rds/keys.h"
#include "support/http_get.h"
#include "support/lua_call.h"
#include "support/net_support.h"
#include "support/ports.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { ARGS_MAX = 40, KEYS_MAX = 512, STORED_MAX = 262144, STOP_MS = 10000, LOG_LINES = 25 };

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); }

/* ---- command lines ---- */

struct args {
	const char *argv[ARGS_MAX];
	char text[ARGS_MAX][TEMP_PATH_MAX];
	size_t count;
};

static void RS_PRINTF(2, 3) put(struct args *a, const char *fmt, ...)
{
	va_list ap;
	cr_assert_lt(a->count, ARGS_MAX - 1);
	va_start(ap, fmt);
	vsnprintf(a->text[a->count], sizeof *a->text, fmt, ap);
	va_end(ap);
	a->argv[a->count] = a->text[a->count];
	a->count++;
}

static void put_addr(struct args *a, const char *flag, uint16_t port)
{
	put(a, "%s", flag);
	put(a, "127.0.0.1:%u", port);
}

static void put_common(struct args *a, const struct stack_daemon *d)
{
	char path[TEMP_PATH_MAX];
	const struct stack *s = d->stack;
	put(a, "restante-%s", d->kind);
	put(a, "--id=%s", d->id);
	put(a, "--log-level=debug");
	put_addr(a, "--redis", s->redis.port);
	put_addr(a, "--listen-http", d->http);
	if (s->options.run_as)
		put(a, "--run-as=%s", s->options.run_as);
	if (s->options.plaintext)
		put(a, "--cluster-plaintext=yes");
	else
		put(a, "--cluster-secret-file=%s", temp_path(&s->dir, "cluster.secret", path));
}

static void put_key(struct args *a, const struct stack_daemon *d, const char *name)
{
	char path[TEMP_PATH_MAX];
	put(a, "--key-file=%s", temp_path(&d->stack->dir, name, path));
}

static void put_clients(struct args *a, const struct stack_daemon *d)
{
	put_addr(a, "--listen-clients", d->front);
	if (d->relay.pid)
		put_addr(a, "--advertise-clients", d->relay.port);
}

static void put_flags(struct args *a, const char *const *flag)
{
	for (; flag && *flag; flag++)
		put(a, "%s", *flag);
}

static void launch(struct stack_daemon *d)
{
	struct args a = {0};
	char key[32];
	const struct stack_options *o = &d->stack->options;
	put_common(&a, d);
	if (strcmp(d->kind, "dc") == 0) {
		put_addr(&a, "--listen-apps", d->front);
		put_addr(&a, "--listen-brokers", d->links);
		put(&a, "--durability=%s", o->in_memory ? "memory" : "fsync");
		put_flags(&a, o->dc_flags);
	} else if (strcmp(d->kind, "lb") == 0) {
		put_clients(&a, d);
		put_addr(&a, "--listen-brokers", d->links);
		put_key(&a, d, "lb.key"); /* one for all: clients pin it */
		put_flags(&a, o->lb_flags);
	} else {
		put_clients(&a, d);
		snprintf(key, sizeof key, "%s.key", d->id);
		put_key(&a, d, key);
		put(&a, "--heartbeat-s=%u", o->heartbeat_s);
		put(&a, "--lease-s=%u", o->lease_s);
		put_flags(&a, o->mb_flags);
		put_flags(&a, o->own_flags[d - d->stack->mb]);
	}
	daemon_process_start(&d->process, a.argv, NULL);
}

/* ---- start and stop ---- */

static void prepare(struct stack *s, struct stack_daemon *d, const char *kind, unsigned number)
{
	*d = (struct stack_daemon){
		.stack = s, .kind = kind, .front = port_take(), .links = port_take(), .http = port_take()};
	snprintf(d->id, sizeof d->id, "%s%u", kind, number);
	if (s->options.relays && strcmp(kind, "dc") != 0)
		relay_start(&d->relay, d->front, &s->options.relay);
	launch(d);
}

static void each(struct stack *s, void (*what)(struct stack_daemon *d))
{
	for (unsigned i = 0; i < s->options.mbs; i++)
		what(&s->mb[i]);
	for (unsigned i = 0; i < s->options.dcs; i++)
		what(&s->dc[i]);
	for (unsigned i = 0; i < s->options.lbs; i++)
		what(&s->lb[i]);
}

static void wait_ready(struct stack_daemon *d) { stack_wait_ready(d); }

static void start_daemons(struct stack *s)
{
	struct stack_options *o = &s->options;
	for (unsigned i = 0; i < o->lbs; i++) {
		prepare(s, &s->lb[i], "lb", i + 1);
		daemon_process_wait_log(&s->lb[i].process, "listening"); /* the first makes the key */
	}
	for (unsigned i = 0; i < o->dcs; i++)
		prepare(s, &s->dc[i], "dc", i + 1);
	for (unsigned i = 0; i < o->mbs; i++)
		prepare(s, &s->mb[i], "mb", i + 1);
	each(s, wait_ready);
}

static unsigned at_least_one(unsigned n)
{
	cr_assert_leq(n, STACK_KIND_MAX);
	return n ? n : 1;
}

void stack_start(struct stack *s, const struct stack_options *options)
{
	char path[TEMP_PATH_MAX];
	*s = (struct stack){.options = *options};
	struct stack_options *o = &s->options;
	o->dcs = at_least_one(o->dcs);
	o->mbs = at_least_one(o->mbs);
	o->lbs = at_least_one(o->lbs);
	o->heartbeat_s = o->heartbeat_s ? o->heartbeat_s : 1;
	o->lease_s = o->lease_s ? o->lease_s : 10;
	temp_dir_make(&s->dir);
	temp_file(&s->dir, "cluster.secret", "a secret of the cluster, in a test\n", 0600, path);
	redis_server_start(&s->redis, &(struct redis_options){.append_always = !o->in_memory});
	s->c = lua_connect(s->redis.port);
	stack_app(s, "chat");
	start_daemons(s);
}

static void tell_stop(struct stack_daemon *d)
{
	if (d->process.pid <= 0)
		return;
	kill(d->process.pid, SIGCONT);
	kill(d->process.pid, SIGTERM);
}

static void see_stop(struct stack_daemon *d)
{
	if (d->process.pid > 0)
		daemon_process_wait(&d->process, STOP_MS);
	if (d->process.name)
		daemon_process_stop_clean(&d->process);
	relay_stop(&d->relay);
	*d = (struct stack_daemon){0};
}

void stack_stop(struct stack *s)
{
	if (!s->c)
		return;
	each(s, tell_stop);
	each(s, see_stop);
	redisFree(s->c);
	s->c = NULL;
	redis_server_stop(&s->redis);
	temp_dir_remove(&s->dir);
}

/* ---- one daemon ---- */

void stack_kill(struct stack_daemon *d) { daemon_process_kill(&d->process); }

void stack_terminate(struct stack_daemon *d) { cr_assert_eq(kill(d->process.pid, SIGTERM), 0); }

void stack_restart(struct stack_daemon *d)
{
	daemon_process_stop_clean(&d->process); /* it may have been stopped by a signal of the test's */
	launch(d);
}

void stack_pause(struct stack_daemon *d)
{
	siginfo_t info = {0};
	cr_assert_eq(kill(d->process.pid, SIGSTOP), 0);
	cr_assert_eq(waitid(P_PID, (id_t)d->process.pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
	cr_assert_eq(info.si_code, CLD_STOPPED);
}

void stack_resume(struct stack_daemon *d) { cr_assert_eq(kill(d->process.pid, SIGCONT), 0); }

struct addr stack_http(const struct stack_daemon *d) { return net_loopback(d->http); }

double stack_metric(const struct stack_daemon *d, const char *name)
{
	char full[128];
	struct addr at = stack_http(d);
	snprintf(full, sizeof full, "restante_%s", name);
	return http_metric(&at, full);
}

bool stack_is_ready(const struct stack_daemon *d)
{
	static char page[HTTP_PAGE_MAX];
	struct addr at = stack_http(d);
	return http_get(&at, "/readyz", page) == 200;
}

bool stack_all_ready(const struct stack *s)
{
	for (unsigned i = 0; i < STACK_KIND_MAX; i++)
		if ((i < s->options.dcs && !stack_is_ready(&s->dc[i])) ||
		    (i < s->options.mbs && !stack_is_ready(&s->mb[i])) ||
		    (i < s->options.lbs && !stack_is_ready(&s->lb[i])))
			return false;
	return true;
}

void stack_wait_ready(const struct stack_daemon *d)
{
	static char page[HTTP_PAGE_MAX];
	struct addr at = stack_http(d);
	uint64_t until = clock_mono_ms() + STACK_WAIT_MS;
	while (http_get(&at, "/readyz", page) != 200) {
		cr_assert_lt(clock_mono_ms(), until, "%s is not ready: %s", d->id, page);
		nap();
	}
}

bool stack_has_sessions(const struct stack_daemon *mb, unsigned count)
{
	const char *is = redis_text(mb->stack->c, "HGET rs:broker:%s sessions", mb->id);
	return (unsigned)atoi(is) == count && *is != 'n';
}

static void show_log(const struct stack_daemon *d)
{
	char line[1024];
	long left = 0;
	FILE *f = fopen(d->process.log, "re");
	if (!f)
		return;
	while (fgets(line, sizeof line, f))
		left++;
	rewind(f);
	while (fgets(line, sizeof line, f))
		if (left-- <= LOG_LINES)
			fprintf(stderr, "  %s| %s", d->id, line);
	fclose(f);
}

void stack_show_logs(const struct stack *s)
{
	for (unsigned i = 0; i < STACK_KIND_MAX; i++) {
		show_log(&s->dc[i]);
		show_log(&s->mb[i]);
		show_log(&s->lb[i]);
	}
}

/* ---- what is in Redis ---- */

const char *stack_session(struct stack *s, const char *user, int ends_in_s, char out[STACK_SESSION])
{
	uint8_t raw[(STACK_SESSION - 1) / 2];
	char key[KEY_MAX + 1];
	int64_t now = lua_now_ms(s->c), end = now + 1000ll * ends_in_s;
	random_bytes(raw, sizeof raw);
	hex_encode(raw, sizeof raw, out);
	key[key_session(key, out, strlen(out))] = '\0';
	cr_assert_str_eq(lua(s->c, SCRIPT_SESSION_CREATE, 1, key, user, lua_num(now), lua_num(end),
			     lua_num(now + 86400000)),
			 "1");
	return out;
}

void stack_app(struct stack *s, const char *app)
{
	char key[80], hash[2 * SHA256_BYTES + 1];
	snprintf(key, sizeof key, "rs:app:%s", app);
	sha256_hex(STACK_KEY, strlen(STACK_KEY), hash);
	cr_assert_str_eq(lua(s->c, SCRIPT_APP_CREATE, 1, key, hash, "1700000000000"), "1");
}

void stack_client_of(struct stack *s, unsigned dc, const char *app, struct text_client *c)
{
	struct addr apps = net_loopback(s->dc[dc].front);
	text_client_open(c, &apps);
	text_client_auth(c, app, STACK_KEY);
}

void stack_client(struct stack *s, struct text_client *c) { stack_client_of(s, 0, "chat", c); }

void stack_send(struct stack *s, const char *user, const char *body)
{
	struct text_client app;
	stack_client(s, &app);
	struct text_answer a = text_client_ask(&app, "SEND 1\r\nto %s\r\nlength %zu\r\n\r\n%s", user,
					       strlen(body), body);
	cr_assert_eq(a.code, 200, "%s", a.text);
	text_client_close(&app);
}

const char *stack_balancers(const struct stack *s)
{
	static char text[STACK_KIND_MAX * ADDR_TEXT_MAX];
	size_t at = 0;
	for (unsigned i = 0; i < s->options.lbs; i++) {
		const struct stack_daemon *d = &s->lb[i];
		at += (size_t)snprintf(text + at, sizeof text - at, "%s127.0.0.1:%u", i ? "," : "",
				       d->relay.pid ? d->relay.port : d->front);
	}
	return text;
}

const char *stack_balancer_key(const struct stack *s)
{
	static char text[80];
	char path[TEMP_PATH_MAX];
	FILE *f = fopen(temp_path(&s->dir, "lb.key.pub", path), "re");
	cr_assert(f && fgets(text, sizeof text, f), "the balancer has no public key");
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_of_daemons(const char *key)
{
	static const char *const prefix[] = {"rs:broker", "rs:dc", "rs:lb"};
	for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++)
		if (strncmp(key, prefix[i], strlen(prefix[i])) == 0)
			return true;
	return false;
}

/* DUMP would give the order in which a hash was filled, and bytes. */
static const char *content(struct stack *s, const char *key)
{
	char type[16];
	snprintf(type, sizeof type, "%s", redis_text(s->c, "TYPE %s", key));
	if (strcmp(type, "hash") == 0)
		return redis_text(s->c, "HGETALL %s", key);
	if (strcmp(type, "list") == 0)
		return redis_text(s->c, "LRANGE %s 0 -1", key);
	return strcmp(type, "string") == 0 ? redis_text(s->c, "GET %s", key) : type[0] ? "other" : "";
}

const char *stack_stored(struct stack *s)
{
	static char texts[2][STORED_MAX];
	static unsigned turn;
	char *out = texts[turn++ % 2];
	const char *keys[KEYS_MAX];
	size_t at = 0, count = 0;
	redisReply *r = redisCommand(s->c, "KEYS *");
	cr_assert(r && r->type == REDIS_REPLY_ARRAY && r->elements < KEYS_MAX);
	for (size_t i = 0; i < r->elements; i++)
		if (!is_of_daemons(r->element[i]->str))
			keys[count++] = r->element[i]->str;
	qsort(keys, count, sizeof *keys, compare);
	out[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		at += (size_t)snprintf(out + at, STORED_MAX - at, "%s %s\n", keys[i], content(s, keys[i]));
		cr_assert_lt(at, STORED_MAX);
	}
	freeReplyObject(r);
	return out;
}
