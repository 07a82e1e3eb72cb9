/* SPDX-License-Identifier: Apache-2.0 */
#include "app/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int privileges_find(const char *user, struct privileges *out, char *fault, size_t fault_cap)
{
	*out = (struct privileges){.is_root = geteuid() == 0};
	if (!out->is_root || !*user || strcmp(user, "root") == 0)
		return RS_OK;
	errno = 0;
	const struct passwd *pw = getpwnam(user);
	if (!pw) {
		snprintf(fault, fault_cap, "run_as = \"%s\": %s; write a user of this host, or root to stay root",
			 user, errno ? strerror(errno) : "no such user");
		return RS_EINVAL;
	}
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	out->drop = pw->pw_uid != 0;
	out->is_root = !out->drop;
	return RS_OK;
}

static int failed(const char *what, char *fault, size_t fault_cap)
{
	snprintf(fault, fault_cap, "cannot give up root (%s): %s; run_as = \"root\" stays root", what,
		 strerror(errno));
	return RS_ESYS;
}

int privileges_drop(const struct privileges *p, char *fault, size_t fault_cap)
{
	if (p->drop) {
		/* Groups first: afterwards there is no right left to do it. */
		if (setgroups(1, &p->gid) < 0)
			return failed("setgroups", fault, fault_cap);
		if (setresgid(p->gid, p->gid, p->gid) < 0)
			return failed("setgid", fault, fault_cap);
		if (setresuid(p->uid, p->uid, p->uid) < 0)
			return failed("setuid", fault, fault_cap);
		if (setuid(0) == 0 || seteuid(0) == 0 || geteuid() != p->uid || getegid() != p->gid) {
			errno = EPERM;
			return failed("it could be had back", fault, fault_cap);
		}
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed("prctl", fault, fault_cap);
	return RS_OK;
}
