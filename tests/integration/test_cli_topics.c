/* SPDX-License-Identifier: Apache-2.0 */
/* `restante topics`, `send --topic` and `send` to several, and what they leave. */
#include "support/cli_run.h"
#include "support/dc_fixture.h"
#include "support/lua_call.h"
#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct dc_fixture f;
static struct temp_dir dir;

static void start(void)
{
	char path[TEMP_PATH_MAX];
	dc_fixture_start(&f, NULL, NULL);
	temp_dir_make(&dir);
	temp_file(&dir, "chat.key", DC_KEY "\n", 0600, path);
}

static void stop(void)
{
	dc_fixture_stop(&f);
	temp_dir_remove(&dir);
}

TestSuite(cli_topics, .init = start, .fini = stop, .timeout = 60);

static struct cli_result run(const char *arguments)
{
	char dc[ADDR_TEXT_MAX];
	struct cli_result r = cli_run(&f.redis, "--dc %s --app chat --app-key-file %s/chat.key %s",
				      addr_format(&f.apps, dc), dir.path, arguments);
	cr_expect_eq(r.code, 0, "%s: %s", arguments, r.out);
	return r;
}

static void subscribe(const char *user, const char *filter)
{
	struct text_client c;
	dc_fixture_client(&f, &c);
	struct text_answer a = text_client_ask(&c, "SUBSCRIBE 1\r\nuser %s\r\ntopic %s\r\n\r\n", user, filter);
	cr_assert_eq(a.code, 200, "%s", a.text);
	text_client_close(&c);
}

TestThen(stop, cli_topics, lists)
{
	cr_expect_str_eq(run("topics").out, "");
	subscribe("alice", "news/#");
	subscribe("alice", "a/+");
	subscribe("bob", "news/#");
	cr_expect_str_eq(run("topics").out, "a/+ 1\nnews/# 2\n");
	cr_expect_str_eq(run("topics alice").out, "a/+\nnews/#\n");
	cr_expect_str_eq(run("topics bob").out, "news/#\n");
	cr_expect_str_eq(run("topics carol").out, "");
}

TestThen(stop, cli_topics, sends)
{
	subscribe("alice", "news/#");
	struct cli_result r = run("send --topic news/sport goal");
	cr_expect_str_eq(r.out + 26, " accepted\n", "%s", r.out);
	for (int i = 0; i < 1000 && strcmp(redis_text(f.c, "EXISTS rs:fans"), "0") != 0; i++)
		usleep(10000);
	cr_expect_str_eq(redis_text(f.c, "LLEN rs:{alice}:queue"), "1");
	cr_expect_str_eq(run("queue peek alice").out, "goal");
	r = run("send --to bob --to carol --id x1 hello");
	cr_expect_str_eq(r.out + 26, "\nbob stored\ncarol stored\n", "%s", r.out);
	r = run("send --to bob --to dave --id x1 hello");
	cr_expect_str_eq(r.out + 26, "\nbob duplicate\ndave stored\n", "%s", r.out);
	r = run("send --to erin hello");
	cr_expect_str_eq(r.out + 26, " stored\n", "%s", r.out);
}
