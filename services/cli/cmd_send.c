/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "option.h"
#include "say.h"
#include "submit.h"

#include <string.h>

enum { TTL_MAX_S = 2592000 };

struct options {
	const char *to, *id, *collapse, *priority;
	int64_t ttl_s;
	bool no_store;
};

static const struct option options[] = {
	{.name = "to", .letter = 't', .kind = OPTION_NAME, .offset = offsetof(struct options, to),
	 .value = "USER", .doc = "the user who is to get it"},
	{.name = "id", .kind = OPTION_NAME, .offset = offsetof(struct options, id), .value = "ID",
	 .doc = "your own id; the same id is taken once in 24 hours"},
	{.name = "ttl", .kind = OPTION_NUMBER, .offset = offsetof(struct options, ttl_s), .value = "SECONDS",
	 .doc = "how long it is kept; else the DC's default", .min = 1, .max = TTL_MAX_S},
	{.name = "collapse", .kind = OPTION_NAME, .offset = offsetof(struct options, collapse), .value = "KEY",
	 .doc = "takes the place of a waiting message of this App with the same key"},
	{.name = "priority", .kind = OPTION_TEXT, .offset = offsetof(struct options, priority), .value = "low|normal|high",
	 .doc = "high is delivered first, low goes first when a queue is full"},
	{.name = "no-store", .kind = OPTION_FLAG, .offset = offsetof(struct options, no_store),
	 .doc = "only if the user is online; else it is dropped"},
	{.name = NULL},
};

static int check_use(const struct options *o, int argc, char **argv)
{
	if (!o->to)
		return option_usage(&cmd_send, "--to is missing: the user who is to get the message");
	if (o->priority && strcmp(o->priority, "low") != 0 && strcmp(o->priority, "normal") != 0 &&
	    strcmp(o->priority, "high") != 0)
		return option_usage(&cmd_send, "--priority is low, normal or high");
	if (o->id && strcmp(o->id, "-") == 0)
		return option_usage(&cmd_send, "--id cannot be \"-\"");
	if (argc > 2)
		return option_usage(&cmd_send, "more than one body; put it in quotes");
	return submit_check_body(&cmd_send, argc > 1 ? argv[1] : NULL);
}

static int write_request(struct buf *request, const struct options *o, const struct buf *body)
{
	int err = buf_printf(request, "SEND 1\r\nto %s\r\nstore %s\r\nlength %zu\r\n", o->to,
			     o->no_store ? "no" : "yes", buf_len(body));
	if (!err && o->id)
		err = buf_printf(request, "id %s\r\n", o->id);
	if (!err && o->collapse)
		err = buf_printf(request, "collapse %s\r\n", o->collapse);
	if (!err && o->priority)
		err = buf_printf(request, "priority %s\r\n", o->priority);
	if (!err && o->ttl_s)
		err = buf_printf(request, "ttl %lld\r\n", (long long)o->ttl_s);
	if (!err)
		err = buf_append(request, "\r\n", 2);
	if (!err && buf_len(body))
		err = buf_append(request, buf_head(body), buf_len(body));
	return err;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {0};
	struct buf body = {0}, request = {0};
	if (option_parse(&cmd_send, &argc, argv, &o))
		return EXIT_USAGE;
	int code = check_use(&o, argc, argv);
	if (code)
		return code;
	code = EXIT_FAILED;
	if (submit_read_body(argc > 1 ? argv[1] : NULL, &body))
		goto done;
	if (write_request(&request, &o, &body))
		say("out of memory");
	else
		code = submit_request(s, &request, o.id != NULL);
done:
	buf_deinit(&body);
	buf_deinit(&request);
	return code;
}

const struct command cmd_send = {
	.name = "send",
	.usage = "--to USER [--app NAME] [--id ID] [--ttl SECONDS] [--no-store]\n"
		 "          [--collapse KEY] [--priority low|normal|high] [BODY | -]",
	.summary = "send a message to a user",
	.text = "Sends BODY, or standard input when BODY is - or absent, through a Data Center (dc), in\n"
		"the name of the App that app and app_key_file name. The body may be any bytes, 0 to\n"
		"16384 of them.\n\n"
		"Standard output: the message's id and its state: stored (kept until the user is\n"
		"online), pushed (the user is online), dropped (not to be stored, and offline) or\n"
		"duplicate (this --id was taken before).\n\n"
		"Exit codes: " EXIT_HELP ".",
	.options = options,
	.run = run,
};
