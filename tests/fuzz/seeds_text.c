/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds for the targets that read text: requests, answers, settings, files. */
#include "seeds.h"

#include <stdio.h>
#include <string.h>

static const char *const requests[][2] = {
	{"auth", "AUTH 1\r\napp chat\r\nkey k\r\n\r\nPING 1\r\n\r\n"},
	{"auth-bad", "AUTH 1\r\napp chat\r\nkey no\r\n\r\nAUTH 1\r\nid 1\r\n\r\nAUTH 1\r\napp a b\r\nkey\r\n\r\n"},
	{"send", "SEND 1\r\nid 5f3a-order-17\r\nto alice\r\nttl 86400\r\nstore yes\r\nlength 5\r\n\r\nhello"},
	{"send-all", "SEND 1\r\nto a\r\n\r\nSEND 1\r\nto b\r\nid 1\r\n\r\nSEND 1\r\nto c\r\n\r\nSEND 1\r\nto d\r\n\r\n"},
	{"send-not-stored", "SEND 1\r\nto a\r\nstore no\r\nlength 0\r\n\r\nSEND 1\r\nto b\r\nstore no\r\n\r\n"},
	{"send-bad", "SEND 1\r\nto alice\r\nttl 0\r\n\r\nSEND 1\r\nto alice\r\nid -\r\n\r\nSEND 1\r\nto a\r\nstore maybe\r\n\r\n"},
	{"presence", "PRESENCE 1\r\nuser alice\r\n\r\nPRESENCE 1\r\nuser bob\r\nid 2\r\n\r\nPRESENCE 1\r\n\r\n"},
	{"ping-lf", "PING 1\n\nPING 1\nid x\n\n\r\n\nPING 2\n\nPONG 1\n\nPING 1\nto alice\n\n"},
	{"sendmany", "SENDMANY 1\r\nid m1\r\ncount 2\r\nlength 15\r\n\r\nalice\r\nbob\nhello"},
	{"sendmany-bad", "SENDMANY 1\ncount 2\nlength 4\n\na b\nSENDMANY 1\ncount 0\n\nSENDMANY 1\ncount 3\nlength 2\n\na\n"},
	{"topics", "SUBSCRIBE 1\nuser a\ntopic b/+\n\nTOPICS 1\nuser a\n\nUNSUBSCRIBE 1\nuser a\ntopic b/#\n\n"
		   "SEND 1\ntopic b/c\nid 1\nlength 2\n\nhi"},
	{"topics-bad", "SUBSCRIBE 1\nuser a\ntopic b/#/c\n\nSEND 1\ntopic b/+\n\nSEND 1\nto a\ntopic b\n\n"},
	{"long-body", "SEND 1\r\nto alice\r\nlength 20000\r\n\r\nxxxx"},
	{"too-long-body", "SEND 1\r\nto alice\r\nlength 99999999\r\n\r\nPING 1\r\n\r\n"},
	{"bad-length", "SEND 1\r\nlength x\r\n\r\n"},
	{"twice", "PING 1\r\nid 1\r\nid 2\r\n\r\n"},
	{"no-name", "PING 1\r\n: x\r\n\r\n"},
	{"cr", "PING 1\rid 1\r\n\r\n"},
	{"not-whole", "SEND 1\r\nto alice\r\nlength 10\r\n\r\nhell"},
	{"no-verb", "ping\r\n\r\n"},
	{"broadcast", "BROADCAST 1\r\nid news-3\r\nlifetime 60\r\nlength 5\r\n\r\nhello" "BROADCAST 1\r\nlength 2\r\n\r\nhi"},
	{"broadcast-bad", "BROADCAST 1\r\nlifetime 0\r\n\r\nBROADCAST 1\r\nto alice\r\n\r\nBROADCAST 1\r\nid -\r\n\r\n"},
	{"presence-list", "PRESENCE 1\r\ncount 3\r\nlength 15\r\n\r\nalice\nbob\ncarol" "PRESENCE 1\r\ncount 2\r\nlength 2\r\n\r\na\n"},
	{"receipts", "SEND 1\r\nto a\r\nreceipt yes\r\n\r\nRECEIPTS 1\r\nafter 0\r\n\r\nPING 1\r\n\r\nSEND 1\r\nto a\r\n\r\n"},
	{"receipts-bad", "RECEIPTS 1\r\nafter 1-\r\n\r\nRECEIPTS 1\r\nafter x\r\n\r\nRECEIPTS 1\r\n\r\n"},
	{"events", "PRESENCE-EVENTS 1\r\nid 1\r\n\r\nPING 1\r\n\r\nPRESENCE 1\r\nuser a\r\n\r\n"},
	{"withdraw-one", "WITHDRAW 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nto alice\r\n\r\nWITHDRAW 1\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\nto a b\n\n"},
	{"status", "STATUS 1\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\n\nSTATUS 1\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\nto a\n\n"
		   "STATUS 1\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\nto b\n\nSTATUS 1\n\nSTATUS 1\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\nto a b\n\n"},
	{"storage", "STORAGE 1\nuser a\nstorage on\n\nSTORAGE 1\nuser b\nstorage off\n\nSTORAGE 1\nuser c\nstorage off\n\nSTORAGE 1\nuser a\n\nSTORAGE 1\nstorage on\n\n"},
	{"presence-bad", "PRESENCE 1\nuser a\ncount 1\n\nPRESENCE 1\nuser a\nlength 1\n\nxPRESENCE 1\ncount 0\n\nPRESENCE 1\ncount 2\nlength 5\n\na b\nc"
			 "PRESENCE 1\ncount 1\nlength 3\n\na\nb"},
	{"many", "SENDMANY 1\nid m\ncount 2\nlength 10\n\na\nbob\nhellSENDMANY 1\ncount 1\nstore no\nlength 3\n\nc\n!"},
	{"sendmany-too-long", "SENDMANY 1\ncount 2\nlength 800000\n\na\nPING 1\n\n"},
	{"sendmany-ends", "SENDMANY 1\ncount 2\nlength 800\n\na\n"},
	{"topic-and-user", "SEND 1\nto a\ntopic b\n\nSUBSCRIBE 1\nuser a\ntopic b\n\nSUBSCRIBE 1\nuser b\ntopic b\n\nSUBSCRIBE 1\nuser c\ntopic b\n\nTOPICS 1\n\n"
			   "SUBSCRIBE 1\ntopic a\n\nSUBSCRIBE 1\nuser a\n\n"},
	{"topic-send", "SEND 1\ntopic a/b\nlength 2\n\nhiSEND 1\nid t\ntopic $a/b\nlength 2\n\nhi"},
	{"options", "SEND 1\nto a\npriority odd\n\nSEND 1\nto a\ncollapse a b\n\nSEND 1\nto a\nstore no\nreceipt yes\n\n"},
	{"withdraw", "WITHDRAW 1\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\n\r\nWITHDRAW 1\r\nmessage x\r\n\r\nWITHDRAW 1\r\n\r\n"},
};

