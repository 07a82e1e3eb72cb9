/* SPDX-License-Identifier: Apache-2.0 */
/* `restante send`, `status`, `withdraw`, `storage` and `queue` against a real Data
 * Center: what they print, and how they end. */
#include "base/ulid.h"
#include "support/cli_run.h"
#include "support/dc_fixture.h"
#include "support/lua_call.h"
#include "support/temp_dir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct dc_fixture f;
static struct temp_dir dir;
static char app[512]; /* settings with which the App "chat" asks the DC */

static void start(void)
{
	char path[TEMP_PATH_MAX], at[ADDR_TEXT_MAX];
	dc_fixture_start(&f, NULL, NULL);
	temp_dir_make(&dir);
	temp_file(&dir, "chat.key", DC_KEY "\n", 0600, path);
	snprintf(app, sizeof app, "--dc %s --app chat --app-key-file %s", addr_format(&f.apps, at), path);
}

static void stop(void)
{
	dc_fixture_stop(&f);
	temp_dir_remove(&dir);
}

TestSuite(cli_messages, .init = start, .fini = stop, .timeout = 60);

static struct cli_result run(int code, const char *arguments)
{
	struct cli_result r = cli_run(&f.redis, "%s %s", app, arguments);
	cr_assert_eq(r.code, code, "%s: exit %d: %s", arguments, r.code, r.out);
	return r;
}

/* Sends with these options; the id. */
static const char *send_with(const char *options, const char *state)
{
	static char ids[4][ULID_TEXT + 1];
	static unsigned turn;
	char arguments[256], want[64];
	char *id = ids[turn++ % 4];
	snprintf(arguments, sizeof arguments, "send --to alice %s body", options);
	struct cli_result r = run(0, arguments);
	memcpy(id, r.out, ULID_TEXT);
	id[ULID_TEXT] = '\0';
	snprintf(want, sizeof want, "%s %s\n", id, state);
	cr_assert_str_eq(r.out, want);
	return id;
}

static bool says(const struct cli_result *r, const char *text) { return strstr(r->out, text) != NULL; }

static struct cli_result ask_about(int code, const char *verb, const char *id, const char *to)
{
	char arguments[128];
	snprintf(arguments, sizeof arguments, "%s %s%s", verb, id, to);
	return run(code, arguments);
}

TestThen(stop, cli_messages, status_and_withdraw)
{
	const char *id = send_with("", "stored");
	struct cli_result r = ask_about(0, "status alice", id, "");
	cr_expect(says(&r, id) && says(&r, "\nto alice\nstate stored\nstored 20") && says(&r, "\nexpires 20"), "%s", r.out);
	r = ask_about(0, "withdraw", id, " --to alice");
	cr_expect(says(&r, "state withdrawn\n"), "%s", r.out);
	r = ask_about(0, "status alice", id, "");
	cr_expect(says(&r, "\nstate withdrawn\n") && says(&r, "\nwithdrawn 20"), "%s", r.out);
	r = ask_about(3, "withdraw", id, " --to alice");
	cr_expect(says(&r, "404"), "%s", r.out);
	r = ask_about(3, "status bob", id, "");
	cr_expect(says(&r, "404"), "%s", r.out);
	r = run(2, "status alice 123");
	cr_expect(says(&r, "ID is a message id"), "%s", r.out);
}

TestThen(stop, cli_messages, priorities_and_collapse_keys)
{
	const char *low = send_with("--priority low", "stored"), *first = send_with("--collapse score", "stored");
	const char *second = send_with("--collapse score", "stored"), *high = send_with("--priority high", "stored");
	char ids[3][ULID_TEXT + 1];
	struct cli_result r = run(0, "queue ls alice");
	cr_assert_eq(sscanf(r.out, "%26s chat %*s %*s 4 - high\n%26s chat %*s %*s 4 - normal\n%26s chat %*s %*s 4 - low\n",
			    ids[0], ids[1], ids[2]), 3, "%s", r.out);
	cr_expect_str_eq(ids[0], high);
	cr_expect_str_eq(ids[1], second);
	cr_expect_str_eq(ids[2], low);
	r = ask_about(0, "status alice", first, "");
	cr_expect(says(&r, "state replaced\n"), "%s", r.out);
	r = run(2, "send --to alice --priority urgent body");
	cr_expect(says(&r, "--priority is low, normal or high"), "%s", r.out);
}

TestThen(stop, cli_messages, storage_is_switched)
{
	struct cli_result r = run(0, "storage alice off");
	cr_expect_str_eq(r.out, "user alice\nstorage off\n");
	send_with("", "dropped");
	r = run(0, "storage alice on");
	cr_expect_str_eq(r.out, "user alice\nstorage on\n");
	send_with("", "stored");
	cr_expect_str_eq(redis_text(f.c, "EXISTS rs:{alice}:settings"), "0");
	r = run(2, "storage alice sometimes");
	cr_expect(says(&r, "there is no \"storage sometimes\""), "%s", r.out);
}

TestThen(stop, cli_messages, a_queue_is_purged)
{
	const char *id = send_with("", "stored");
	send_with("--priority high", "stored");
	struct cli_result r = run(0, "queue purge alice --from shop");
	cr_expect_str_eq(r.out, "0\n");
	r = run(0, "queue purge alice");
	cr_expect_str_eq(r.out, "2\n");
	r = run(0, "queue ls alice");
	cr_expect_str_eq(r.out, "");
	r = ask_about(0, "status alice", id, "");
	cr_expect(says(&r, "state withdrawn\n"), "%s", r.out);
	r = run(2, "queue ls alice --from chat");
	cr_expect(says(&r, "--from is for purge"), "%s", r.out);
}
