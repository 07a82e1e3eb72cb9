/* SPDX-License-Identifier: Apache-2.0 */
/* The command line by itself: wrong use is refused, with a clear word, before
 * anything is sent anywhere. No daemons: what is asked for would fail. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 10, OUT_MAX = 8192 };

struct result {
	int code;
	char out[OUT_MAX], err[OUT_MAX];
};

static void in_child(char **argv, int out, int err)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int in = open("/dev/null", O_RDONLY);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	unsetenv("RESTANTE_CONFIG");
	setenv("RESTANTE_REDIS", "127.0.0.1:1", 1);
	setenv("RESTANTE_DC", "127.0.0.1:1", 1);
	execv(argv[0], argv);
	_exit(127);
}

static void read_back(FILE *f, char text[OUT_MAX])
{
	rewind(f);
	text[fread(text, 1, OUT_MAX - 1, f)] = '\0';
	fclose(f);
}

/* `line`: arguments with a | between them. */
static struct result run(const char *line)
{
	struct result r = {.code = -1};
	char copy[512], program[] = RESTANTE_BIN_DIR "/restante", *argv[ARGS_MAX + 2] = {program};
	FILE *out = tmpfile(), *err = tmpfile();
	int status, n = 1;
	cr_assert(out && err);
	snprintf(copy, sizeof copy, "%s", line);
	for (char *rest = copy, *arg; *line && n <= ARGS_MAX && (arg = strsep(&rest, "|"));)
		argv[n++] = arg;
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0)
		in_child(argv, fileno(out), fileno(err));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	r.code = WEXITSTATUS(status);
	read_back(out, r.out);
	read_back(err, r.err);
	return r;
}

struct wrong {
	const char *line, *says;
	int code;
};

static const struct wrong wrongs[] = {
	{"", "no command given", 2},
	{"snd", "did you mean \"send\"", 2},
	{"frobnicate", "unknown command \"frobnicate\"", 2},
	{"--jsno|send", "before the command", 2},
	{"--config", "--config: needs the name", 2},
	{"--config|/no/such/file|brokers", "/no/such/file", 2},
	{"--redis|nowhere|brokers", "--redis nowhere: not an address", 2},
	{"send|--tu|alice|x", "did you mean --to", 2},
	{"send|--no-stor|--to|alice|x", "did you mean --no-store", 2},
	{"send|--to|alice|--balancer|1|x", "did you mean --balancers", 2},
	{"send|x", "--to is missing", 2},
	{"send|--to", "--to needs a value", 2},
	{"send|--to|alice|a|b", "more than one body", 2},
	{"send|--to|a b|x", "to contains a space", 2},
	{"send|--to||x", "to is empty", 2},
	{"send|--to|a{b}|x", "to contains a brace", 2},
	{"send|--to|a\r\nb|x", "to contains", 2},
	{"send|--to|a\xff|x", "to ", 2},
	{"send|--to|alice|--ttl|0|x", "--ttl \"0\" must be a whole number from 1", 2},
	{"send|--to|alice|--ttl|ten|x", "--ttl \"ten\" must be a whole number", 2},
	{"send|--to|alice|--ttl| 5|x", "must be a whole number", 2},
	{"send|--to|alice|--id|a b|x", "id contains a space", 2},
	{"send|--to|alice|--id|-|x", "--id cannot be", 2},
	{"send|--to|alice|--no-store=yes|x", "takes no value", 2},
	{"send|--to|alice|--app|a b|x", "--app a b", 2},
	{"send|--to|alice|--app|chat|x", "app_key_file is not set", 1},
	{"broadcast", "wants one of: send, ls, withdraw", 2},
	{"broadcast|sned|x", "did you mean \"broadcast send\"", 2},
	{"broadcast|send|a|b", "more than one body", 2},
	{"broadcast|send|--lifetime|0|x", "--lifetime \"0\" must be a whole number from 1", 2},
	{"broadcast|send|--id|-|x", "--id cannot be", 2},
	{"broadcast|send|--app|chat|x", "app_key_file is not set", 1},
	{"broadcast|ls|x", "ls takes no arguments", 2},
	{"broadcast|ls", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"broadcast|withdraw", "withdraw wants: ID", 2},
	{"broadcast|withdraw|nonsense", "26 characters", 2},
	{"broadcast|withdraw|01JDCF3K7Q9R8W2ZT5XV6YB4NM", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"listen|--session|s", "--user is missing", 2},
	{"listen|--user|alice", "one of --session and --session-file", 2},
	{"listen|--user|alice|--session|s|--session-file|f", "one of --session and --session-file", 2},
	{"listen|--user|alice|--session|s", "balancers' public key is not known", 2},
	{"listen|--user|alice|--session|s|--device|12", "32 hexadecimal digits", 2},
	{"listen|--user|alice|--session|s|-C|0", "--count \"0\"", 2},
	{"listen|--user|alice|--session|s|-W", "--wait needs a value", 2},
	{"listen|--user|alice|--session|s|more", "takes no arguments", 2},
	{"listen|--user|alice|--session-file|/no/such", "cannot be opened", 2},
	{"session|creat|alice", "did you mean \"session create\"", 2},
	{"session|create", "wants: create USER", 2},
	{"session|create|a b", "user contains a space", 2},
	{"session|create|alice", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"app", "wants: create, ls, set, rotate or rm", 2},
	{"app|rotat|chat", "did you mean \"app rotate\"", 2},
	{"app|create", "create wants: NAME", 2},
	{"app|create|a{b", "app contains a brace", 2},
	{"app|create|chat|--rate|-1", "--rate \"-1\" must be a whole number from 0 to 1000000, or none", 2},
	{"app|create|chat|--burst|0", "--burst \"0\" must be a whole number from 1", 2},
	{"app|create|chat|--body-max=16385", "from 1 to 16384, or none", 2},
	{"app|create|chat|--queue-bytes|1k", "--queue-bytes \"1k\" must be", 2},
	{"app|create|chat|--rat|5", "did you mean --rate", 2},
	{"app|create|chat|--grace|5", "create takes no --grace", 2},
	{"app|ls|chat", "ls takes no arguments", 2},
	{"app|ls|--rate|5", "ls takes no limits", 2},
	{"app|ls", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"app|set|chat", "set wants a limit", 2},
	{"app|set|chat|--overflow|drop", "must be one of reject, drop-oldest, drop-lowest, or none", 2},
	{"app|set|chat|--broadcast|maybe", "must be one of no, yes, or none", 2},
	{"app|set|chat|--rate|5", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"app|rotate|chat|--rate|5", "rotate takes no limits", 2},
	{"app|rotate|chat|--grace|soon", "--grace \"soon\" must be a whole number", 2},
	{"app|rotate|chat", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"app|rm", "rm wants: NAME", 2},
	{"app|rm|chat|shop", "rm wants: NAME", 2},
	{"app|rm|chat", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"app|create|chat", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"presence", "wants: USER", 2},
	{"presence|a|b c", "user", 2},
	{"presence|--events|a", "--events is of all users", 2},
	{"presence|--events|--json", "--events is of all users", 2},
	{"presence|a|-C|3", "are for --events", 2},
	{"receipts|now", "takes no arguments", 2},
	{"receipts|--after|x", "--after wants a cursor", 2},
	{"send|--to|a|--receipt|--no-store|x", "--receipt is for messages that are stored", 2},
	{"queue|lss|alice", "did you mean \"queue ls\"", 2},
	{"queue|peek|alice|nonsense", "26 characters", 2},
	{"queue|ls|alice", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"brokers|mb1", "takes no arguments", 2},
	{"brokers", "Redis at 127.0.0.1:1 cannot be reached", 1},
	{"doctor|--verbose", "unknown option --verbose", 2},
};

