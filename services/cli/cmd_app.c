/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "say.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "rds/keys.h"

#include <stdio.h>
#include <string.h>

enum { APP_KEY_BYTES = 32 };

static int store(const struct settings *s, const char *name, const char *app_key)
{
	struct operator op;
	char key[KEY_MAX], hash[2 * SHA256_BYTES + 1], num[RDS_NUM_MAX];
	int64_t created = 0;
	sha256_hex(app_key, strlen(app_key), hash);
	struct rds_arg argv[] = {
		RDS_MEM(key, key_app(key, name, strlen(name))), RDS_STR(hash),
		rds_num((int64_t)clock_wall_ms(), num),
	};
	int err = operator_open(&op, s, false);
	if (!err)
		err = operator_number(&op, SCRIPT_APP_CREATE, 1, 3, argv, &created);
	if (!err && created != 1) {
		say("the App \"%s\" exists already; its key stays as it is", name);
		err = RS_EREMOTE;
	}
	operator_close(&op);
	return err;
}

static int create(const struct settings *s, const char *name)
{
	uint8_t raw[APP_KEY_BYTES];
	char app_key[2 * APP_KEY_BYTES + 1];
	random_bytes(raw, sizeof raw);
	hex_encode(raw, sizeof raw, app_key);
	int err = store(s, name, app_key);
	if (!err)
		printf("%s\n", app_key);
	explicit_bzero(raw, sizeof raw);
	explicit_bzero(app_key, sizeof app_key);
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const verbs[] = {"create", NULL};
	if (option_parse(&cmd_app, &argc, argv, NULL))
		return EXIT_USAGE;
	if (argc > 1 && strcmp(argv[1], "create") != 0)
		return option_unknown_word(&cmd_app, verbs, argv[1]);
	if (argc != 3)
		return option_usage(&cmd_app, "wants: create NAME");
	if (!option_name_ok("app", argv[2]))
		return EXIT_USAGE;
	return create(s, argv[2]);
}

const struct command cmd_app = {
	.name = "app",
	.usage = "create NAME",
	.summary = "make an App and its key",
	.text = "Makes the App NAME and a random key for it. Redis holds the key's SHA-256 only: the key\n"
		"is printed this once. Keep it in a file of mode 0600, for app_key_file:\n\n"
		"  (umask 077; restante app create chat > chat.key)\n\n"
		"Standard output: the key, 64 hexadecimal digits.\n\n"
		"Exit codes: " EXIT_HELP ".\nAn App that exists is left as it is: 1.",
	.run = run,
};
