/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "option.h"
#include "say.h"
#include "submit.h"

#include "wire/topic.h"

#include <string.h>

enum { TTL_MAX_S = 2592000 };

struct options {
	struct option_names to;
	const char *topic, *id, *collapse, *priority;
	int64_t ttl_s;
	bool no_store, receipt;
};

static const struct option options[] = {
	{.name = "to", .letter = 't', .kind = OPTION_NAMES, .offset = offsetof(struct options, to),
	 .value = "USER", .doc = "the user who is to get it; may be given several times"},
	{.name = "topic", .kind = OPTION_TEXT, .offset = offsetof(struct options, topic), .value = "TOPIC",
	 .doc = "to whoever has subscribed to it, in place of --to"},
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
	{.name = "receipt", .kind = OPTION_FLAG, .offset = offsetof(struct options, receipt),
	 .doc = "ask for a receipt: `restante receipts` prints it"},
	{.name = NULL},
};

static int check_use(const struct options *o, int argc, char **argv)
{
	const char *fault = o->topic ? topic_fault(o->topic, strlen(o->topic)) : NULL;
	if (!o->to.count && !o->topic)
		return option_usage(&cmd_send, "--to is missing: the user who is to get the message");
	if (o->to.count && o->topic)
		return option_usage(&cmd_send, "--to and --topic are both given; a message has one of them");
	if (fault)
		return option_usage(&cmd_send, "--topic %s; it must be " TOPIC_RULE, fault);
	if (o->priority && strcmp(o->priority, "low") != 0 && strcmp(o->priority, "normal") != 0 &&
	    strcmp(o->priority, "high") != 0)
		return option_usage(&cmd_send, "--priority is low, normal or high");
	if (o->id && strcmp(o->id, "-") == 0)
		return option_usage(&cmd_send, "--id cannot be \"-\"");
	if (o->no_store && o->receipt)
		return option_usage(&cmd_send, "--receipt is for messages that are stored; leave --no-store out");
	if (argc > 2)
		return option_usage(&cmd_send, "more than one body; put it in quotes");
	return submit_check_body(&cmd_send, argc > 1 ? argv[1] : NULL);
}

/* The verb and whom it is for; for many, their names are the beginning of the body. */
static int write_head(struct buf *request, const struct options *o, struct buf *names)
{
	int err = RS_OK;
	if (o->topic)
		return buf_printf(request, "SEND 1\r\ntopic %s\r\n", o->topic);
	if (o->to.count == 1)
		return buf_printf(request, "SEND 1\r\nto %s\r\n", o->to.at[0]);
	for (size_t i = 0; i < o->to.count && !err; i++)
		err = buf_printf(names, "%s\n", o->to.at[i]);
	return err ? err : buf_printf(request, "SENDMANY 1\r\ncount %zu\r\n", o->to.count);
}

static int write_request(struct buf *request, const struct options *o, const struct buf *body)
{
	struct buf names = {0};
	int err = write_head(request, o, &names);
	if (!err)
		err = buf_printf(request, "store %s\r\nlength %zu\r\n", o->no_store ? "no" : "yes",
				 buf_len(&names) + buf_len(body));
	if (!err && o->id)
		err = buf_printf(request, "id %s\r\n", o->id);
	if (!err && o->collapse)
		err = buf_printf(request, "collapse %s\r\n", o->collapse);
	if (!err && o->priority)
		err = buf_printf(request, "priority %s\r\n", o->priority);
	if (!err && o->ttl_s)
		err = buf_printf(request, "ttl %lld\r\n", (long long)o->ttl_s);
	if (!err && o->receipt)
		err = buf_printf(request, "receipt yes\r\n");
	if (!err)
		err = buf_append(request, "\r\n", 2);
	if (!err && buf_len(&names))
		err = buf_append(request, buf_head(&names), buf_len(&names));
	if (!err && buf_len(body))
		err = buf_append(request, buf_head(body), buf_len(body));
	buf_deinit(&names);
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
	.usage = "--to USER... | --topic TOPIC [--app NAME] [--id ID] [--ttl SECONDS] [--no-store | --receipt]\n"
		 "          [--collapse KEY] [--priority low|normal|high] [BODY | -]",
	.summary = "send a message to a user, to several, or to a topic",
	.text = "Sends BODY, or standard input when BODY is - or absent, through a Data Center (dc), in\n"
		"the name of the App that app and app_key_file name. The body may be any bytes, 0 to\n"
		"16384 of them.\n\n"
		"Standard output: the message's id and its state: stored (kept until the user is\n"
		"online), pushed (the user is online), dropped (not to be stored, and offline) or\n"
		"duplicate (this --id was taken before). To a topic the state is accepted: it is on its way\n"
		"to those who have subscribed. With several --to the id stands alone on the first line, and\n"
		"a line for each user follows, USER STATE; there the state may also be full (the user's\n"
		"queue), unavailable (not stored, Redis is away) or unknown.\n\n"
		"Exit codes: " EXIT_HELP ".",
	.options = options,
	.run = run,
};
