/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds for the targets that read what Redis says. */
#include "seeds.h"

#include <stdio.h>
#include <string.h>

static void reply(const char *what, const char *resp)
{
	seed_begin();
	seed_text(resp);
	seed_end("redis_reply", what);
}

static void of_dc(const char *what, const char *head, const char *resp)
{
	seed_begin();
	seed_raw(head, 4);
	seed_text(resp);
	seed_end("redis_dc", what);
}

#define ID "$26\r\n01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\n"
#define HOLDER "$3\r\nmb1\r\n$1\r\n5\r\n$1\r\n9\r\n$2\r\n77\r\n"
#define MEMBER "*20\r\n$4\r\nboot\r\n$1\r\n5\r\n$7\r\naddress\r\n$14\r\n127.0.0.1:7200\r\n$4\r\nlink\r\n$14\r\n127.0.0.1:7201\r\n" \
	"$3\r\nkey\r\n$64\r\n00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\r\n$4\r\nzone\r\n$3\r\neu1\r\n" \
	"$4\r\nhttp\r\n$14\r\n127.0.0.1:7380\r\n$4\r\nisps\r\n$14\r\na=10.0.0.1:720\r\n" \
	"$8\r\nsessions\r\n$2\r\n12\r\n$8\r\ncapacity\r\n$3\r\n100\r\n$8\r\ndraining\r\n$2\r\nno\r\n"
#define RECORD "$90\r\n01JDCF3K7Q9R8W2ZT5XV6YB4NM chat 1800000000000 1800000100000 order-17\nhello, this is a body\r\n"
#define IDS "*2\r\n$3\r\nmb1\r\n$13\r\n1800000000900\r\n"
#define TIME "*2\r\n$10\r\n1800000001\r\n$1\r\n5\r\n"

#define ZEROS "00000000000000000000000000000000000000000000000000"

