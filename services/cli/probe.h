/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking TCP with deadlines, and what it tells about a server. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include "base/addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROBE_WHY_MAX 256

/* A connected non-blocking socket; RS_ESYS with errno, RS_ETIMEOUT. */
RS_MUST_CHECK int probe_connect(const struct addr *to, unsigned timeout_ms, int *fd);
/* Waits for `events` (POLLIN, POLLOUT) until clock_mono_ms() is deadline_ms. */
RS_MUST_CHECK int probe_wait(int fd, short events, uint64_t deadline_ms);
/* A phrase for what the two gave. */
const char *probe_reason(int err);
/* A Redis answers there, and wants a password only if we have one. Not 0: `why`
 * goes on after "Redis at 127.0.0.1:6379 " and says how to mend it. */
RS_MUST_CHECK int probe_redis(const struct addr *at, bool have_password, char why[PROBE_WHY_MAX]);

#endif
