/* SPDX-License-Identifier: Apache-2.0 */
/* Redis for one command: asks and waits. Whatever goes wrong is said on standard
 * error, naming the server, before a function returns something other than 0. */
#ifndef CLI_OPERATOR_H
#define CLI_OPERATOR_H

#include "settings.h"

#include "app/keyfile.h"
#include "app/registry.h"
#include "rds/rds.h"

struct ev_loop;

struct operator {
	const struct settings *settings; /* borrowed */
	struct ev_loop *loop;
	struct rds *rds;
	bool up;
	char password[SECRET_MAX + 1];
	bool quiet;                      /* say nothing: `fault` has it */
	char fault[512];
};

/* Looks at the answer, which is borrowed for the call. */
typedef void operator_reply_fn(void *ctx, const struct redisReply *reply);

/* Connects. Zeroed or not before; operator_close() is due in any case. */
RS_MUST_CHECK int operator_open(struct operator *op, const struct settings *s, bool quiet);
void operator_close(struct operator *op);

RS_MUST_CHECK int operator_command(struct operator *op, size_t argc, const struct rds_arg *argv,
				   operator_reply_fn *fn, void *ctx);
RS_MUST_CHECK int operator_script(struct operator *op, enum script_id script, size_t keys, size_t argc,
				  const struct rds_arg *argv, operator_reply_fn *fn, void *ctx);
/* The same for scripts and commands that answer with a number. */
RS_MUST_CHECK int operator_number(struct operator *op, enum script_id script, size_t keys, size_t argc,
				  const struct rds_arg *argv, int64_t *out);
/* All members of a kind, alive or not, by id; `members` has room for REGISTRY_MEMBERS_MAX. */
RS_MUST_CHECK int operator_members(struct operator *op, const char *kind, struct member *members,
				   size_t *count);
/* The same for a command that asks nothing else: connects for it. */
RS_MUST_CHECK int operator_list(const struct settings *s, const char *kind, struct member *members, size_t *count);

#endif
