/* SPDX-License-Identifier: Apache-2.0 */
/* Reads queues in Redis as they are, high before normal before low; the only change
 * is that expired messages leave, as they would at any other look. purge takes out
 * what waits. */
#include "command.h"

#include "operator.h"
#include "option.h"
#include "output.h"
#include "say.h"

#include "base/clock.h"
#include "rds/keys.h"
#include "wire/record.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
	PAGE = 64, /* messages; a megabyte at most */
	KEEP_MS = JOURNAL_KEEP_S * 1000,
};

struct view {
	struct operator op;
	const char *user;
	enum priority lane;        /* the queue at hand */
	const struct ulid *wanted; /* peek: this one; NULL: the oldest */
	bool is_list;
	bool found;
	struct ulid elsewhere;     /* the body that was wanted lies with its fan-out; zero: it was printed */
	int err;                   /* of the printing */
	size_t on_page, unreadable;
};

static void see(struct view *v, const struct record *r)
{
	if (v->is_list) {
		output_record(r);
		return;
	}
	if (v->found || (v->wanted && !ulid_equal(v->wanted, &r->id)))
		return;
	v->found = true;
	if (r->body_elsewhere)
		v->elsewhere = r->id;
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

static int expire(struct view *v)
{
	enum { KEYS = KEYS_OF_MAIL - 1 }; /* no presence */
	char keys[KEYS_OF_MAIL][KEY_MAX], now[RDS_NUM_MAX], keep[RDS_NUM_MAX];
	int64_t removed;
	struct rds_arg argv[KEYS + 2];
	keys_of_mail(argv, keys, v->user, strlen(v->user));
	argv[KEYS] = rds_num((int64_t)clock_wall_ms(), now);
	argv[KEYS + 1] = rds_num(KEEP_MS, keep);
	return operator_number(&v->op, SCRIPT_MESSAGE_EXPIRE, KEYS, KEYS + 2, argv, &removed);
}

static int read_page(struct view *v, int64_t from, int64_t count)
{
	char key[KEY_MAX], num[2][RDS_NUM_MAX];
	struct rds_arg argv[] = {RDS_STR("LRANGE"), RDS_MEM(key, key_queue(key, v->user, strlen(v->user), v->lane)),
				 rds_num(from, num[0]), rds_num(from + count - 1, num[1])};
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

static int read_queues(struct view *v)
{
	int err = RS_OK;
	for (int i = 0; i < PRIORITIES && !err && !v->err && !v->found; i++) {
		v->lane = priority_first_to_last[i];
		err = read_queue(v);
	}
	return err;
}

static void on_body(void *ctx, const struct redisReply *reply)
{
	struct view *v = ctx;
	size_t len = 0;
	const char *body = reply_str(reply, &len);
	if (!body)
		say("the message was withdrawn");
	if (!body || fwrite(body, 1, len, stdout) != len)
		v->err = RS_ESYS;
}

static int print_elsewhere(struct view *v)
{
	char key[KEY_MAX];
	struct rds_arg argv[] = {RDS_STR("GET"), RDS_MEM(key, key_fan_body(key, &v->elsewhere))};
	return ulid_is_zero(&v->elsewhere) ? RS_OK : operator_command(&v->op, 2, argv, on_body, v);
}

static int look(const struct settings *s, struct view *v)
{
	int err = operator_open(&v->op, s, false);
	if (!err)
		err = expire(v);
	if (!err)
		err = read_queues(v);
	if (!err)
		err = print_elsewhere(v);
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

static void on_purged(void *ctx, const struct redisReply *reply)
{
	int64_t *count = ctx;
	if (!reply_int(reply_at(reply, 0), count))
		*count = 0;
}

static int purge(const struct settings *s, struct view *v, const char *app)
{
	char keys[KEYS_OF_MAIL][KEY_MAX], now[RDS_NUM_MAX], keep[RDS_NUM_MAX];
	int64_t count = 0;
	struct rds_arg argv[KEYS_OF_MAIL + 4];
	keys_of_mail(argv, keys, v->user, strlen(v->user));
	argv[KEYS_OF_MAIL] = RDS_STR(app ? app : "");
	argv[KEYS_OF_MAIL + 1] = RDS_STR("");
	argv[KEYS_OF_MAIL + 2] = rds_num((int64_t)clock_wall_ms(), now);
	argv[KEYS_OF_MAIL + 3] = rds_num(KEEP_MS, keep);
	int err = operator_open(&v->op, s, false);
	if (!err)
		err = operator_script(&v->op, SCRIPT_MESSAGE_WITHDRAW, KEYS_OF_MAIL, KEYS_OF_MAIL + 4, argv, on_purged, &count);
	operator_close(&v->op);
	if (!err)
		printf("%" PRId64 "\n", count);
	return err ? EXIT_FAILED : EXIT_DONE;
}

struct words {
	const char *app;
};

static int run(const struct settings *s, int argc, char **argv)
{
	static const char *const verbs[] = {"ls", "peek", "purge", NULL};
	struct view v = {.is_list = false};
	struct words words = {NULL};
	struct ulid id;
	if (option_parse(&cmd_queue, &argc, argv, &words))
		return EXIT_USAGE;
	v.is_list = argc > 1 && strcmp(argv[1], "ls") == 0;
	bool is_peek = argc > 1 && strcmp(argv[1], "peek") == 0, is_purge = argc > 1 && strcmp(argv[1], "purge") == 0;
	if (argc > 1 && !v.is_list && !is_peek && !is_purge)
		return option_unknown_word(&cmd_queue, verbs, argv[1]);
	if (argc < 3 || argc > (is_peek ? 4 : 3))
		return option_usage(&cmd_queue, "wants: ls USER, peek USER [ID], or purge USER [--from APP]");
	if (words.app && !is_purge)
		return option_usage(&cmd_queue, "--from is for purge");
	if (!option_name_ok("user", argv[2]))
		return EXIT_USAGE;
	v.user = argv[2];
	if (argc == 4) {
		if (strlen(argv[3]) != ULID_TEXT || ulid_parse(argv[3], &id))
			return option_usage(&cmd_queue, "ID is a message id, 26 characters, as queue ls shows it");
		v.wanted = &id;
	}
	return is_purge ? purge(s, &v, words.app) : look(s, &v);
}

static const struct option options[] = {
	{"from", '\0', OPTION_NAME, offsetof(struct words, app), "APP", "purge: only what this App has sent", 0, 0},
	{0},
};

const struct command cmd_queue = {
	.name = "queue",
	.usage = "ls USER\npeek USER [ID]\npurge USER [--from APP]",
	.summary = "look at the messages that wait for a user, or take them out",
	.text = "ls lists the queues, high before normal before low and each oldest first, one line a\n"
		"message: its id, the App, when it was sent, when it expires, the bytes of its body, the\n"
		"App's own id (- if none), its priority.\n"
		"peek prints the body of the first message, or of the one with ID, as it is, without a\n"
		"newline after it.\n"
		"Both read Redis (redis); messages that have expired leave it first. Nothing else changes.\n"
		"purge withdraws all that waits and prints how many there were. What a client has been\n"
		"sent already may still be shown.\n\n"
		"Exit codes: " EXIT_HELP ".\nAn empty queue: 0 for ls and purge, 1 for peek.",
	.options = options,
	.run = run,
};
