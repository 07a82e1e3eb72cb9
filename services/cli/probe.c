/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 2000, ANSWER_MS = 2000 };

int probe_wait(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd p = {fd, events, 0};
	for (;;) {
		uint64_t now = clock_mono_ms();
		int n = poll(&p, 1, deadline_ms > now ? (int)(deadline_ms - now) : 0);
		if (n > 0)
			return RS_OK;
		if (n == 0)
			return RS_ETIMEOUT;
		if (errno != EINTR)
			return RS_ESYS;
	}
}

static int finish_connect(int fd, unsigned timeout_ms)
{
	int e = 0;
	socklen_t len = sizeof e;
	int err = probe_wait(fd, POLLOUT, clock_mono_ms() + timeout_ms);
	if (!err && (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 || e)) {
		if (e)
			errno = e;
		err = RS_ESYS;
	}
	return err;
}

int probe_connect(const struct addr *to, unsigned timeout_ms, int *fd)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(to, &ss);
	*fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return RS_ESYS;
	int err = RS_OK;
	if (connect(*fd, (const struct sockaddr *)&ss, len) < 0)
		err = errno == EINPROGRESS ? finish_connect(*fd, timeout_ms) : RS_ESYS;
	if (err) {
		int saved = errno;
		close(*fd);
		*fd = -1;
		errno = saved;
	}
	return err;
}

const char *probe_reason(int err) { return err == RS_ESYS ? strerror(errno) : err_str(err); }

/* An inline PING; the first bytes of the answer. */
static int ping(int fd, char answer[64])
{
	static const char request[] = "PING\r\n";
	size_t len = 0;
	uint64_t deadline_ms = clock_mono_ms() + ANSWER_MS;
	answer[0] = '\0';
	if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
		return RS_ESYS;
	while (!strchr(answer, '\n') && len < 63) {
		int err = probe_wait(fd, POLLIN, deadline_ms);
		ssize_t n = err ? 0 : recv(fd, answer + len, 63 - len, 0);
		if (err)
			return err;
		if (n <= 0)
			return n < 0 ? RS_ESYS : RS_ELOST;
		len += (size_t)n;
		answer[len] = '\0';
	}
	return RS_OK;
}

static int judge(const char *answer, bool have_password, char *why)
{
	bool wants = strncmp(answer, "-NOAUTH", 7) == 0;
	if (wants && have_password)
		return RS_OK;
	if (wants) {
		snprintf(why, PROBE_WHY_MAX, "wants a password; set redis_password_file");
		return RS_EAUTH;
	}
	if (strncmp(answer, "-DENIED", 7) == 0) {
		snprintf(why, PROBE_WHY_MAX, "is in protected mode and refuses other hosts; see its `bind` and `requirepass`");
		return RS_EAUTH;
	}
	if (*answer == '+' || *answer == '-')
		return RS_OK; /* -LOADING and others say it themselves, later */
	snprintf(why, PROBE_WHY_MAX, "does not speak the protocol of Redis; is the address right?");
	return RS_EREMOTE;
}

int probe_redis(const struct addr *at, bool have_password, char why[PROBE_WHY_MAX])
{
	char answer[64];
	int fd = -1;
	int err = probe_connect(at, CONNECT_MS, &fd);
	if (err) {
		snprintf(why, PROBE_WHY_MAX, "cannot be reached: %s; is it running, and the setting redis right?",
			 probe_reason(err));
		return err;
	}
	err = ping(fd, answer);
	if (err)
		snprintf(why, PROBE_WHY_MAX, "does not answer: %s", probe_reason(err));
	else
		err = judge(answer, have_password, why);
	close(fd);
	return err;
}
