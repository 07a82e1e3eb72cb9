/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include "probe.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 3000, ANSWER_MS = 10000, PAGE_MAX = 1 << 20 };

static int ask(int fd, const char *path)
{
	char text[512];
	int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: restante\r\nConnection: close\r\n\r\n", path);
	if (len >= (int)sizeof text)
		return RS_ELIMIT;
	return send(fd, text, (size_t)len, MSG_NOSIGNAL) == len ? RS_OK : RS_ELOST;
}

static int read_all(int fd, struct buf *page)
{
	uint64_t until = clock_mono_ms() + ANSWER_MS;
	while (buf_len(page) < PAGE_MAX) {
		if (probe_wait(fd, POLLIN, until))
			return RS_ETIMEOUT;
		if (buf_reserve(page, 4097))
			return RS_ENOMEM;
		ssize_t n = recv(fd, buf_tail(page), 4096, 0);
		if (n == 0)
			return RS_OK;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return RS_ELOST;
		if (n > 0)
			buf_commit(page, (size_t)n);
	}
	return RS_ELIMIT;
}

/* Leaves the body. */
static int take_head(struct buf *page, int *code)
{
	static const char version[] = "HTTP/1.1 ";
	int err = buf_append(page, "", 1);
	if (err)
		return err;
	const char *text = (const char *)buf_head(page), *end = strstr(text, "\r\n\r\n");
	if (strncmp(text, version, sizeof version - 1) != 0 || !end)
		return RS_EREMOTE;
	*code = atoi(text + sizeof version - 1);
	buf_consume(page, (size_t)(end + 4 - text));
	page->end--; /* the NUL stays, and does not count */
	return RS_OK;
}

int page_get(const struct addr *at, const char *path, int *code, struct buf *out, const char **why)
{
	int fd = -1;
	*why = "it gives no answer of that kind";
	int err = probe_connect(at, CONNECT_MS, &fd);
	if (err) {
		*why = probe_reason(err);
		return err;
	}
	err = ask(fd, path);
	if (!err)
		err = read_all(fd, out);
	if (!err)
		err = take_head(out, code);
	if (err == RS_ETIMEOUT)
		*why = "it does not answer in time";
	close(fd);
	return err;
}
