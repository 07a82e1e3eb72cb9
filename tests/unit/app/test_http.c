/* SPDX-License-Identifier: Apache-2.0 */
#include "app/http.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_S 10.0

static struct ev_loop *loop;
static struct http *http;
static const char *reason;     /* what not_ready() says */
static bool metrics_fail;
static unsigned scrapes;

static void write_metrics(void *ctx, struct metrics *m)
{
	scrapes++;
	cr_expect_eq(ctx, &reason);
	metrics_counter(m, "scrapes_total", "Scrapes.", scrapes);
	if (metrics_fail)
		m->failed = true;
}

static const char *not_ready(void *ctx)
{
	(void)ctx;
	return reason;
}

static int write_greeting(void *ctx, const char *value, struct buf *out)
{
	cr_expect_eq(ctx, &reason);
	if (!value)
		return RS_ENOMEM;
	int err = buf_printf(out, "hello %s\n", value);
	return !err && strcmp(value, "nobody") == 0 ? RS_EINVAL : err;
}

static const struct http_handler handler = {write_metrics, not_ready, {"/greet", "name", write_greeting}};

static struct addr loopback(void)
{
	struct addr a;
	cr_assert_eq(addr_parse("127.0.0.1:0", &a), RS_OK);
	return a;
}

static void set_up(void)
{
	struct addr a = loopback();
	loop = ev_loop_new(EVFLAG_AUTO);
	cr_assert_eq(http_open(&http, loop, &a, &handler, &reason), RS_OK);
}

static void tear_down(void)
{
	http_close(http);
	ev_loop_destroy(loop);
}

TestSuite(http, .init = set_up, .fini = tear_down);

static int dial(void)
{
	struct sockaddr_storage ss;
	struct addr a = http_local(http);
	socklen_t len = addr_to_sockaddr(&a, &ss);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&ss, len), 0, "%s", strerror(errno));
	return fd;
}

static void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

struct reading {
	char text[8192];
	size_t len;
	const char *until; /* NULL: the end of the connection */
	bool ended, late;
};

static void on_reading(struct ev_loop *l, ev_io *w, int revents)
{
	struct reading *r = w->data;
	(void)revents;
	ssize_t n = recv(w->fd, r->text + r->len, sizeof r->text - 1 - r->len, MSG_DONTWAIT);
	if (n > 0)
		r->len += (size_t)n;
	r->text[r->len] = '\0';
	r->ended = n <= 0;
	if (r->ended || (r->until && strstr(r->text, r->until)))
		ev_break(l, EVBREAK_ALL);
}

static void on_deadline(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)revents;
	((struct reading *)w->data)->late = true;
	ev_break(l, EVBREAK_ALL);
}

/* Runs the server's loop until the answer is there. */
static struct reading hear(int fd, const char *until)
{
	struct reading r = {.until = until};
	ev_io io;
	ev_timer timer;
	ev_io_init(&io, on_reading, fd, EV_READ);
	ev_timer_init(&timer, on_deadline, DEADLINE_S, 0.0);
	io.data = timer.data = &r;
	ev_io_start(loop, &io);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
	ev_io_stop(loop, &io);
	ev_timer_stop(loop, &timer);
	cr_assert_not(r.late, "no answer; so far: %s", r.text);
	return r;
}

static struct reading ask(const char *method, const char *path)
{
	char request[256];
	int fd = dial();
	snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
	say(fd, request);
	struct reading r = hear(fd, NULL);
	close(fd);
	return r;
}

static void expect(const char *method, const char *path, const char *status, const char *body)
{
	struct reading r = ask(method, path);
	char want[64];
	snprintf(want, sizeof want, "HTTP/1.1 %s ", status);
	cr_expect(strncmp(r.text, want, strlen(want)) == 0, "%s %s: %s", method, path, r.text);
	const char *head_end = strstr(r.text, "\r\n\r\n");
	cr_assert_not_null(head_end);
	cr_expect_str_eq(head_end + 4, body, "%s %s", method, path);
}

Test(http, healthz_says_ok) { expect("GET", "/healthz", "200", "ok\n"); }

Test(http, readyz_says_ready_or_why_not)
{
	expect("GET", "/readyz", "200", "ready\n");
	reason = "Redis is away";
	expect("GET", "/readyz", "503", "Redis is away\n");
	expect("GET", "/healthz", "200", "ok\n");
	reason = NULL;
	expect("GET", "/readyz", "200", "ready\n");
}

Test(http, a_long_reason_is_cut)
{
	static char long_reason[2000];
	memset(long_reason, 'x', sizeof long_reason - 1);
	reason = long_reason;
	struct reading r = ask("GET", "/readyz");
	cr_expect(strstr(r.text, " 503 "));
	cr_expect_eq(r.text[r.len - 1], '\n');
}

Test(http, metrics_are_written_anew_for_each_request)
{
	expect("GET", "/metrics", "200",
	       "# HELP restante_scrapes_total Scrapes.\n# TYPE restante_scrapes_total counter\nrestante_scrapes_total 1\n");
	struct reading r = ask("GET", "/metrics");
	cr_expect(strstr(r.text, "Content-Type: text/plain; version=0.0.4\r\n"), "%s", r.text);
	cr_expect(strstr(r.text, "restante_scrapes_total 2\n"));
}

