/* SPDX-License-Identifier: Apache-2.0 */
#include "support/ports.h"

#include "crypto/random.h"
#include "support/net_support.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 11000, COUNT = 20000, TRIES = 500 };

/* The lock is a name in the kernel: it goes with the process, and is no file. The
 * descriptor stays open on purpose. */
static bool lock(uint16_t port)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "restante-test-port-%u", port);
	socklen_t name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (bind(fd, (struct sockaddr *)&name, name_len) == 0)
		return true;
	close(fd);
	return false;
}

static bool is_free(uint16_t port, int type)
{
	struct addr a = net_loopback(port);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, &ss);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&ss, len) == 0;
	if (fd >= 0)
		close(fd);
	return bound;
}

uint16_t port_take(void)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t r;
		random_bytes(&r, sizeof r);
		uint16_t port = (uint16_t)(FIRST + r % COUNT);
		if (lock(port) && is_free(port, SOCK_STREAM) && is_free(port, SOCK_DGRAM))
			return port;
	}
	fprintf(stderr, "ports: none is free\n");
	abort();
}