static void redis_replies(void)
{
	reply("member", MEMBER);
	reply("scalars", "+OK\r\n-ERR no\r\n:-42\r\n$-1\r\n*-1\r\n$0\r\n\r\n*0\r\n$3\r\n-17\r\n$2\r\n+1\r\n");
	reply("nested", "*3\r\n*2\r\n:1\r\n$1\r\nx\r\n+s\r\n*1\r\n*1\r\n*1\r\n:9\r\n");
	reply("session", "*4\r\n$4\r\nuser\r\n$5\r\nalice\r\n$7\r\nexpires\r\n$13\r\n1900000000000\r\n");
	of_dc("stored", "\0\0\1\0", "*2\r\n$6\r\nstored\r\n:1\r\n*7\r\n$6\r\nstored\r\n:2\r\n" ID HOLDER "*2\r\n$6\r\nstored\r\n:3\r\n");
	of_dc("duplicate", "\0\0\1\0", "*7\r\n$9\r\nduplicate\r\n" ID "$0\r\n\r\n" HOLDER "*2\r\n$9\r\nduplicate\r\n" ID "*2\r\n$4\r\nwhat\r\n:1\r\n");
	of_dc("full", "\0\0\1\0", "*2\r\n$4\r\nfull\r\n:1000\r\n*2\r\n$4\r\nfull\r\n:1000\r\n:1\r\n:0\r\n:0\r\n*2\r\n$4\r\nfull\r\n:1000\r\n-OOM full\r\n");
	of_dc("holder", "\0\2\2\5", "*4\r\n" HOLDER "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$64\r\n0011223344556677889900112233445566778899001122334455667788990011\r\n");
	of_dc("presence", "\0\3\4\3", "*4\r\n$3\r\nmb1\r\n$1\r\n5\r\n$13\r\n1800000000000\r\n$-1\r\n*4\r\n$-1\r\n$-1\r\n$-1\r\n$13\r\n1800000000000\r\n*4\r\n$3\r\nmb9\r\n$1\r\n7\r\n$1\r\n0\r\n$1\r\n0\r\n");
	of_dc("fetch", "\0\6\6\7", "*5\r\n$2\r\nok\r\n:3\r\n:1\r\n" RECORD RECORD "*1\r\n$6\r\nfenced\r\n*3\r\n$2\r\nok\r\n:2\r\n:5\r\n");
	of_dc("fenced", "\0\6\6\7", "*1\r\n$6\r\nfenced\r\n*2\r\n$2\r\nok\r\n:1\r\n*1\r\n$6\r\nfenced\r\n");
	of_dc("away", "\x10\0\6\7", "*1\r\n$6\r\nfenced\r\n");
	of_dc("away-too", "\x10\2\3\5", "*1\r\n$6\r\nfenced\r\n");
	of_dc("refused", "\0\0\2\3", "-ERR no\r\n-ERR no\r\n-ERR no\r\n");
	of_dc("broken-id", "\0\0\1\0", "*2\r\n$9\r\nduplicate\r\n$26\r\n01JDCF3K7\r\nstate x\r\n\r\nOK 2\r\n");
	of_dc("long-time", "\0\3\4\3", "*4\r\n$-1\r\n$-1\r\n$-1\r\n$602\r\n"
	      ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS ZEROS "17\r\n");
	of_dc("broadcast", "\0\x0a\x0a\x0b", "*2\r\n$4\r\nkept\r\n$16\r\n1795471644540688\r\n*2\r\n$9\r\nduplicate\r\n" ID ":1\r\n");
	of_dc("broadcast-full", "\0\x0a\x0a\x0b", "*2\r\n$4\r\nfull\r\n:256\r\n-OOM full\r\n:0\r\n");
	of_dc("broadcast-odd", "\0\x0a\x0a\x0b", "*2\r\n$9\r\nduplicate\r\n$2\r\nno\r\n*1\r\n$4\r\nwhat\r\n$1\r\nx\r\n");
	of_dc("ack", "\0\7\7\7", "*3\r\n$2\r\nok\r\n:2\r\n:5\r\n*1\r\n$6\r\nfenced\r\n-ERR no\r\n");
	of_dc("registry", "\1\x08\x09\x08", IDS TIME MEMBER ":1\r\n:1800000001000\r\n:1\r\n" IDS TIME MEMBER IDS TIME "*0\r\n");
	of_dc("durable", "\1\x09\x09\x09", IDS TIME MEMBER "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n*2\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n" IDS TIME MEMBER ":1\r\n");
	of_dc("not-durable", "\0\x09\x09\x09", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n*2\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n" IDS TIME MEMBER "*0\r\n*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n*2\r\n$11\r\nappendfsync\r\n$6\r\nalways\r\n");
}

static void redis_streams(void)
{
	static const char *const heads[] = {"\x01", "\x03", "\x05", "\x81", "\x41"};
	char what[32];
	for (unsigned i = 0; i < 5; i++) {
		seed_begin();
		seed_raw(heads[i], 1);
		seed_text("$5\r\nhello\r\n:1\r\n-NOSCRIPT No matching script.\r\n$40\r\n0123456789012345678901234567890123456789\r\n"
		     "-ERR no\r\n:4\r\n*0\r\n-READONLY You can't write\r\n");
		snprintf(what, sizeof what, "%u", i);
		seed_end("redis_connection", what);
	}
	seed_begin();
	seed_byte(0);
	seed_text("*3\r\n$5\r\nslave\r\n:0\r\n*0\r\n");
	seed_end("redis_connection", "replica");
	static const char *const clis[] = {
		":1\r\n*3\r\n" RECORD RECORD "$3\r\nbad\r\n", ":0\r\n*1\r\n" RECORD, ":0\r\n*2\r\n" RECORD RECORD "*0\r\n",
		IDS TIME MEMBER, IDS TIME MEMBER, ":1\r\n", ":0\r\n",
		"*2\r\n" RECORD "$3\r\nbad\r\n", ":1\r\n",
	};
	for (unsigned i = 0; i < 9; i++) {
		seed_begin();
		seed_byte(i < 7 ? i : i + 1);
		seed_text(clis[i]);
		snprintf(what, sizeof what, "%u", i);
		seed_end("redis_cli", what);
	}
}

/* What `restante app` asks; `create` is among those above. */
static void apps(void)
{
	static const char *const says[] = {
		"*3\r\n$4\r\nchat\r\n$4\r\nshop\r\n$3\r\na b\r\n"
		"*8\r\n$13\r\n1800000000000\r\n$1\r\n5\r\n$1\r\n9\r\n$4\r\nmany\r\n$-1\r\n$-1\r\n$11\r\ndrop-oldest\r\n$2\r\nno\r\n"
		"*8\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n",
		":1\r\n", ":0\r\n", ":1\r\n:1\r\n",
	};
	char what[32];
	for (unsigned i = 0; i < 4; i++) {
		seed_begin();
		seed_byte(8 + i);
		seed_text(says[i]);
		snprintf(what, sizeof what, "app-%u", i);
		seed_end("redis_cli", what);
	}
}

/* What the commands ask that came later: broadcast, queue purge, topics; and messages
 * whose body lies elsewhere. */
static void more_commands(void)
{
#define LINE "01JDCF3K7Q9R8W2ZT5XV6YB4NM_chat_1800000000000_1900000000000_-"
	static const struct {
		unsigned which;
		const char *what, *says;
	} cases[] = {
		{12, "broadcast-ls", "[ " LINE "~hello 01JDCF3K7Q9R8W2ZT5XV6YB4NM_chat_1800000000000_1800000000000_-~ odd - ]"},
		{12, "broadcast-none", "!no"},
		{13, "broadcast-withdraw", ":1"},
		{13, "broadcast-unkept", ":0"},
		{14, "purge", "[ :3 ]"},
		{15, "purge-none", "[ ]"},
		{16, "topics", "[ b/+ a/# a x/#/y a+ a/b ] :1 :0 x :7"},
		{17, "topics-of", "[ b/+ a/# a x/#/y ]"},
		{0, "ls-odd", ":0 [ ] [ " LINE "_f~ odd - ] [ " LINE "_p=low_c=k_t=a/b_r~x ]"},
		{1, "peek-elsewhere", ":0 [ ] [ " LINE "_f~ ] hello"},
		{1, "peek-withdrawn", ":0 [ " LINE "_f~ ] -"},
		{1, "peek-empty", ":0 [ ] [ ] [ ]"},
		{2, "peek-no-such", ":0 [ 01JDCF3K7Q9R8W2ZT5XV6YB4NN_chat_1800000000000_1900000000000_-~x ] [ ] [ ]"},
		{7, "no-info", "!NOPERM"},
		{3, "brokers-none", "[ ] [ 1800000001 5 ]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		seed_begin();
		seed_byte(cases[i].which);
		seed_words(cases[i].says);
		seed_end("redis_cli", cases[i].what);
	}
}

/* What `restante doctor` asks, in its order. */
static void doctor(void)
{
	static const struct {
		const char *what, *info, *only, *sync, *policy, *time;
	} cases[] = {
		{"well", "# Server\r\nredis_version:7.0.15\r\nrole:master\r\naof_last_write_status:ok\r\nused_memory:10\r\nmaxmemory:200\r\n",
		 "yes", "always", "noeviction", TIME},
		{"ill", "# Server\r\nredis_version:6.2\r\nrole:slave\r\naof_last_write_status:err\r\nused_memory:199\r\nmaxmemory:200\r\n",
		 "yes", "everysec", "noeviction", "*2\r\n$10\r\n1700000001\r\n$1\r\n5\r\n"},
		{"evicts", "# Server\r\nredis_version:7\r\nmaxmemory:200\r\n", "no", "no", "allkeys-lru", "*2\r\n$10\r\n1800000004\r\n$1\r\n5\r\n"},
		{"unlimited", "# Server\r\nredis_version:7\r\nmaxmemory:0\r\n", "no", "no", "allkeys-lru", ":1\r\n"},
		{"controls", "# Server\r\nredis_version:\x1b[31m7\xff\r\n", "yes", "\x1b[2J", "\x07", ":1\r\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		seed_begin();
		seed_byte(7);
		seed_bulk(cases[i].info);
		seed_text("*6\r\n$10\r\nappendonly\r\n");
		seed_bulk(cases[i].only);
		seed_text("$11\r\nappendfsync\r\n");
		seed_bulk(cases[i].sync);
		seed_text("$16\r\nmaxmemory-policy\r\n");
		seed_bulk(cases[i].policy);
		seed_text("+OK\r\n:1\r\n");
		seed_text(cases[i].time);
		seed_text(IDS TIME MEMBER IDS TIME MEMBER IDS TIME MEMBER);
		seed_end("redis_cli", cases[i].what);
	}
}

void seeds_redis(void)
{
	redis_replies();
	redis_streams();
	apps();
	more_commands();
	doctor();
}
