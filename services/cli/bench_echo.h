/* SPDX-License-Identifier: Apache-2.0 */
/* The bare limit: a process of its own on loopback that sends back each datagram,
 * recvmmsg/sendmmsg of 64 in one thread, and does nothing else. */
#ifndef CLI_BENCH_ECHO_H
#define CLI_BENCH_ECHO_H

#include "base/addr.h"

#include <sys/types.h>

struct echo {
	pid_t pid;
	struct addr at;
};

/* Early: a fork copies what there is. RS_ESYS with errno. */
RS_MUST_CHECK int echo_start(struct echo *e);
void echo_stop(struct echo *e);
/* Processor time it has used so far. */
double echo_cpu_s(const struct echo *e);

#endif