static void texts(void)
{
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		for (unsigned known = 0; known < 2; known++) {
			char what[40];
			snprintf(what, sizeof what, "%s%s", requests[i][0], known ? "" : "-unknown");
			seed_begin();
			seed_byte(known + 2 * (unsigned)i);
			seed_text(requests[i][1]);
			seed_end("app_request", what);
		}
		seed_begin();
		seed_byte(2);
		seed_text(requests[i][1]);
		seed_end("text", requests[i][0]);
	}
	seed_begin();
	seed_byte(1);
	seed_text("PING 1\r\n");
	for (unsigned i = 0; i < 33; i++) {
		char line[16];
		snprintf(line, sizeof line, "f%u x\r\n", i);
		seed_text(line);
	}
	seed_text("\r\n");
	seed_end("text", "many-fields");
	seed_begin();
	seed_byte(63);
	seed_text("PING 1\r\nid ");
	for (unsigned i = 0; i < 8200; i++)
		seed_byte('x');
	seed_end("text", "too-long");
	seed_end("app_request", "too-long");
	for (unsigned how = 0; how < 4; how++) {
		static const unsigned flags[] = {1, 1 | 0x40, 1 | 0x80 | 0x40, 0x40};
		static const char *const what[] = {"pipelined", "left-open", "not-read", "no-auth"};
		seed_begin();
		seed_byte(flags[how]);
		for (unsigned i = 0; i < (how == 0 ? 60u : how == 3 ? 0u : 4u); i++)
			seed_text("SEND 1\nto a\n\n");
		seed_text(how == 0 ? "PING 1\n\n" : how == 1 ? "SEND 1\nto a\nlength 10\n\n1" : "PING 1\nid");
		seed_end("app_request", what[how]);
	}
	seed_begin();
	seed_byte(0);
	for (unsigned i = 0; i < 5; i++)
		seed_text("AUTH 1\napp x\nkey y\n\n");
	seed_end("app_request", "guesses");
}

