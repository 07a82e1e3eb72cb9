/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM_MAX = 2048, SOCKET_BUFFER = 4 * 1024 * 1024 };

static void echo_forever(int fd)
{
	static uint8_t data[BATCH][DATAGRAM_MAX];
	static struct sockaddr_in from[BATCH];
	struct mmsghdr msgs[BATCH];
	struct iovec iovs[BATCH];
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			iovs[i] = (struct iovec){data[i], DATAGRAM_MAX};
			msgs[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i],
							  .msg_iov = &iovs[i], .msg_iovlen = 1};
		}
		int n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0) {
			struct pollfd w = {fd, POLLIN, 0};
			poll(&w, 1, -1);
			continue;
		}
		for (int i = 0; i < n; i++)
			iovs[i].iov_len = msgs[i].msg_len;
		sendmmsg(fd, msgs, (unsigned)n, MSG_NOSIGNAL);
	}
}

static int open_socket(struct addr *at)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof ss;
	int size = SOCKET_BUFFER, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (bind(fd, (struct sockaddr *)&local, sizeof local) == 0 &&
	    getsockname(fd, (struct sockaddr *)&ss, &len) == 0 && addr_from_sockaddr(&ss, at) == RS_OK)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int echo_start(struct echo *e)
{
	*e = (struct echo){.pid = -1};
	int fd = open_socket(&e->at);
	if (fd < 0)
		return RS_ESYS;
	pid_t parent = getpid();
	e->pid = fork();
	if (e->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			echo_forever(fd);
		_exit(0);
	}
	int saved = errno;
	close(fd);
	errno = saved;
	return e->pid < 0 ? RS_ESYS : RS_OK;
}

void echo_stop(struct echo *e)
{
	if (e->pid <= 0)
		return;
	kill(e->pid, SIGKILL);
	waitpid(e->pid, NULL, 0);
	e->pid = -1;
}

double echo_cpu_s(const struct echo *e)
{
	clockid_t clock;
	struct timespec t = {0, 0};
	if (e->pid > 0 && clock_getcpuclockid(e->pid, &clock) == 0)
		clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