Test(http, a_page_that_could_not_be_made_is_an_error)
{
	metrics_fail = true;
	expect("GET", "/metrics", "500", "out of memory\n");
}

Test(http, head_is_get_without_the_body)
{
	struct reading r = ask("HEAD", "/healthz");
	cr_expect(strncmp(r.text, "HTTP/1.1 200 ", 13) == 0, "%s", r.text);
	cr_expect(strstr(r.text, "Content-Length: 3\r\n"), "%s", r.text);
	cr_expect_eq(strcmp(strstr(r.text, "\r\n\r\n"), "\r\n\r\n"), 0, "%s", r.text);
	expect("HEAD", "/metrics", "200", "");
	expect("HEAD", "/nothing", "404", "");
}

Test(http, a_page_of_the_daemons_own)
{
	expect("GET", "/greet?name=alice", "200", "hello alice\n");
	expect("GET", "/greet?other=1&name=%5B::1%5D", "200", "hello [::1]\n");
	expect("GET", "/greet?name=nobody", "400", "hello nobody\n");
	expect("GET", "/greet", "500", "out of memory\n");
	expect("HEAD", "/greet?name=alice", "200", "");
	expect("GET", "/greet/more?name=alice", "404", "not found; there are /metrics, /healthz and /readyz\n");
}

Test(http, other_paths_are_not_found)
{
	static const char *const paths[] = {"/", "/metric", "/metrics/", "/healthz2", "/../etc/passwd", "//metrics"};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		expect("GET", paths[i], "404", "not found; there are /metrics, /healthz and /readyz\n");
	expect("POST", "/nothing", "404", "not found; there are /metrics, /healthz and /readyz\n");
}

Test(http, other_methods_are_refused)
{
	static const char *const methods[] = {"DELETE", "PUT", "OPTIONS", "BREW"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		expect(methods[i], "/metrics", "405", "only GET and HEAD are answered here\n");
	cr_expect_eq(scrapes, 0);
	struct reading r = ask("PATCH", "/readyz");
	cr_expect(strstr(r.text, "Allow: GET, HEAD\r\n"), "%s", r.text);
}

Test(http, a_post_with_a_body_is_refused)
{
	int fd = dial();
	say(fd, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	struct reading r = hear(fd, "here\n");
	cr_expect(strncmp(r.text, "HTTP/1.1 405 ", 13) == 0, "%s", r.text);
	close(fd);
	expect("GET", "/healthz", "200", "ok\n");
}

Test(http, a_query_does_not_matter) { expect("GET", "/healthz?verbose=1", "200", "ok\n"); }

Test(http, a_connection_serves_several_requests)
{
	int fd = dial();
	for (int i = 0; i < 3; i++) {
		say(fd, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
		struct reading r = hear(fd, "ready\n");
		cr_expect_not(r.ended);
		cr_expect(strncmp(r.text, "HTTP/1.1 200 ", 13) == 0, "%s", r.text);
	}
	close(fd);
}

Test(http, a_request_may_come_in_pieces)
{
	int fd = dial();
	say(fd, "GET /heal");
	for (int i = 0; i < 5; i++)
		ev_run(loop, EVRUN_NOWAIT);
	say(fd, "thz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	struct reading r = hear(fd, NULL);
	cr_expect(strstr(r.text, "\r\n\r\nok\n"), "%s", r.text);
	close(fd);
}

Test(http, garbage_harms_nobody_else)
{
	int fd = dial();
	say(fd, "\x16\x03\x01 this is not HTTP\r\n\r\n");
	struct reading r = hear(fd, NULL);
	cr_expect(r.ended);
	close(fd);
	expect("GET", "/healthz", "200", "ok\n");
}

/* Over the limit they wait until others go; nobody is harmed. */
Test(http, too_many_connections_wait)
{
	int fds[HTTP_CONNECTIONS_MAX + 8];
	size_t count = sizeof fds / sizeof *fds;
	for (size_t i = 0; i < count; i++) {
		fds[i] = dial();
		ev_run(loop, EVRUN_NOWAIT);
	}
	say(fds[count - 1], "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (int i = 0; i < 20; i++)
		ev_run(loop, EVRUN_NOWAIT);
	char c;
	cr_expect_lt(recv(fds[count - 1], &c, 1, MSG_DONTWAIT | MSG_PEEK), 0, "the limit did not hold");
	for (size_t i = 0; i + 1 < count; i++)
		close(fds[i]);
	struct reading r = hear(fds[count - 1], NULL);
	cr_expect(strstr(r.text, "\r\n\r\nok\n"), "%s", r.text);
	close(fds[count - 1]);
}

Test(http, an_address_in_use_is_reported)
{
	struct http *second = NULL;
	struct addr a = http_local(http);
	cr_expect_eq(http_open(&second, loop, &a, &handler, NULL), RS_ESYS);
	cr_expect_eq(errno, EADDRINUSE);
}

Test(http, closing_with_connections_open_leaves_nothing)
{
	int fd = dial();
	say(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "ok\n");
	http_close(http);
	http = NULL;
	char c;
	cr_expect_eq(recv(fd, &c, 1, 0), 0);
	close(fd);
}
