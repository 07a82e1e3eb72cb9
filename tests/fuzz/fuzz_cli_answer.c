/* SPDX-License-Identifier: Apache-2.0 */
/* What a Data Center, or whatever listens there, answers to `restante presence`, `send`,
 * `broadcast send` and `receipts`, also with streams. Whatever it is, what goes to the
 * terminal is harmless. */
#include "fuzz.h"
#include "run_command.h"

#include "cli/command.h"
#include "cli/probe.h"
#include "cli/textclient.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool reachable, goes_on; /* the other side says no more, but does not close */
static struct piece answers; /* what the other side says */

void fuzz_start(void) {}

/* ---- in place of cli/probe.c ---- */

int probe_connect(const struct addr *to, unsigned timeout_ms, int *fd)
{
	int pair[2];
	(void)to, (void)timeout_ms;
	if (!reachable)
		return RS_ETIMEOUT;
	fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "no socket");
	fuzz_check(send(pair[1], answers.data, answers.len, MSG_NOSIGNAL) == (ssize_t)answers.len, "no room");
	if (!goes_on)
		shutdown(pair[1], SHUT_WR);
	*fd = pair[0];
	static int other = -1; /* kept open, or the request could not be sent */
	if (other >= 0)
		close(other);
	other = pair[1];
	return RS_OK;
}

int probe_wait(int fd, short events, uint64_t deadline_ms)
{
	struct pollfd p = {fd, events, 0};
	(void)deadline_ms;
	return poll(&p, 1, 0) == 1 ? RS_OK : RS_ETIMEOUT;
}

int probe_redis(const struct addr *at, bool have_password, char why[PROBE_WHY_MAX])
{
	(void)at, (void)have_password, (void)why;
	return RS_EDOWN; /* no command asks it here */
}

const char *probe_reason(int err) { return err_str(err); }

/* ---- ---- */

static const struct command *command_of(const char *name)
{
	static const struct command *const commands[] = {&cmd_presence, &cmd_send, &cmd_broadcast, &cmd_receipts};
	size_t i = 0;
	while (strcmp(commands[i]->name, name) != 0)
		i++;
	return commands[i];
}

void fuzz_one(struct fuzz *in)
{
	static const char *const asks[16][7] = {
		{"presence", "alice", NULL},
		{"presence", "--json", "alice", NULL},
		{"send", "--to", "alice", "hello", NULL},
		{"send", "--to", "alice", "--id=7", "hello", NULL},
		{"presence", "alice", "bob", NULL},
		{"presence", "--json", "alice", "bob", NULL},
		{"presence", "--events", "-C2", NULL},
		{"receipts", "-C2", NULL},
		{"presence", "--events", NULL},
		{"receipts", "--after", "0", NULL},
		{"broadcast", "send", "hello", NULL},
		{"broadcast", "send", "--lifetime=60", "--id=7", "hello", NULL},
		{"receipts", "--after=5-0", "-W5", NULL},
		{"send", "--to", "alice", "--to", "bob", "hello", NULL},
		{"presence", "--events", "-C3", "-W5", NULL},
		{"send", "--topic=a/b", "hello", NULL},
	};
	struct settings s;
	size_t len;
	uint8_t how = fuzz_byte(in);
	unsigned which = how % 4 + (how & 64 ? 4 : 0) + (how & 128 ? 8 : 0);
	reachable = !(how & 4);
	goes_on = which == 12 || which == 14;
	answers = fuzz_rest(in);
	if (answers.len > 16384)
		answers.len = 16384;
	memset(&s, 0, sizeof s);
	s.dc.count = 1;
	snprintf(s.app, sizeof s.app, "%s", how & 8 ? "" : "chat");
	snprintf(s.app_key_file, sizeof s.app_key_file, "%s", fuzz_file(how & 16 ? "k\033y" : how & 32 ? "\n\n\n" : "key", 3));
	fuzz_capture();
	run_command(command_of(asks[which][0]), &s, asks[which]);
	const char *said = fuzz_captured(&len);
	fuzz_check(len > 0, "it says nothing");
	fuzz_check_printable(said, len);
}
