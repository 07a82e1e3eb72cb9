/* SPDX-License-Identifier: Apache-2.0 */
/* Options that restante_open() refuses, each with a word that helps. */
#include "support/client_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(options, .init = fixture_start, .fini = fixture_stop, .timeout = 120);

struct bad_option {
	const char *balancers, *keys, *user, *session, *says;
};

#define KEY "9f3c00000000000000000000000000000000000000000000000000000000aabb"
static const struct bad_option bad_options[] = {
	{NULL, KEY, "alice", "s", "balancers is missing"},
	{"", KEY, "alice", "s", "balancers is missing"},
	{"localhost:7300", KEY, "alice", "s", "\"localhost:7300\" is not an address"},
	{"127.0.0.1:7300,", KEY, "alice", "s", "\"\" is not an address"},
	{"127.0.0.1:0", KEY, "alice", "s", "is not an address"},
	{"1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:8,1.1.1.1:9", KEY,
	 "alice", "s", "too many"},
	{"127.0.0.1:7300", NULL, "alice", "s", "balancer_keys is missing"},
	{"127.0.0.1:7300", "abc", "alice", "s", "\"abc\" is not a key"},
	{"127.0.0.1:7300", KEY "0", "alice", "s", "is not a key"},
	{"127.0.0.1:7300", KEY "," KEY "," KEY, "alice", "s", "too many"},
	{"127.0.0.1:7300", KEY, NULL, "s", "user is missing"},
	{"127.0.0.1:7300", KEY, "", "s", "user is empty"},
	{"127.0.0.1:7300", KEY, "a b", "s", "user contains a space"},
	{"127.0.0.1:7300", KEY, "a{b}", "s", "user contains a brace"},
	{"127.0.0.1:7300", KEY, "a\r\nb", "s", "user contains"},
	{"127.0.0.1:7300", KEY, "alice", NULL, "session is missing"},
	{"127.0.0.1:7300", KEY, "alice", "", "session is missing"},
	{"127.0.0.1:7300", KEY, "alice", "a b", "session must be"},
	{"127.0.0.1:7300", KEY, "alice",
	 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
	 "01234567890123456789012345678", "session is too long"},
};

Test(options, bad_options_each_get_a_clear_error)
{
	char error[256];
	for (size_t i = 0; i < sizeof bad_options / sizeof *bad_options; i++) {
		const struct bad_option *b = &bad_options[i];
		struct restante_options o = RESTANTE_OPTIONS_INIT;
		o.balancers = b->balancers;
		o.balancer_keys = b->keys;
		o.user = b->user;
		o.session = b->session;
		o.on_message = fixture_options().on_message;
		cr_assert_null(restante_open(&o, error, sizeof error), "case %zu", i);
		cr_assert_not_null(strstr(error, b->says), "case %zu: %s", i, error);
	}
}

Test(options, options_of_another_size_or_without_a_callback)
{
	char error[256];
	struct restante_options o = fixture_options();
	o.on_message = NULL;
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "on_message"), "%s", error);
	o = fixture_options();
	o.heartbeat_s = 65536;
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "heartbeat_s"), "%s", error);
	o.size = 0;
	cr_assert_null(restante_open(&o, error, sizeof error));
	cr_assert_not_null(strstr(error, "RESTANTE_OPTIONS_INIT"), "%s", error);
	cr_assert_null(restante_open(NULL, error, sizeof error));
	cr_assert_null(restante_open(NULL, NULL, 0));
}

Test(options, options_of_a_later_version_that_are_not_used)
{
	struct {
		struct restante_options known;
		void *later;
	} o = {fixture_options(), NULL};
	char error[256];
	o.known.size = sizeof o;
	struct restante *r = restante_open(&o.known, error, sizeof error);
	cr_assert_not_null(r, "%s", error);
	restante_close(r);
	o.later = &o;
	cr_assert_null(restante_open(&o.known, error, sizeof error));
	cr_assert_not_null(strstr(error, "does not know"), "%s", error);
}
