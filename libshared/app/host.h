/* SPDX-License-Identifier: Apache-2.0 */
/* This daemon's surroundings, the same for each: how it reaches Redis, and the
 * address it tells others. */
#ifndef APP_HOST_H
#define APP_HOST_H

#include "app/daemon.h"
#include "app/keyfile.h"
#include "rds/rds.h"

#define HOST_PASSWORD_MAX (SECRET_MAX + 1)

/* The settings of a Redis connection, with the password (if there is a file for it)
 * in `password`, which must outlive the connection: wipe it then. Also for a daemon's
 * check(): that the file can be read. */
RS_MUST_CHECK int host_redis_config(const struct daemon_config *c, uint32_t timeout_ms,
				    uint32_t max_in_flight, char password[HOST_PASSWORD_MAX],
				    struct rds_config *out, char *fault, size_t fault_cap);
RS_MUST_CHECK int host_check_password(const struct daemon_config *c, char *fault, size_t fault_cap);

/* Writes "<setting> <address>: <reason>" for a socket that could not be opened;
 * returns err. errno is that of the failure. */
int host_listen_fault(int err, const char *setting, const struct addr *at, char *fault,
		      size_t fault_cap);

/* What others are told: `set` if it is given; else where the socket is bound, with
 * this host's own address (the one it reaches Redis from) in place of a wildcard. */
struct addr host_advertised(const struct addr *set, struct addr bound, const struct addr *redis);
/* For a daemon's check(): an advertised address that is given must not be a wildcard. */
RS_MUST_CHECK int host_check_advertised(const char *setting, const struct addr *set, char *fault,
					size_t fault_cap);

#endif
