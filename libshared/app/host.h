/* SPDX-License-Identifier: Apache-2.0 */
/* This daemon's surroundings, the same for each: its Redis connection with the
 * password from a file, and the address it tells others. */
#ifndef APP_HOST_H
#define APP_HOST_H

#include "app/daemon.h"
#include "app/keyfile.h"
#include "rds/rds.h"

struct host_redis {
	struct rds *rds;
	char password[SECRET_MAX + 1]; /* the connection borrows it */
};

/* For a daemon's check(): the password file can be read. */
RS_MUST_CHECK int host_check_password(const struct daemon_config *c, char *fault, size_t fault_cap);
RS_MUST_CHECK int host_redis_open(struct host_redis *h, struct ev_loop *loop,
				  const struct daemon_config *c, uint32_t timeout_ms,
				  uint32_t max_in_flight, rds_state_fn *on_state, void *ctx,
				  char *fault, size_t fault_cap);
void host_redis_close(struct host_redis *h);

/* What others are told: `set` if it is given; else where the socket is bound, with
 * this host's own address (the one it reaches Redis from) in place of a wildcard. */
struct addr host_advertised(const struct addr *set, struct addr bound, const struct addr *redis);
/* For a daemon's check(): an advertised address that is given must not be a wildcard. */
RS_MUST_CHECK int host_check_advertised(const char *setting, const struct addr *set, char *fault,
					size_t fault_cap);

#endif
