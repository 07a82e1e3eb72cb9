/* SPDX-License-Identifier: Apache-2.0 */
#include "support/http_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAIT_S = 2 };

static int dial(const struct addr *to)
{
	struct sockaddr_storage ss;
	struct timeval wait = {.tv_sec = WAIT_S};
	socklen_t len = addr_to_sockaddr(to, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
	if (connect(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	close(fd);
	return -1;
}

int http_get(const struct addr *to, const char *path, char page[HTTP_PAGE_MAX])
{
	char ask[128];
	size_t got = 0;
	int code = -1, fd = dial(to);
	page[0] = '\0';
	if (fd < 0)
		return -1;
	int len = snprintf(ask, sizeof ask, "GET %s HTTP/1.0\r\n\r\n", path);
	ssize_t n = send(fd, ask, (size_t)len, MSG_NOSIGNAL);
	while (n > 0 && got < HTTP_PAGE_MAX - 1) {
		n = recv(fd, page + got, HTTP_PAGE_MAX - 1 - got, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	page[got] = '\0';
	char *body = strstr(page, "\r\n\r\n");
	if (!body || sscanf(page, "HTTP/1.%*d %d", &code) != 1) {
		page[0] = '\0';
		return -1;
	}
	memmove(page, body + 4, strlen(body + 4) + 1);
	return code;
}

double http_metric(const struct addr *to, const char *name)
{
	static char page[HTTP_PAGE_MAX];
	char mark[128];
	if (http_get(to, "/metrics", page) != 200)
		return -1;
	snprintf(mark, sizeof mark, "\n%s ", name);
	const char *at = strstr(page, mark);
	return at ? strtod(at + strlen(mark), NULL) : -1;
}
