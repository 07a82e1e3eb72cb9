/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "option.h"
#include "say.h"
#include "textclient.h"

#include "base/name.h"
#include "wire/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TTL_MAX_S = 2592000 };

struct options {
	const char *to, *id;
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
	{.name = "no-store", .kind = OPTION_FLAG, .offset = offsetof(struct options, no_store),
	 .doc = "only if the user is online; else it is dropped"},
	{.name = NULL},
};

static int check_use(const struct options *o, int argc)
{
	if (!o->to)
		return option_usage(&cmd_send, "--to is missing: the user who is to get the message");
	if (o->id && strcmp(o->id, "-") == 0)
		return option_usage(&cmd_send, "--id cannot be \"-\"");
	if (argc > 2)
		return option_usage(&cmd_send, "more than one body; put it in quotes");
	if (argc < 2 && isatty(STDIN_FILENO))
		return option_usage(&cmd_send, "no body; give it as an argument, or - for standard input");
	return EXIT_DONE;
}

static int read_input(struct buf *body)
{
	for (;;) {
		if (buf_reserve(body, 4096))
			return say("out of memory"), RS_ENOMEM;
		ssize_t n = read(STDIN_FILENO, buf_tail(body), 4096);
		if (n < 0 && errno != EINTR)
			return say("standard input cannot be read: %s", strerror(errno)), RS_ESYS;
		if (n == 0)
			return RS_OK;
		if (n > 0)
			buf_commit(body, (size_t)n);
		if (buf_len(body) > RECORD_BODY_MAX)
			return RS_OK; /* too long; how much more there is does not matter */
	}
}

static int read_body(const char *arg, struct buf *body)
{
	bool from_input = !arg || strcmp(arg, "-") == 0;
	int err = from_input ? read_input(body) : buf_append(body, arg, strlen(arg));
	if (!err && buf_len(body) > RECORD_BODY_MAX) {
		say("the body is too long; at most %d bytes", RECORD_BODY_MAX);
		err = RS_ELIMIT;
	}
	return err;
}

static int write_request(struct buf *request, const struct options *o, const struct buf *body)
{
	int err = buf_printf(request, "SEND 1\r\nto %s\r\nstore %s\r\nlength %zu\r\n", o->to,
			     o->no_store ? "no" : "yes", buf_len(body));
	if (!err && o->id)
		err = buf_printf(request, "id %s\r\n", o->id);
	if (!err && o->ttl_s)
		err = buf_printf(request, "ttl %lld\r\n", (long long)o->ttl_s);
	if (!err)
		err = buf_append(request, "\r\n", 2);
	if (!err && buf_len(body))
		err = buf_append(request, buf_head(body), buf_len(body));
	return err;
}

static void say_unknown(const struct options *o)
{
	say("whether the message was taken is not known; %s",
	    o->id ? "send it again with the same --id" : "to send again without a double, an --id is needed");
}

static void say_refused(const struct options *o, const struct text_answer *a)
{
	const char *reason = text_answer_value(a, "reason");
	if (a->code == 504)
		say_unknown(o);
	else
		say("the message was not taken: %u %s", a->code, reason ? reason : "");
}

static int deliver(const struct settings *s, const struct options *o, const struct buf *request)
{
	struct textclient t;
	struct text_answer answer;
	int code = EXIT_FAILED;
	textclient_init(&t, s, false);
	if (textclient_open(&t))
		goto done;
	int err = textclient_ask(&t, request, &answer);
	const char *id = text_answer_value(&answer, "message"), *state = text_answer_value(&answer, "state");
	if (err == RS_EREMOTE)
		say_refused(o, &answer);
	else if (err)
		say_unknown(o);
	else if (!id || !state)
		say("the DC's answer lacks the message id");
	else if (printf("%s %s\n", id, state) > 0)
		code = EXIT_DONE;
done:
	textclient_close(&t);
	return code;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {0};
	struct buf body = {0}, request = {0};
	if (option_parse(&cmd_send, &argc, argv, &o))
		return EXIT_USAGE;
	int code = check_use(&o, argc);
	if (code)
		return code;
	code = EXIT_FAILED;
	if (read_body(argc > 1 ? argv[1] : NULL, &body))
		goto done;
	if (write_request(&request, &o, &body))
		say("out of memory");
	else
		code = deliver(s, &o, &request);
done:
	buf_deinit(&body);
	buf_deinit(&request);
	return code;
}

const struct command cmd_send = {
	.name = "send",
	.usage = "--to USER [--app NAME] [--id ID] [--ttl SECONDS] [--no-store] [BODY | -]",
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
