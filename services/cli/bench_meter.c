/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_meter.h"

#include "probe.h"
#include "say.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 3000, ANSWER_MS = 10000, PAGE_MAX = 1 << 20 };

static int read_page(int fd, struct buf *page)
{
	static const char ask[] = "GET /metrics HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n";
	uint64_t until = clock_mono_ms() + ANSWER_MS;
	if (send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) != (ssize_t)sizeof ask - 1)
		return RS_ELOST;
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

static bool find(const char *page, const char *name, double *out)
{
	char line[80];
	int len = snprintf(line, sizeof line, "\nrestante_%s ", name);
	const char *at = strstr(page, line);
	if (at)
		*out = strtod(at + len, NULL);
	return at != NULL;
}

static int take(const char *page, struct reading *r)
{
	bool all = find(page, "resident_bytes", &r->resident_bytes) && find(page, "cpu_seconds_total", &r->cpu_s) &&
		   find(page, "mb_online", &r->online) && find(page, "mb_heartbeats_total", &r->heartbeats) &&
		   find(page, "mb_handshakes_total", &r->handshakes) &&
		   find(page, "mb_messages_pushed_total", &r->pushed) &&
		   find(page, "mb_messages_acked_total", &r->acked);
	return all ? RS_OK : RS_EREMOTE;
}

int meter_read(const struct addr *at, struct reading *out)
{
	char text[ADDR_TEXT_MAX];
	struct buf page = {0};
	int fd = -1;
	*out = (struct reading){0};
	int err = probe_connect(at, CONNECT_MS, &fd);
	if (err)
		say("the broker's metrics at %s cannot be reached: %s; is --metrics its listen_http?",
		    addr_format(at, text), probe_reason(err));
	if (!err)
		err = read_page(fd, &page);
	if (!err)
		err = buf_append(&page, "", 1);
	if (!err)
		err = take((const char *)buf_head(&page), out);
	if (err && fd >= 0)
		say("the page http://%s/metrics is not that of a broker", addr_format(at, text));
	buf_deinit(&page);
	if (fd >= 0)
		close(fd);
	return err;
}
