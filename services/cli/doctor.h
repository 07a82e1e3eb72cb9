/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `restante doctor`: each looks at one thing and reports in lines of
 *
 *   ok   what is well
 *   warn what may become a trouble: how to mend it
 *   FAIL what does not work: how to mend it */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "operator.h"

struct doctor {
	const struct settings *settings;
	struct operator op;
	unsigned warned, failed;
	struct member lbs[REGISTRY_MEMBERS_MAX]; /* as found in the registry */
	size_t lb_count;
};

void doctor_ok(struct doctor *d, const char *fmt, ...) RS_PRINTF(2, 3);
void doctor_warn(struct doctor *d, const char *fmt, ...) RS_PRINTF(2, 3);
void doctor_fail(struct doctor *d, const char *fmt, ...) RS_PRINTF(2, 3);

/* doctor_redis.c: the server. False: it cannot be used, so nothing that needs it
 * can be looked at. */
bool doctor_check_redis(struct doctor *d);
/* doctor_registry.c: DCs, balancers, brokers. */
void doctor_check_registry(struct doctor *d);
/* doctor_path.c: the way of an App and the way of a client. */
void doctor_check_dcs(struct doctor *d);
void doctor_check_balancers(struct doctor *d);

#endif
