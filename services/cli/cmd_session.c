/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "say.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "rds/keys.h"

#include <stdio.h>
#include <string.h>

enum {
	TTL_DEFAULT_S = 86400,
	TTL_MAX_S = 31536000,
	ID_BYTES = 32,
	KEEP_MS = 86400000, /* how long an expired session is still told from an unknown one */
};

struct options {
	int64_t ttl_s;
};

static const struct option options[] = {
	{.name = "ttl", .kind = OPTION_NUMBER, .offset = offsetof(struct options, ttl_s), .value = "SECONDS",
	 .doc = "how long it is good for; 86400 if not given", .min = 1, .max = TTL_MAX_S},
	{.name = NULL},
};

static int store(const struct settings *s, const char *user, const char *id, int64_t ttl_s)
{
	struct operator op;
	char key[KEY_MAX], num[3][RDS_NUM_MAX];
	int64_t now = (int64_t)clock_wall_ms(), expires = now + ttl_s * 1000, created = 0;
	struct rds_arg argv[] = {
		RDS_MEM(key, key_session(key, id, strlen(id))), RDS_STR(user),
		rds_num(now, num[0]), rds_num(expires, num[1]), rds_num(expires + KEEP_MS, num[2]),
	};
	int err = operator_open(&op, s, false);
	if (!err)
		err = operator_number(&op, SCRIPT_SESSION_CREATE, 1, 5, argv, &created);
	if (!err && created != 1) {
		say("this session id exists; try again");
		err = RS_EREMOTE;
	}
	operator_close(&op);
	return err;
}

static int create(const struct settings *s, const char *user, int64_t ttl_s)
{
	uint8_t raw[ID_BYTES];
	char id[2 * ID_BYTES + 1];
	random_bytes(raw, sizeof raw);
	hex_encode(raw, sizeof raw, id);
	int err = store(s, user, id, ttl_s);
	if (!err)
		printf("%s\n", id);
	explicit_bzero(raw, sizeof raw);
	explicit_bzero(id, sizeof id);
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const verbs[] = {"create", NULL};
	struct options o = {TTL_DEFAULT_S};
	if (option_parse(&cmd_session, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc > 1 && strcmp(argv[1], "create") != 0)
		return option_unknown_word(&cmd_session, verbs, argv[1]);
	if (argc != 3)
		return option_usage(&cmd_session, "wants: create USER");
	if (!option_name_ok("user", argv[2]))
		return EXIT_USAGE;
	return create(s, argv[2], o.ttl_s);
}

const struct command cmd_session = {
	.name = "session",
	.usage = "create USER [--ttl SECONDS]",
	.summary = "make a session id with which a user's client logs in",
	.text = "Makes a random session id for USER and records it in Redis (its hash, not the id).\n"
		"Whoever has it can log in as USER until it expires: hand it to that user's client over\n"
		"a safe way only.\n\n"
		"Standard output: the session id, 64 hexadecimal digits.\n\n"
		"Exit codes: " EXIT_HELP ".",
	.options = options,
	.run = run,
};
