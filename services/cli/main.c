/* SPDX-License-Identifier: Apache-2.0 */
/* restante: the command line. Standard output is for scripts, talk goes to
 * standard error; a command that fails says why. */
#include "command.h"
#include "option.h"
#include "say.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND_ENTRY(name) &cmd_##name,
static const struct command *const commands[] = {COMMANDS(COMMAND_ENTRY)};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

struct usage {
	bool help, version;
	const char *file;
};

static void print_global_help(void)
{
	printf("restante: sends to, listens for and looks after users of restante\n\n"
	       "Usage: restante [SETTING]... COMMAND [OPTION]...\n"
	       "       restante COMMAND --help\n"
	       "       restante --help | --version\n\nCommands:\n");
	for (int i = 0; i < COMMAND_COUNT; i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nA setting is a flag (--redis 127.0.0.1:7379), an environment variable\n"
	       "(RESTANTE_REDIS=127.0.0.1:7379) or a line of the configuration file\n"
	       "(redis = \"127.0.0.1:7379\";), which --config FILE or RESTANTE_CONFIG names. Flags win over\n"
	       "the environment, the environment over the file.\n\nSettings:\n");
	settings_print_help(stdout);
	printf("\nExit codes: " EXIT_HELP ";\n3 and above are told by the help of the command that has them.\n");
}

static void print_usage_lines(const struct command *c)
{
	const char *lead = "Usage:";
	for (const char *line = c->usage; *line;) {
		size_t len = strcspn(line, "\n");
		if (*line == ' ') /* goes on from the line before */
			printf("%.*s\n", (int)len, line);
		else
			printf("%-6s restante %s %.*s\n", lead, c->name, (int)len, line);
		lead = "";
		line += len + (line[len] == '\n');
	}
	if (!*c->usage)
		printf("Usage: restante %s\n", c->name);
}

static void print_command_help(const struct command *c)
{
	printf("restante %s: %s\n\n", c->name, c->summary);
	print_usage_lines(c);
	printf("\n%s\n", c->text);
	if (c->options) {
		printf("\nOptions:\n");
		option_print_help(c->options, stdout);
	}
	printf("\nSettings (--redis, --dc, --app and others) are listed by restante --help.\n");
}

/* Takes the program's own flags out of argv; the rest stays. False: --config lacks
 * its value. */
static bool take_usage(struct usage *u, int *argc, char **argv)
{
	int left = 1, i = 1;
	*u = (struct usage){.file = getenv("RESTANTE_CONFIG")};
	for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			u->help = true;
		else if (strcmp(argv[i], "--version") == 0)
			u->version = true;
		else if (strncmp(argv[i], "--config=", 9) == 0)
			u->file = argv[i] + 9;
		else if (strcmp(argv[i], "--config") != 0)
			argv[left++] = argv[i];
		else if (i + 1 < *argc)
			u->file = argv[++i];
		else
			return false;
	}
	while (i < *argc)
		argv[left++] = argv[i++];
	*argc = left;
	argv[left] = NULL;
	if (u->file && !*u->file)
		u->file = NULL;
	return true;
}

static const struct command *find_command(const char *name)
{
	for (int i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static void say_unknown(const char *word)
{
	const char *words[COMMAND_COUNT + 1] = {NULL};
	char shown[SAY_WORD_MAX];
	for (int i = 0; i < COMMAND_COUNT; i++)
		words[i] = commands[i]->name;
	const char *nearest = option_nearest(words, word);
	say_word(word, shown);
	if (*word == '-')
		say("unknown option %s before the command; a command's own options stand after it", shown);
	else if (nearest)
		say("unknown command \"%s\"; did you mean \"%s\"?", shown, nearest);
	else
		say("unknown command \"%s\"; restante --help lists all", shown);
}

/* A descriptor that was closed by whoever started us would be given to the next
 * socket, and a message be printed into it. */
static void fill_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
			_exit(EXIT_FAILED);
}

/* What a command printed counts only when it has left. */
static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (code == EXIT_DONE)
		say("standard output cannot be written: %s", strerror(errno));
	return code == EXIT_DONE ? EXIT_FAILED : code;
}

static int run(const struct usage *u, int argc, char **argv)
{
	struct settings settings;
	if (settings_load(&settings, u->file, &argc, argv))
		return EXIT_USAGE;
	if (argc < 2) {
		say("no command given; restante --help lists all");
		return EXIT_USAGE;
	}
	const struct command *c = find_command(argv[1]);
	if (!c) {
		say_unknown(argv[1]);
		return EXIT_USAGE;
	}
	return c->run(&settings, argc - 1, argv + 1);
}

/* For help: the command, wherever it stands. */
static const struct command *named_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (find_command(argv[i]))
			return find_command(argv[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	struct usage u;
	fill_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	log_setup("restante", LOG_ERROR, LOG_LOGFMT);
	if (!take_usage(&u, &argc, argv)) {
		say("--config: needs the name of a file");
		return EXIT_USAGE;
	}
	const struct command *c = u.help ? named_command(argc, argv) : NULL;
	if (c)
		print_command_help(c);
	else if (u.help)
		print_global_help();
	else if (u.version)
		printf("restante %s\n", RESTANTE_VERSION);
	else
		return finish(run(&u, argc, argv));
	return finish(EXIT_DONE);
}
