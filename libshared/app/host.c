/* SPDX-License-Identifier: Apache-2.0 */
#include "app/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_password(const struct daemon_config *c, char *out, size_t cap, char *fault,
			 size_t fault_cap)
{
	size_t len = 0;
	char why[400];
	out[0] = '\0';
	if (!c->redis_password_file[0])
		return RS_OK;
	int err = keyfile_read_secret(c->redis_password_file, out, cap, &len, why, sizeof why);
	if (err)
		snprintf(fault, fault_cap, "redis_password_file: %s", why);
	return err;
}

int host_check_password(const struct daemon_config *c, char *fault, size_t fault_cap)
{
	char password[HOST_PASSWORD_MAX];
	int err = read_password(c, password, sizeof password, fault, fault_cap);
	explicit_bzero(password, sizeof password);
	return err;
}

int host_redis_config(const struct daemon_config *c, uint32_t timeout_ms, uint32_t max_in_flight,
		      char password[HOST_PASSWORD_MAX], struct rds_config *out, char *fault,
		      size_t fault_cap)
{
	int err = read_password(c, password, HOST_PASSWORD_MAX, fault, fault_cap);
	*out = (struct rds_config){
		.addr = c->redis,
		.password = password[0] ? password : NULL,
		.command_timeout_ms = timeout_ms,
		.max_in_flight = max_in_flight,
	};
	return err;
}

int host_listen_fault(int err, const char *setting, const struct addr *at, char *fault, size_t fault_cap)
{
	char text[ADDR_TEXT_MAX];
	snprintf(fault, fault_cap, "%s %s: %s", setting, addr_format(at, text),
		 err == RS_ESYS ? strerror(errno) : err_str(err));
	return err;
}

static bool is_given(const struct addr *a)
{
	static const struct addr none;
	return !addr_equal(a, &none);
}

static bool is_wildcard(const struct addr *a)
{
	static const uint8_t zero[16];
	return memcmp(a->ip, zero, 16) == 0 || (addr_is_v4(a) && memcmp(a->ip + 12, zero, 4) == 0);
}

/* The address by which this host reaches Redis: others reach this host there. */
static int find_own_address(const struct addr *redis, struct addr *out)
{
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(redis, &ss);
	int err = RS_ESYS;
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err;
	if (connect(fd, (struct sockaddr *)&ss, len) == 0) {
		len = sizeof ss;
		if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
			err = addr_from_sockaddr(&ss, out);
	}
	close(fd);
	return err;
}

struct addr host_advertised(const struct addr *set, struct addr bound, const struct addr *redis)
{
	struct addr own;
	if (is_given(set))
		return *set;
	if (is_wildcard(&bound) && find_own_address(redis, &own) == RS_OK)
		memcpy(bound.ip, own.ip, sizeof bound.ip);
	return bound;
}

int host_check_advertised(const char *setting, const struct addr *set, char *fault, size_t fault_cap)
{
	if (!is_given(set) || !is_wildcard(set))
		return RS_OK;
	snprintf(fault, fault_cap, "%s must be an address that others can reach, not a wildcard", setting);
	return RS_EINVAL;
}
