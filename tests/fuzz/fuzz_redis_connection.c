/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to Redis itself, to a server that is the input, on a socket: greeting,
 * answers, NOSCRIPT, the end at any place. Each request gets exactly one answer. What
 * nobody asked for ends the process inside of hiredis, and so is not sent. */
#include "resp.h"

#include "fuzz.h"

#include "rds/rds.h"

#include <errno.h>
#include <ev.h>
#include <hiredis/async.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUESTS = 6, TURNS = 6 };

struct world {
	struct rds *rds;
	unsigned answers[REQUESTS];
	unsigned asked;
	bool frees; /* rds_free() from inside of the next answer */
};

static char path[108];
static struct ev_loop *loop;
static int listening = -1;

static void remove_socket(void) { unlink(path); }

void fuzz_start(void)
{
	const char *dir = getenv("TMPDIR");
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(path, sizeof path, "%s/rs-fuzz-%d.sock", dir ? dir : "/tmp", (int)getpid());
	memcpy(sa.sun_path, path, sizeof path);
	unlink(path);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fuzz_check(listening >= 0 && bind(listening, (struct sockaddr *)&sa, sizeof sa) == 0 &&
			   listen(listening, 16) == 0, "no socket at %s: %s", path, strerror(errno));
	atexit(remove_socket);
	loop = ev_loop_new(EVFLAG_AUTO);
	fuzz_check(loop != NULL, "no loop");
}

/* In place of hiredis's own: TCP would run out of ports. */
redisAsyncContext *redisAsyncConnect(const char *ip, int port)
{
	(void)ip, (void)port;
	return redisAsyncConnectUnix(path);
}

static void turn(unsigned times)
{
	while (times-- > 0)
		ev_run(loop, EVRUN_NOWAIT);
}

static void on_state(void *ctx, bool up)
{
	struct world *w = ctx;
	fuzz_check(!w->rds || rds_is_up(w->rds) == up, "the state is not what is told");
}

static struct world *the_world;

static void on_reply(void *ctx, int err, const struct redisReply *reply)
{
	struct world *w = the_world;
	unsigned *count = ctx;
	fuzz_check((err == RS_OK || err == RS_EREMOTE) == (reply != NULL), "error %d, and a reply or none", err);
	fuzz_check(++*count == 1, "a request is answered twice");
	if (!w->frees || !w->rds)
		return;
	struct rds *r = w->rds;
	w->rds = NULL;
	rds_free(r);
}

/* ---- the server ---- */

struct server {
	int fd;                /* -1: gone */
	redisReader *requests;
	unsigned due;          /* requests that it has not answered */
};

static void listen_to(struct server *s)
{
	char text[65536];
	ssize_t n;
	void *request;
	turn(TURNS);
	while ((n = recv(s->fd, text, sizeof text, 0)) > 0)
		fuzz_check(redisReaderFeed(s->requests, text, (size_t)n) == REDIS_OK, "no reader");
	while (redisReaderGetReply(s->requests, &request) == REDIS_OK && request) {
		s->due++;
		freeReplyObject(request);
	}
	fuzz_check(s->requests->err == 0, "a malformed request is sent");
}

static void say(struct server *s, const void *data, size_t len)
{
	fuzz_check(send(s->fd, data, len, MSG_NOSIGNAL) >= 0 || errno == EPIPE || errno == EAGAIN || errno == ECONNRESET,
		   "not said");
	listen_to(s);
}

static void answer(struct server *s, const void *data, size_t len)
{
	s->due--;
	say(s, data, len);
}

/* The whole answers at the front of the stream, one at a time; then what is left. */
static void stream(struct server *s, struct piece p, bool cut)
{
	redisReader *r = redisReaderCreate();
	void *reply = NULL;
	size_t from = 0;
	for (size_t at = 0; at < p.len; at++) {
		fuzz_check(redisReaderFeed(r, (const char *)p.data + at, 1) == REDIS_OK, "no reader");
		if (redisReaderGetReply(r, &reply) != REDIS_OK)
			break;
		if (!reply)
			continue;
		if (s->due == 0)
			p.len = at; /* nobody waits for it */
		else
			answer(s, p.data + from, at + 1 - from);
		from = at + 1;
		freeReplyObject(reply);
	}
	redisReaderFree(r);
	if (from < p.len && cut)
		say(s, p.data + from, (p.len - from) / 2);
	else if (from < p.len)
		say(s, p.data + from, p.len - from);
}

static void greet(struct server *s)
{
	static const char role[] = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
	char text[100];
	answer(s, role, sizeof role - 1);
	for (unsigned i = 0; i < SCRIPT_COUNT; i++) {
		int len = snprintf(text, sizeof text, "$40\r\n%s\r\n", scripts[i].sha1);
		answer(s, text, (size_t)len);
	}
	fuzz_check(rds_is_up(the_world->rds), "a good greeting does not bring it up");
}

static void ask(struct world *w, unsigned kind)
{
	static const struct rds_arg get[] = {{"GET", 3}, {"key", 3}};
	unsigned *count = &w->answers[w->asked];
	if (!w->rds)
		return;
	int err = kind & 1 ? rds_script(w->rds, SCRIPT_MESSAGE_EXPIRE, 1, 2, get, on_reply, count)
			   : rds_command(w->rds, 2, get, on_reply, count);
	fuzz_check(err == RS_OK || err == RS_EDOWN || err == RS_EBUSY, "asked: %d", err);
	w->asked += err == RS_OK;
}

void fuzz_one(struct fuzz *in)
{
	struct world w = {.rds = NULL};
	struct rds_config config = {.max_in_flight = 5};
	uint8_t how = fuzz_byte(in);
	the_world = &w;
	struct server server = {.requests = redisReaderCreate()};
	fuzz_check(rds_new(&w.rds, loop, &config, on_state, &w) == RS_OK && server.requests, "no rds");
	turn(TURNS);
	server.fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	fuzz_check(server.fd >= 0, "it does not connect: %s", strerror(errno));
	listen_to(&server);
	if (how & 1)
		greet(&server);
	for (unsigned i = 0; i < REQUESTS; i++)
		ask(&w, how >> i);
	listen_to(&server);
	w.frees = how & 0x80;
	struct piece p = fuzz_rest(in);
	p.len = resp_sane(p.data, p.len < 4096 ? p.len : 4096);
	stream(&server, p, how & 0x40);
	ask(&w, 0);
	redisReaderFree(server.requests);
	close(server.fd);
	turn(TURNS);
	rds_free(w.rds);
	turn(1);
	for (unsigned i = 0; i < w.asked; i++)
		fuzz_check(w.answers[i] == 1, "request %u of %u got %u answers", i, w.asked, w.answers[i]);
	for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0;) /* it came back already */
		close(fd);
}