Test(usage, wrong_use_is_refused_with_a_clear_word, .timeout = 120)
{
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct result r = run(wrongs[i].line);
		cr_expect_eq(r.code, wrongs[i].code, "%s: exit %d: %s", wrongs[i].line, r.code, r.err);
		cr_expect_not_null(strstr(r.err, wrongs[i].says), "%s: %s", wrongs[i].line, r.err);
		cr_expect_eq(strncmp(r.err, "restante: ", 10), 0, "%s: %s", wrongs[i].line, r.err);
		cr_expect_str_empty(r.out, "%s: nothing for scripts", wrongs[i].line);
	}
}

static const char *const commands[] = {"send", "broadcast", "listen", "session", "app", "presence", "receipts", "queue", "brokers", "doctor"};

Test(usage, each_command_has_help_that_tells_its_exit_codes, .timeout = 60)
{
	char line[64];
	struct result all = run("--help");
	cr_expect_eq(all.code, 0);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		snprintf(line, sizeof line, "%s|--help", commands[i]);
		struct result r = run(line);
		cr_expect_eq(r.code, 0, "%s", line);
		cr_expect_not_null(strstr(r.out, "Exit codes: 0 done"), "%s: %s", line, r.out);
		cr_expect_not_null(strstr(r.out, "Usage: restante "), "%s", line);
		cr_expect_str_empty(r.err);
		cr_expect_not_null(strstr(all.out, commands[i]), "%s is listed", commands[i]);
	}
}

Test(usage, version, .timeout = 60)
{
	struct result r = run("--version");
	cr_expect_eq(r.code, 0);
	cr_expect_eq(strncmp(r.out, "restante ", 9), 0);
}

Test(usage, doctor_says_what_fails_and_how_to_mend_it, .timeout = 60)
{
	struct result r = run("doctor");
	cr_expect_eq(r.code, 1);
	cr_expect_not_null(strstr(r.out, "FAIL Redis at 127.0.0.1:1 cannot be reached"), "%s", r.out);
	cr_expect_not_null(strstr(r.out, "FAIL DC at 127.0.0.1:1 cannot be reached"), "%s", r.out);
	cr_expect_not_null(strstr(r.out, "balancer_key_file"), "%s", r.out);
}
