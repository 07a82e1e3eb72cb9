/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "follow.h"
#include "output.h"
#include "say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	const char *after;
	struct follow_options follow;
};

static const struct option options[] = {
	{.name = "after", .kind = OPTION_TEXT, .offset = offsetof(struct options, after), .value = "CURSOR",
	 .doc = "begin after the receipt with this cursor; 0: with the first that is kept"},
	FOLLOW_OPTIONS(struct options, follow),
	{.name = NULL},
};

static int begun(void *ctx, const struct text_answer *a)
{
	const char *cursor = text_answer_value(a, "cursor");
	(void)ctx;
	if (!cursor)
		return RS_EINVAL;
	say("from cursor %s", cursor);
	if (text_answer_value(a, "missed"))
		say("the cursor is older than what is kept: receipts may have been missed");
	return RS_OK;
}

static int print(void *ctx, const struct text_answer *a)
{
	const char *cursor = text_answer_value(a, "cursor"), *id = text_answer_value(a, "message");
	const char *to = text_answer_value(a, "to"), *state = text_answer_value(a, "state");
	const char *at = text_answer_value(a, "at");
	char time[OUTPUT_TIME_MAX];
	(void)ctx;
	if (strcmp(a->text, "RECEIPT 1") != 0 || !cursor || !id || !to || !state || !at)
		return RS_EINVAL;
	printf("%s %s %s %s %s\n", cursor, output_time(strtoull(at, NULL, 10), time), state, id, to);
	return RS_OK;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {0};
	struct buf request = {0};
	if (option_parse(&cmd_receipts, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc != 1)
		return option_usage(&cmd_receipts, "takes no arguments");
	if (o.after && (!*o.after || strspn(o.after, "0123456789-") != strlen(o.after)))
		return option_usage(&cmd_receipts, "--after wants a cursor as this command prints it, or 0");
	int code = EXIT_FAILED, err = buf_printf(&request, "RECEIPTS 1\r\n");
	if (!err && o.after)
		err = buf_printf(&request, "after %s\r\n", o.after);
	if (!err)
		err = buf_append(&request, "\r\n", 2);
	if (err)
		say("out of memory");
	else
		code = follow(s, &o.follow, &request, begun, print, NULL);
	buf_deinit(&request);
	return code;
}

const struct command cmd_receipts = {
	.name = "receipts",
	.usage = "[--after CURSOR] [-C COUNT] [-W SECONDS]",
	.summary = "print what becomes of messages sent with --receipt",
	.text = "Asks a Data Center (dc), in the name of the App that app and app_key_file name, and prints\n"
		"each receipt as it comes, from now on or from --after.\n\n"
		"Standard output: a line a receipt: its cursor, when the message ended, how (acknowledged,\n"
		"expired, replaced, displaced, withdrawn), the message's id, the user. To go on later without\n"
		"a gap, give the last cursor to --after; receipts are kept for a day.\n\n"
		"Exit codes: " EXIT_HELP ",\n"
		"3 time was up before COUNT receipts.",
	.options = options,
	.run = run,
};
