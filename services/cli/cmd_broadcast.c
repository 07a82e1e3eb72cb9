/* SPDX-License-Identifier: Apache-2.0 */
/* Sends through a Data Center, in the name of an App; lists and withdraws in Redis,
 * as the operator who may see and take back what any App has sent. */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "output.h"
#include "say.h"
#include "submit.h"

#include "base/clock.h"
#include "rds/keys.h"

#include <stdio.h>
#include <string.h>

enum { LIFETIME_MAX_S = 2592000 };

struct options {
	const char *id;
	int64_t lifetime_s;
};

static const struct option options[] = {
	{.name = "lifetime", .kind = OPTION_NUMBER, .offset = offsetof(struct options, lifetime_s),
	 .value = "SECONDS", .doc = "keep it so long for those who log in later; else: who is online now",
	 .min = 1, .max = LIFETIME_MAX_S},
	{.name = "id", .kind = OPTION_NAME, .offset = offsetof(struct options, id), .value = "ID",
	 .doc = "your own id; with a lifetime, the same id is taken once in 24 hours"},
	{.name = NULL},
};

static int write_request(struct buf *request, const struct options *o, const struct buf *body)
{
	int err = buf_printf(request, "BROADCAST 1\r\nlength %zu\r\n", buf_len(body));
	if (!err && o->id)
		err = buf_printf(request, "id %s\r\n", o->id);
	if (!err && o->lifetime_s)
		err = buf_printf(request, "lifetime %lld\r\n", (long long)o->lifetime_s);
	if (!err)
		err = buf_append(request, "\r\n", 2);
	if (!err && buf_len(body))
		err = buf_append(request, buf_head(body), buf_len(body));
	return err;
}

static int run_send(const struct settings *s, const struct options *o, int argc, char **argv)
{
	const char *arg = argc > 2 ? argv[2] : NULL;
	struct buf body = {0}, request = {0};
	if (argc > 3)
		return option_usage(&cmd_broadcast, "more than one body; put it in quotes");
	if (o->id && strcmp(o->id, "-") == 0)
		return option_usage(&cmd_broadcast, "--id cannot be \"-\"");
	int code = submit_check_body(&cmd_broadcast, arg);
	if (code)
		return code;
	code = EXIT_FAILED;
	if (submit_read_body(arg, &body))
		goto done;
	if (write_request(&request, o, &body))
		say("out of memory");
	else
		code = submit_request(s, &request, o->id && o->lifetime_s);
done:
	buf_deinit(&body);
	buf_deinit(&request);
	return code;
}

static void on_kept(void *ctx, const struct redisReply *reply)
{
	size_t *unreadable = ctx;
	uint64_t now_ms = clock_wall_ms();
	for (size_t i = 0; i < reply_count(reply); i++) {
		struct record r;
		size_t len = 0;
		const char *data = reply_str(reply_at(reply, i), &len);
		if (!data || record_parse(data, len, &r))
			++*unreadable;
		else if (r.expires_ms > now_ms)
			output_record(&r);
	}
}

static int list(const struct settings *s)
{
	struct operator op;
	char key[KEY_MAX];
	size_t unreadable = 0;
	struct rds_arg argv[] = {RDS_STR("ZRANGE"), RDS_MEM(key, key_broadcasts(key)), RDS_STR("0"), RDS_STR("-1")};
	int err = operator_open(&op, s, false);
	if (!err)
		err = operator_command(&op, 4, argv, on_kept, &unreadable);
	operator_close(&op);
	if (unreadable)
		say("%zu elements are no messages; passed over", unreadable);
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int withdraw(const struct settings *s, const char *id)
{
	struct operator op;
	char kept[KEY_MAX], version[KEY_MAX];
	int64_t withdrawn = 0;
	size_t kept_len = key_broadcasts(kept), version_len = key_broadcasts_version(version);
	struct rds_arg argv[] = {RDS_MEM(kept, kept_len), RDS_MEM(version, version_len), RDS_STR(""), RDS_STR(id)};
	int err = operator_open(&op, s, false);
	if (!err)
		err = operator_number(&op, SCRIPT_BROADCAST_WITHDRAW, 2, 4, argv, &withdrawn);
	operator_close(&op);
	if (!err && withdrawn != 1)
		say("no broadcast with this id is kept");
	return !err && withdrawn == 1 ? EXIT_DONE : EXIT_FAILED;
}

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const verbs[] = {"send", "ls", "withdraw", NULL};
	struct options o = {0};
	struct ulid id;
	if (option_parse(&cmd_broadcast, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc < 2)
		return option_usage(&cmd_broadcast, "wants one of: send, ls, withdraw");
	if (strcmp(argv[1], "send") == 0)
		return run_send(s, &o, argc, argv);
	bool is_list = strcmp(argv[1], "ls") == 0;
	if (!is_list && strcmp(argv[1], "withdraw") != 0)
		return option_unknown_word(&cmd_broadcast, verbs, argv[1]);
	if (o.id || o.lifetime_s)
		return option_usage(&cmd_broadcast, "--id and --lifetime are for send");
	if (is_list)
		return argc == 2 ? list(s) : option_usage(&cmd_broadcast, "ls takes no arguments");
	if (argc != 3)
		return option_usage(&cmd_broadcast, "withdraw wants: ID");
	if (strlen(argv[2]) != ULID_TEXT || ulid_parse(argv[2], &id))
		return option_usage(&cmd_broadcast, "ID is a message id, 26 characters, as broadcast ls shows it");
	return withdraw(s, argv[2]);
}

const struct command cmd_broadcast = {
	.name = "broadcast",
	.usage = "send [--app NAME] [--id ID] [--lifetime SECONDS] [BODY | -]\nls\nwithdraw ID",
	.summary = "send a message to all users; list and withdraw those that are kept",
	.text = "send hands BODY, or standard input when BODY is - or absent, to all who are online, through\n"
		"a Data Center (dc), in the name of the App that app and app_key_file name. With --lifetime\n"
		"it is kept, and given once to each user who logs in before it ends. Standard output: the\n"
		"message's id and its state: kept, sent (to all brokers), dropped (no broker is there) or\n"
		"duplicate (this --id was taken before).\n"
		"ls lists those that are kept, oldest first, one line each: its id, the App, when it was\n"
		"sent, when it ends, the bytes of its body, the App's own id (- if none).\n"
		"withdraw takes one back, of whatever App: brokers see it within about a second, and who\n"
		"does not have it by then does not get it. Both go to Redis (redis).\n\n"
		"Exit codes: " EXIT_HELP ".\nNothing kept: 0 for ls. An id that is not kept: 1 for withdraw.",
	.options = options,
	.run = run,
};
