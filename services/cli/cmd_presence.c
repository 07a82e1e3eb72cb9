/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "follow.h"
#include "option.h"
#include "output.h"
#include "say.h"
#include "textclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS_MAX = 1000 };

struct options {
	bool json, events;
	struct follow_options follow;
};

static const struct option options[] = {
	{.name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct options, json),
	 .doc = "one JSON object a user: user, state, broker, since, seen (ms since 1970)"},
	{.name = "events", .kind = OPTION_FLAG, .offset = offsetof(struct options, events),
	 .doc = "print who comes and goes, as it happens"},
	FOLLOW_OPTIONS(struct options, follow),
	{.name = NULL},
};

/* What is known of a user. */
struct seen {
	const char *user, *state, *broker; /* broker NULL: offline */
	uint64_t since, seen;              /* 0: not known */
};

static uint64_t number(const char *text) { return text ? strtoull(text, NULL, 10) : 0; }

static int print_json(const struct seen *u)
{
	json_t *o = json_pack("{s:s, s:s}", "user", u->user, "state", u->state);
	if (o && u->broker)
		json_object_set_new(o, "broker", json_string(u->broker));
	if (o && u->since)
		json_object_set_new(o, "since", json_integer((json_int_t)u->since));
	if (o && u->seen)
		json_object_set_new(o, "seen", json_integer((json_int_t)u->seen));
	return output_json(o) ? EXIT_FAILED : EXIT_DONE;
}

static int print(const struct seen *u, bool named)
{
	char time[OUTPUT_TIME_MAX];
	printf("%s%s%s", named ? u->user : "", named ? " " : "", u->state);
	if (u->broker)
		printf(" broker %s", u->broker);
	if (u->since)
		printf(" since %s", output_time(u->since, time));
	if (u->seen)
		printf(" seen %s", output_time(u->seen, time));
	printf("\n");
	return EXIT_DONE;
}

/* ---- one user ---- */

static int print_one(const struct text_answer *a, const char *user, bool json)
{
	struct seen u = {
		.user = user,
		.state = text_answer_value(a, "state"),
		.broker = text_answer_value(a, "broker"),
		.since = number(text_answer_value(a, "since")),
		.seen = number(text_answer_value(a, "seen")),
	};
	if (!u.state) {
		say("the DC's answer lacks the state");
		return EXIT_FAILED;
	}
	return json ? print_json(&u) : print(&u, false);
}

/* ---- several ---- */

/* "<user> online <broker> <since>" or "<user> offline <seen or ->"; taken apart in place. */
static int print_line(char *line, bool json)
{
	char *word[4] = {NULL}, *rest = line;
	for (int i = 0; i < 4 && rest; i++)
		word[i] = strsep(&rest, " ");
	bool online = word[1] && strcmp(word[1], "online") == 0;
	if (!word[2] || rest || (online ? !word[3] : strcmp(word[1], "offline") != 0 || word[3])) {
		say("the DC's answer makes no sense");
		return EXIT_FAILED;
	}
	struct seen u = {
		.user = word[0],
		.state = word[1],
		.broker = online ? word[2] : NULL,
		.since = online ? number(word[3]) : 0,
		.seen = online ? 0 : number(word[2]),
	};
	return json ? print_json(&u) : print(&u, true);
}

/* A line for each of `count` users. */
static int print_list(struct textclient *t, const struct text_answer *a, int count, bool json)
{
	struct buf body = {0};
	int code = textclient_body(t, a, &body) ? EXIT_FAILED : EXIT_DONE;
	char *rest = code ? NULL : (char *)body.data + body.start;
	for (char *line; code == EXIT_DONE && rest && *rest;) {
		line = strsep(&rest, "\n");
		code = print_line(line, json);
		count--;
	}
	if (code == EXIT_DONE && count != 0) {
		say("the DC's answer has %s lines than users were asked for", count > 0 ? "fewer" : "more");
		code = EXIT_FAILED;
	}
	buf_deinit(&body);
	return code;
}

/* ---- asking ---- */

