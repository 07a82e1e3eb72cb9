/* SPDX-License-Identifier: Apache-2.0 */
#include "rds/keys.h"

#include <criterion/criterion.h>
#include <string.h>

Test(keys, names)
{
	char k[KEY_MAX];
	cr_assert_eq(key_queue(k, "alice-and-more", 5, PRIORITY_NORMAL), strlen("rs:{alice}:queue"));
	cr_assert_str_eq(k, "rs:{alice}:queue");
	key_presence(k, "zo\xc3\xab", 4);
	cr_assert_str_eq(k, "rs:{zo\xc3\xab}:presence");
	key_once(k, "alice", 5, "chat", 4, "order-17", 8);
	cr_assert_str_eq(k, "rs:{alice}:once:{chat}:order-17");
	key_cursor(k, "alice", 5);
	cr_assert_str_eq(k, "rs:{alice}:cursor");
	key_broadcasts(k);
	cr_assert_str_eq(k, "rs:broadcast:{all}:kept");
	key_broadcasts_version(k);
	cr_assert_str_eq(k, "rs:broadcast:{all}:version");
	key_broadcast_once(k, "chat", 4, "news-3", 6);
	cr_assert_str_eq(k, "rs:broadcast:{all}:once:{chat}:news-3");
	key_topics_of(k, "alice", 5);
	cr_assert_str_eq(k, "rs:{alice}:topics");
	key_topic(k, "news/+/#", 8);
	cr_assert_str_eq(k, "rs:topic:{news/+/#}");
	key_topics(k);
	cr_assert_str_eq(k, "rs:topics");
	key_app(k, "chat", 4);
	cr_assert_str_eq(k, "rs:app:chat");
	key_awaited(k, "chat", 4);
	cr_assert_str_eq(k, "rs:app:{chat}:awaited");
	key_receipts(k, "chat", 4);
	cr_assert_str_eq(k, "rs:app:{chat}:receipts");
	key_awaiting(k);
	cr_assert_str_eq(k, "rs:awaiting");
	cr_assert_eq(key_apps(k), strlen("rs:apps"));
	cr_assert_str_eq(k, "rs:apps");
	key_member(k, "broker", "mb1");
	cr_assert_str_eq(k, "rs:broker:mb1");
	key_members(k, "broker");
	cr_assert_str_eq(k, "rs:brokers");
}

Test(keys, of_a_fan_out)
{
	char k[KEY_MAX];
	struct ulid id;
	cr_assert_eq(ulid_parse("01JDCF3K7Q9R8W2ZT5XV6YB4NM", &id), RS_OK);
	key_fan(k, &id);
	cr_assert_str_eq(k, "rs:fan:{01JDCF3K7Q9R8W2ZT5XV6YB4NM}");
	key_fan_to(k, &id);
	cr_assert_str_eq(k, "rs:fan:{01JDCF3K7Q9R8W2ZT5XV6YB4NM}:to");
	key_fan_names(k, &id, UINT64_MAX);
	cr_assert_str_eq(k, "rs:fan:{01JDCF3K7Q9R8W2ZT5XV6YB4NM}:to:18446744073709551615");
	key_fan_body(k, &id);
	cr_assert_str_eq(k, "rs:fan:{01JDCF3K7Q9R8W2ZT5XV6YB4NM}:body");
	key_fan_once(k, "chat", 4, "order-17", 8);
	cr_assert_str_eq(k, "rs:fan:once:{chat}:order-17");
	key_fans(k);
	cr_assert_str_eq(k, "rs:fans");
}

Test(keys, session_key_holds_only_the_hash)
{
	char k[KEY_MAX];
	cr_assert_eq(key_session(k, "test", 4), 11 + 64);
	cr_assert_str_eq(k, "rs:session:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
}

Test(keys, longest_names_fit)
{
	char k[KEY_MAX], name[64];
	memset(name, 'n', sizeof name);
	cr_assert_eq(key_once(k, name, 64, name, 64, name, 64), 4 + 64 + 8 + 64 + 2 + 64);
	cr_assert_eq(strlen(k), 206);
}

Test(keys, what_does_not_fit_is_no_key_rather_than_half_of_one)
{
	char k[KEY_MAX], name[KEY_MAX];
	memset(name, 'n', sizeof name);
	cr_assert_eq(key_queue(k, name, sizeof name, PRIORITY_LOW), 0);
	cr_assert_str_eq(k, "");
	cr_assert_eq(key_app(k, name, KEY_MAX - 1 - strlen("rs:app:")), KEY_MAX - 1);
	cr_assert_eq(key_app(k, name, KEY_MAX - strlen("rs:app:")), 0);
}
