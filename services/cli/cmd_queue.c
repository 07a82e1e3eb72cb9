/* SPDX-License-Identifier: Apache-2.0 */
/* Reads queues in Redis as they are; the only change is that expired messages
 * leave, as they would at any other look. */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "output.h"
#include "say.h"

#include "base/clock.h"
#include "rds/keys.h"
#include "wire/record.h"

#include <stdio.h>
#include <string.h>

enum { PAGE = 64 }; /* messages; a megabyte at most */

struct view {
	struct operator op;
	char key[KEY_MAX];
	size_t key_len;
	const struct ulid *wanted; /* peek: this one; NULL: the oldest */
	bool is_list;
	bool found;
	int err;                   /* of the printing */
	size_t on_page, unreadable;
};

static void print_line(const struct record *r)
{
	char id[ULID_TEXT + 1], sent[OUTPUT_TIME_MAX], expires[OUTPUT_TIME_MAX];
	printf("%s %.*s %s %s %zu %.*s\n", ulid_format(&r->id, id), (int)r->app_len, r->app,
	       output_time(r->sent_ms, sent), output_time(r->expires_ms, expires), r->body_len,
	       r->app_id_len ? (int)r->app_id_len : 1, r->app_id_len ? r->app_id : "-");
}

static void see(struct view *v, const struct record *r)
{
	if (v->is_list) {
		print_line(r);
		return;
	}
	if (v->found || (v->wanted && !ulid_equal(v->wanted, &r->id)))
		return;
	v->found = true;
	if (r->body_len && fwrite(r->body, 1, r->body_len, stdout) != r->body_len)
		v->err = RS_ESYS;
}

static void on_page(void *ctx, const struct redisReply *reply)
{
	struct view *v = ctx;
	v->on_page = reply_count(reply);
	for (size_t i = 0; i < v->on_page; i++) {
		struct record r;
		size_t len = 0;
		const char *data = reply_str(reply_at(reply, i), &len);
		if (data && record_parse(data, len, &r) == RS_OK)
			see(v, &r);
		else
			v->unreadable++;
	}
}

static int purge(struct view *v)
{
	char now[RDS_NUM_MAX];
	int64_t removed;
	struct rds_arg argv[] = {RDS_MEM(v->key, v->key_len), rds_num((int64_t)clock_wall_ms(), now)};
	return operator_number(&v->op, SCRIPT_MESSAGE_EXPIRE, 1, 2, argv, &removed);
}

static int read_page(struct view *v, int64_t from, int64_t count)
{
	char num[2][RDS_NUM_MAX];
	struct rds_arg argv[] = {RDS_STR("LRANGE"), RDS_MEM(v->key, v->key_len), rds_num(from, num[0]),
				 rds_num(from + count - 1, num[1])};
	return operator_command(&v->op, 4, argv, on_page, v);
}

static int read_queue(struct view *v)
{
	bool one = !v->is_list && !v->wanted;
	int64_t from = 0, count = one ? 1 : PAGE;
	do {
		int err = read_page(v, from, count);
		if (err || v->err || v->found || one || ferror(stdout))
			return err;
		from += count;
	} while (v->on_page == (size_t)count);
	return RS_OK;
}

static int look(const struct settings *s, struct view *v, const char *user)
{
	v->key_len = key_queue(v->key, user, strlen(user));
	int err = operator_open(&v->op, s, false);
	if (!err)
		err = purge(v);
	if (!err)
		err = read_queue(v);
	operator_close(&v->op);
	if (err || v->err)
		return EXIT_FAILED;
	if (v->unreadable)
		say("%zu elements of the queue are no messages; passed over", v->unreadable);
	if (v->is_list || v->found)
		return EXIT_DONE;
	say(v->wanted ? "no message with this id in the queue" : "the queue is empty");
	return EXIT_FAILED;
}

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const verbs[] = {"ls", "peek", NULL};
	struct view v = {.is_list = false};
	struct ulid id;
	if (option_parse(&cmd_queue, &argc, argv, NULL))
		return EXIT_USAGE;
	v.is_list = argc > 1 && strcmp(argv[1], "ls") == 0;
	if (argc > 1 && !v.is_list && strcmp(argv[1], "peek") != 0)
		return option_unknown_word(&cmd_queue, verbs, argv[1]);
	if (argc < 3 || argc > (v.is_list ? 3 : 4))
		return option_usage(&cmd_queue, v.is_list ? "ls wants: USER" : "wants: ls USER, or peek USER [ID]");
	if (!option_name_ok("user", argv[2]))
		return EXIT_USAGE;
	if (argc == 4) {
		if (strlen(argv[3]) != ULID_TEXT || ulid_parse(argv[3], &id))
			return option_usage(&cmd_queue, "ID is a message id, 26 characters, as queue ls shows it");
		v.wanted = &id;
	}
	return look(s, &v, argv[2]);
}

const struct command cmd_queue = {
	.name = "queue",
	.usage = "ls USER\npeek USER [ID]",
	.summary = "look at the messages that wait for a user",
	.text = "ls lists the queue, oldest first, one line a message: its id, the App, when it was sent,\n"
		"when it expires, the bytes of its body, the App's own id (- if none).\n"
		"peek prints the body of the oldest message, or of the one with ID, as it is, without a\n"
		"newline after it.\n"
		"Both read Redis (redis); messages that have expired leave it first. Nothing else changes.\n\n"
		"Exit codes: " EXIT_HELP ".\nAn empty queue: 0 for ls, 1 for peek.",
	.run = run,
};
