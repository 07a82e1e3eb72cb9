/* SPDX-License-Identifier: Apache-2.0 */
#include "submit.h"

#include "option.h"
#include "say.h"
#include "textclient.h"

#include "wire/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int submit_check_body(const struct command *c, const char *arg)
{
	if (!arg && isatty(STDIN_FILENO))
		return option_usage(c, "no body; give it as an argument, or - for standard input");
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

int submit_read_body(const char *arg, struct buf *body)
{
	bool from_input = !arg || strcmp(arg, "-") == 0;
	int err = from_input ? read_input(body) : buf_append(body, arg, strlen(arg));
	if (!err && buf_len(body) > RECORD_BODY_MAX) {
		say("the body is too long; at most %d bytes", RECORD_BODY_MAX);
		err = RS_ELIMIT;
	}
	return err;
}

static void say_unknown(bool has_id)
{
	say("whether the message was taken is not known; %s",
	    has_id ? "send it again with the same --id" : "to send again without a double, an --id is needed");
}

static void say_refused(const struct text_answer *a, bool has_id)
{
	const char *reason = text_answer_value(a, "reason");
	if (a->code == 504)
		say_unknown(has_id);
	else
		say("the message was not taken: %u %s", a->code, reason ? reason : "");
}

static int print_many(struct textclient *t, const struct text_answer *a, const char *id)
{
	struct buf body = {0};
	int code = EXIT_FAILED;
	if (textclient_body(t, a, &body) == RS_OK && printf("%s\n%s", id, (const char *)buf_head(&body)) > 0)
		code = EXIT_DONE;
	buf_deinit(&body);
	return code;
}

int submit_request(const struct settings *s, const struct buf *request, bool has_id)
{
	struct textclient t;
	struct text_answer answer;
	int code = EXIT_FAILED;
	textclient_init(&t, s, false);
	if (textclient_open(&t))
		goto done;
	int err = textclient_ask(&t, request, &answer);
	const char *id = text_answer_value(&answer, "message"), *state = text_answer_value(&answer, "state");
	bool many = text_answer_value(&answer, "count") && text_answer_value(&answer, "length");
	if (err == RS_EREMOTE)
		say_refused(&answer, has_id);
	else if (err)
		say_unknown(has_id);
	else if (!id || (!state && !many))
		say("the DC's answer lacks the message id");
	else if (many)
		code = print_many(&t, &answer, id);
	else if (printf("%s %s\n", id, state) > 0)
		code = EXIT_DONE;
done:
	textclient_close(&t);
	return code;
}