static int write_request(struct buf *request, int count, char **users)
{
	size_t len = 0;
	if (count == 1)
		return buf_printf(request, "PRESENCE 1\r\nuser %s\r\n\r\n", users[0]);
	for (int i = 0; i < count; i++)
		len += strlen(users[i]) + 1;
	int err = buf_printf(request, "PRESENCE 1\r\ncount %d\r\nlength %zu\r\n\r\n", count, len);
	for (int i = 0; i < count && !err; i++)
		err = buf_printf(request, "%s\n", users[i]);
	return err;
}

static int ask(const struct settings *s, int count, char **users, bool json)
{
	struct textclient t;
	struct text_answer answer;
	struct buf request = {0};
	textclient_init(&t, s, false);
	int code = EXIT_FAILED, err = write_request(&request, count, users);
	if (err || textclient_open(&t))
		goto done;
	err = textclient_ask(&t, &request, &answer);
	const char *reason = text_answer_value(&answer, "reason");
	if (err == RS_EREMOTE)
		say("the DC refuses: %u %s", answer.code, reason ? reason : "");
	else if (!err)
		code = count == 1 ? print_one(&answer, users[0], json) : print_list(&t, &answer, count, json);
done:
	textclient_close(&t);
	buf_deinit(&request);
	return code;
}

/* ---- changes ---- */

static int begun(void *ctx, const struct text_answer *a)
{
	(void)ctx, (void)a;
	return RS_OK;
}

static int print_event(void *ctx, const struct text_answer *a)
{
	const char *user = text_answer_value(a, "user"), *state = text_answer_value(a, "state");
	const char *broker = text_answer_value(a, "broker"), *missed = text_answer_value(a, "missed");
	char time[OUTPUT_TIME_MAX];
	(void)ctx;
	if (strcmp(a->text, "LAGGED 1") == 0 && missed) {
		printf("- missed %s -\n", missed);
		return RS_OK;
	}
	bool of_user = strcmp(a->text, "PRESENCE 1") == 0;
	if ((!of_user && strcmp(a->text, "BROKER 1") != 0) || !state || !broker || (of_user && !user))
		return RS_EINVAL;
	printf("%s %s %s %s\n", output_time(number(text_answer_value(a, "at")), time), state, of_user ? user : "-", broker);
	return RS_OK;
}

static int follow_events(const struct settings *s, const struct follow_options *o)
{
	struct buf request = {0};
	int code = EXIT_FAILED;
	if (buf_printf(&request, "PRESENCE-EVENTS 1\r\n\r\n"))
		say("out of memory");
	else
		code = follow(s, o, &request, begun, print_event, NULL);
	buf_deinit(&request);
	return code;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct options o = {0};
	if (option_parse(&cmd_presence, &argc, argv, &o))
		return EXIT_USAGE;
	if (o.events) {
		if (argc != 1 || o.json)
			return option_usage(&cmd_presence, "--events is of all users, and not in JSON");
		return follow_events(s, &o.follow);
	}
	if (o.follow.count || o.follow.seconds)
		return option_usage(&cmd_presence, "-C and -W are for --events");
	if (argc < 2 || argc - 1 > USERS_MAX)
		return option_usage(&cmd_presence, "wants: USER, up to %d of them, or --events", USERS_MAX);
	for (int i = 1; i < argc; i++)
		if (!option_name_ok("user", argv[i]))
			return EXIT_USAGE;
	return ask(s, argc - 1, argv + 1, o.json);
}

const struct command cmd_presence = {
	.name = "presence",
	.usage = "USER... [--json]\n--events [-C COUNT] [-W SECONDS]",
	.summary = "say whether users are online, or who comes and goes",
	.text = "Asks a Data Center (dc), in the name of the App that app and app_key_file name.\n\n"
		"Standard output: \"online broker ID since TIME\", or \"offline\", with \"seen TIME\" after it\n"
		"if the user was online of late. Of several users a line each, with the name before it.\n\n"
		"With --events a line for each change from now on: when, what, the user, the broker. What:\n"
		"online, offline; of a broker, with - for the user: gone (all its users are offline), linked\n"
		"(what changed there before was not seen; ask for those it concerns); \"- missed N -\": so\n"
		"many were left out because they were not read in time.\n\n"
		"Exit codes: " EXIT_HELP ",\n"
		"3 time was up before COUNT changes. Offline is not a failure: 0.",
	.options = options,
	.run = run,
};