static void settings(void)
{
	static const char conf[] = "some_text = \"hello\";\nname: 'x';\n";
	static const char good[] = "# a comment\nsome_text = \"hello\";\nname = \"mb1\";\npath = \"/tmp/x\";\nchoice = \"bb\";\n"
		"number = 12345678901L;\nat = \"[::1]:7200\";\naddrs = [\"127.0.0.1:1\", \"127.0.0.1:2\"];\n"
		"keys = (\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\");\nflag = true;\n";
	static const char *const values[] = {"hello", "mb1", "/tmp/x", "ccc", "77", "10.0.0.1:80", "127.0.0.1:1, [::1]:2",
		"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "yes"};
	static const char *const files[] = {conf, good, "number = 3000000000;\nnumbr = 1;", "number = 0x10;\nflag = 1.5;", "name = { a = 1; };", "nam = 1;"};
	char what[32];
	static const char *const wrong[] = {
		"0.0.0.0:1,0.0.0.0:2,0.0.0.0:3,0.0.0.0:4,0.0.0.0:5,0.0.0.0:6,0.0.0.0:7,0.0.0.0:8,0.0.0.0:9",
		"0011223344556677,0011223344556677", "maybe", "x y", "99999999999999", "127.0.0.1:1,\x1b[31mred"};
	for (unsigned i = 0; i < 6; i++) {
		seed_begin();
		seed_byte(i == 0 || i == 5 ? 6 : i == 1 ? 7 : i == 2 ? 8 : i == 3 ? 1 : 4);
		seed_text8(wrong[i]);
		snprintf(what, sizeof what, "wrong-%u", i);
		seed_end("config", what);
	}
	seed_begin();
	seed_raw("\0\0\0", 3);
	seed_text("some_text = \"");
	for (unsigned i = 0; i < 300; i++)
		seed_byte('x');
	seed_text("\";\n");
	seed_end("config", "too-long");
	for (unsigned i = 0; i < 9; i++) {
		seed_begin();
		seed_byte(i);
		seed_text8(values[i]);
		seed_byte(3);
		seed_text8(i & 1 ? "--number=8" : "--some-text");
		seed_text8(i & 1 ? "--flag" : "value");
		seed_text8(i & 2 ? "yes" : "--");
		seed_text(files[i % 6]);
		snprintf(what, sizeof what, "%u", i);
		seed_end("config", what);
	}
}

static void options(void)
{
	seed_begin();
	seed_raw("\0\0", 2);
	seed_text8("127.0.0.1:7300, [::1]:7300");
	seed_text8("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	seed_text8("alice");
	seed_text8("session");
	seed_raw("\0\0\x1e", 3);
	seed_end("options", "library");
	seed_begin();
	seed_byte(1);
	seed_text8("127.0.0.1:7200,[2001:db8::1]:65535, [::ffff:1.2.3.4]:1");
	seed_end("options", "addresses");
	seed_begin();
	seed_byte(1);
	seed_text8("127.0.0.1, [::1], 2001:db8::1, 1.2.3.4.5, 0123456789012345678901234567890123456789012345678901234567");
	seed_end("options", "hosts");
	seed_begin();
	seed_raw("\2\5", 2);
	seed_text8("-f");
	seed_text8("--text=x");
	seed_text8("-n7");
	seed_text8("--name");
	seed_text8("alice");
	seed_end("options", "command");
	seed_begin();
	seed_raw("\2\2", 2);
	seed_text8("--tex");
	seed_text8("lst");
	seed_end("options", "mistyped");
	seed_begin();
	SEED_RAW("\0\x0c");
	seed_text8("0.0.0.0:1,0.0.0.0:2,0.0.0.0:3,0.0.0.0:4,0.0.0.0:5,0.0.0.0:6,0.0.0.0:7,0.0.0.0:8,0.0.0.0:9");
	seed_text8("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	seed_end("options", "too-many");
	seed_begin();
	SEED_RAW("\0\x0c");
	seed_text8("0.0.0.0:1");
	seed_text8("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,"
		   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff,1");
	seed_end("options", "too-many-keys");
	seed_begin();
	SEED_RAW("\0\x4e");
	seed_text8("0.0.0.0:1");
	seed_text8("");
	seed_text8("");
	seed_text8("");
	SEED_RAW("\0\0\x1e\x01\x60");
	seed_end("options", "newer");
}

static void files(void)
{
	static const char key[] = "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\n";
	static const char ids[] = "01JDCF3K7Q9R8W2ZT5XV6YB4NM\n01JDCF3K7Q9R8W2ZT5XV6YB4NN\n01JDCF";
	static const char *const contents[] = {key, "secret of the cluster\r\nmore\n", key, ids};
	char what[32];
	for (unsigned i = 0; i < 4; i++) {
		seed_begin();
		seed_byte(i);
		seed_text(contents[i]);
		snprintf(what, sizeof what, "%u", i);
		seed_end("files", what);
	}
	static const char *const answers[] = {
		"OK 200\r\napp chat\r\n\r\nOK 200\r\nuser alice\r\nstate online\r\nbroker mb1\r\nsince 1800000000000\r\n\r\n",
		"OK 200\r\napp chat\r\n\r\nOK 200\r\nuser alice\r\nstate offline\r\nseen 1800000000000\r\n\r\n",
		"OK 200\r\napp chat\r\n\r\nOK 200\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nstate stored\r\n\r\n",
		"OK 200\r\n\r\nERR 504\r\nreason unknown, send again with the same id\r\n\r\n",
		"ERR 401\r\nreason wrong App or key\r\n\r\n", "ERR 503\r\nreason unavailable\r\n\r\n",
		"OK 200\r\n\r\nERR 429\r\nreason \x1b[31mfull\x07\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"};
	for (unsigned i = 0; i < 8; i++)
		for (unsigned a = 0; a < 64; a += a < 4 ? 1 : a) { /* 4, 8, 16, 32: nothing is asked at all */
			seed_begin();
			seed_byte(a);
			seed_text(answers[i]);
			snprintf(what, sizeof what, "%u-%u", i, a);
			seed_end("cli_answer", what);
		}
}

/* Each with the byte that says what was asked. */
static void answers_in_streams(void)
{
#define OK "OK 200\r\napp chat\r\n\r\n"
	static const struct {
		unsigned which;
		const char *what, *says;
	} cases[] = {
		{64, "list", OK "OK 200\r\ncount 2\r\nlength 49\r\n\r\nalice online mb1 1800000000000\nbob offline -\nc x\n"},
		{65, "list-json", OK "OK 200\r\ncount 2\r\nlength 45\r\n\r\nalice online mb1 1800000000000\nbob offline 9\n"},
		{64, "list-cut", OK "OK 200\r\ncount 2\r\nlength 90\r\n\r\nalice"},
		{64, "list-no-length", OK "OK 200\r\ncount 2\r\n\r\nalice"},
		{0, "no-state", OK "OK 200\r\nuser alice\r\n\r\n"},
		{66, "events", OK "OK 200\r\n\r\nPRESENCE 1\r\nuser alice\r\nstate online\r\nbroker mb1\r\nat 1800000000000\r\n\r\n"
			"BROKER 1\r\nbroker mb1\r\nstate gone\r\nat 1800000000000\r\n\r\n"},
		{128, "events-lagged", OK "OK 200\r\n\r\nLAGGED 1\r\nmissed 7\r\n\r\nERR 401\r\nreason this App was removed\r\n\r\n"},
		{128, "events-odd", OK "OK 200\r\n\r\nPRESENCE 1\r\nuser \x1b[31m\r\n\r\n"},
		{128, "events-answered", OK "OK 200\r\n\r\nOK 200\r\n\r\n"},
		{128, "events-refused", OK "ERR 400\r\n\r\n"},
		{194, "events-late", OK "OK 200\r\n\r\nBROKER 1\r\nbroker mb1\r\nstate linked\r\nat 7\r\n\r\n"},
		{67, "receipts", OK "OK 200\r\ncursor 5-0\r\nmissed maybe\r\n\r\nRECEIPT 1\r\ncursor 6-0\r\n"
			"message 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nto alice\r\nstate expired\r\nat 1800000000000\r\n\r\nRECEIPT 1\r\n\r\n"},
		{129, "receipts-no-cursor", OK "OK 200\r\n\r\n"},
		{192, "receipts-late", OK "OK 200\r\ncursor 0-0\r\n\r\n"},
		{192, "receipts-cut", OK "OK 200\r\ncursor"},
		{130, "broadcast", OK "OK 200\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nstate sent\r\n\r\n"},
		{131, "broadcast-kept", OK "OK 200\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nstate kept\r\n\r\n"},
		{131, "broadcast-unknown", OK "ERR 504\r\nreason unknown\r\n\r\n"},
		{193, "many", OK "OK 200\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\ncount 2\r\nstored 2\r\nlength 24\r\n\r\nalice stored\nbob stored\n"},
		{195, "topic", OK "OK 200\r\nmessage 01JDCF3K7Q9R8W2ZT5XV6YB4NM\r\nstate accepted\r\nsubscribers 7\r\n\r\n"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		seed_begin();
		seed_byte(cases[i].which);
		seed_text(cases[i].says);
		seed_end("cli_answer", cases[i].what);
	}
	seed_begin(); /* a header without end */
	seed_byte(0);
	seed_text("OK 200\r\n");
	for (unsigned i = 0; i < 9000; i++)
		seed_byte('x');
	seed_end("cli_answer", "too-long");
}

static void prefixes(void)
{
	static const char *const files[] = {
		"# ISPs\n0.0.0.0/0 norda eu1\n10.0.0.0/8 b\n10.0.0.0/24 c eu2\n10.0.0.16/28 b\n::/0 norda\n10.0.0.255/32 b # here\n\n",
		"::/0 a\n2001:db8::/32 b\n255.255.255.255/32 c\nffff::/16 d\n",
		"10.0.0.0/8 a\n10.0.0.0/8 b\n", "10.0.0.1/8 a\n", "10.0.0.0/33 a\n", "10.0.0/8 a\n", "10.0.0.0 a\n", "10.0.0.0/8\n",
		"10.0.0.0/8 a b c\n", "::ffff:10.0.0.0/104 a\n", "10.0.0.0/x a\n", "10.0.0.0/8 \x1b\n", "10.0.0.0/8 a \x7f\n", "",
	};
	char what[32];
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		seed_begin();
		seed_byte(4);
		seed_text(files[i]);
		snprintf(what, sizeof what, "prefixes-%zu", i);
		seed_end("files", what);
	}
}

static void topics(void)
{
	static const char *const pairs[][2] = {
		{"a/+/c", "a/b/c"}, {"a/#", "a"}, {"a/#", "a/b/c"}, {"#", "$sys/a"}, {"+/a", "$sys/a"}, {"$sys/#", "$sys/a"},
		{"a/b", "a/c"}, {"a/b/c", "a/b"}, {"a/b#", "a+b"}, {"#/a", "a/#"}, {"a/b/c/d/e/f/g/h/i", "a/b/c/d/e/f/g/h/i"},
		{"+/+/+/+/+/+/+/+", "a/b/c/d/e/f/g/h"}, {"//+", "///"}, {"a b", "\x7f"}, {"+", "\xc3\xa4"},
		{"#", "0123456789012345678901234567890123456789012345678901234567890/b/"},
	};
	char what[32];
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		seed_begin();
		seed_text8(pairs[i][0]);
		seed_text8(pairs[i][1]);
		snprintf(what, sizeof what, "%zu", i);
		seed_end("topic", what);
	}
}

void seeds_texts(void)
{
	answers_in_streams();
	prefixes();
	topics();
	texts();
	settings();
	options();
	files();
}
