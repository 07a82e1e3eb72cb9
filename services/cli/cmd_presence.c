/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "option.h"
#include "output.h"
#include "say.h"
#include "textclient.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
	bool json;
};

static const struct option options[] = {
	{.name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct options, json),
	 .doc = "one JSON object: user, state, broker, since, seen (ms since 1970)"},
	{.name = NULL},
};

static uint64_t number(const struct text_answer *a, const char *field)
{
	const char *text = text_answer_value(a, field);
	return text ? strtoull(text, NULL, 10) : 0;
}

static int print_json(const struct text_answer *a, const char *user, const char *state)
{
	const char *broker = text_answer_value(a, "broker");
	uint64_t since = number(a, "since"), seen = number(a, "seen");
	json_t *o = json_pack("{s:s, s:s}", "user", user, "state", state);
	if (o && broker)
		json_object_set_new(o, "broker", json_string(broker));
	if (o && since)
		json_object_set_new(o, "since", json_integer((json_int_t)since));
	if (o && seen)
		json_object_set_new(o, "seen", json_integer((json_int_t)seen));
	return output_json(o) ? EXIT_FAILED : EXIT_DONE;
}

static int print(const struct text_answer *a, const char *state)
{
	const char *broker = text_answer_value(a, "broker");
	uint64_t since = number(a, "since"), seen = number(a, "seen");
	char time[OUTPUT_TIME_MAX];
	printf("%s", state);
	if (broker)
		printf(" broker %s", broker);
	if (since)
		printf(" since %s", output_time(since, time));
	if (seen)
		printf(" seen %s", output_time(seen, time));
	printf("\n");
	return EXIT_DONE;
}

static int ask(const struct settings *s, const char *user, bool json)
{
	struct textclient t;
	struct text_answer answer;
	struct buf request = {0};
	textclient_init(&t, s, false);
	int code = EXIT_FAILED, err = buf_printf(&request, "PRESENCE 1\r\nuser %s\r\n\r\n", user);
	if (err || textclient_open(&t))
		goto done;
	err = textclient_ask(&t, &request, &answer);
	const char *state = text_answer_value(&answer, "state"), *reason = text_answer_value(&answer, "reason");
	if (err == RS_EREMOTE)
		say("the DC refuses: %u %s", answer.code, reason ? reason : "");
	else if (!err && !state)
		say("the DC's answer lacks the state");
	else if (!err)
		code = json ? print_json(&answer, user, state) : print(&answer, state);
done:
	textclient_close(&t);
	buf_deinit(&request);
	return code;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {false};
	if (option_parse(&cmd_presence, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc != 2)
		return option_usage(&cmd_presence, "wants: USER");
	if (!option_name_ok("user", argv[1]))
		return EXIT_USAGE;
	return ask(s, argv[1], o.json);
}

const struct command cmd_presence = {
	.name = "presence",
	.usage = "USER [--json]",
	.summary = "say whether a user is online",
	.text = "Asks a Data Center (dc), in the name of the App that app and app_key_file name.\n\n"
		"Standard output: \"online broker ID since TIME\", or \"offline\", with \"seen TIME\" after it\n"
		"if the user was online of late.\n\n"
		"Exit codes: " EXIT_HELP ".\nOffline is not a failure: 0.",
	.options = options,
	.run = run,
};
