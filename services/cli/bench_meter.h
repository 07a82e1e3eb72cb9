/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker says of itself at /metrics, so that it may run on another host. */
#ifndef CLI_BENCH_METER_H
#define CLI_BENCH_METER_H

#include "base/addr.h"

struct reading {
	double resident_bytes, cpu_s, online, heartbeats, handshakes, pushed, acked;
};

/* Where a broker's metrics are: `given` (--metrics), or where NULL its port for
 * clients plus 80. Failures are said. */
RS_MUST_CHECK int meter_find(const char *given, const struct addr *broker, struct addr *out);
/* Asks http://<at>/metrics. Failures are said. */
RS_MUST_CHECK int meter_read(const struct addr *at, struct reading *out);

#endif
