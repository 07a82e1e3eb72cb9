/* SPDX-License-Identifier: Apache-2.0 */
/* What a Data Center, or whatever listens there, answers to `restante presence` and
 * `restante send`, also with streams. Whatever it is, what goes to the terminal is harmless. */
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

static bool reachable;
static struct piece answers; /* what the other side says, and then closes */

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

const char *probe_reason(int err) { return err_str(err); }

/* ---- ---- */

void fuzz_one(struct fuzz *in)
{
	static const char *const asks[8][6] = {
		{"presence", "alice", NULL},
		{"presence", "--json", "alice", NULL},
		{"send", "--to", "alice", "hello", NULL},
		{"send", "--to", "alice", "--id=7", "hello", NULL},
		{"presence", "alice", "bob", NULL},
		{"presence", "--json", "alice", "bob", NULL},
		{"presence", "--events", "-C2", NULL},
		{"receipts", "-C2", NULL},
	};
	struct settings s;
	size_t len;
	uint8_t how = fuzz_byte(in);
	unsigned which = how % 4 + (how & 64 ? 4 : 0);
	reachable = !(how & 4);
	answers = fuzz_rest(in);
	if (answers.len > 16384)
		answers.len = 16384;
	memset(&s, 0, sizeof s);
	s.dc.count = 1;
	snprintf(s.app, sizeof s.app, "%s", how & 8 ? "" : "chat");
	snprintf(s.app_key_file, sizeof s.app_key_file, "%s", fuzz_file(how & 16 ? "k\033y" : how & 32 ? "\n\n\n" : "key", 3));
	fuzz_capture();
	const char *name = asks[which][0];
	run_command(*name == 'p' ? &cmd_presence : *name == 's' ? &cmd_send : &cmd_receipts, &s, asks[which]);
	const char *said = fuzz_captured(&len);
	fuzz_check(len > 0, "it says nothing");
	fuzz_check_printable(said, len);
}
