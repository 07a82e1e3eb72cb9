/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a command, from a table into its struct. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include "command.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *, borrowed from argv */
	OPTION_NAME,   /* const char *, checked with name_fault() */
	OPTION_NAMES,  /* struct option_names: the same, several times */
	OPTION_NUMBER, /* int64_t within min..max */
};

#define OPTION_NAMES_MAX 16

struct option_names {
	const char *at[OPTION_NAMES_MAX];
	size_t count;
};

struct option {
	const char *name;   /* without the dashes */
	char letter;        /* '\0': none */
	enum option_kind kind;
	size_t offset;
	const char *value;  /* "SECONDS"; for help */
	const char *doc;
	int64_t min, max;   /* OPTION_NUMBER */
};

/* Takes the options out of argv (argv[0] stays) into the struct `out`, which holds
 * the defaults, and leaves the other arguments. RS_EINVAL: what is wrong was said
 * on standard error. */
RS_MUST_CHECK int option_parse(const struct command *c, int *argc, char **argv, void *out);
void option_print_help(const struct option *options, FILE *to);
/* The word of `words` (NULL at the end) that someone who wrote `typed` may have meant, or NULL. */
const char *option_nearest(const char *const *words, const char *typed);
/* Says that `word` is not one of the command's words. EXIT_USAGE. */
int option_unknown_word(const struct command *c, const char *const *words, const char *word);
/* Says what is wrong with the use of a command. EXIT_USAGE. */
int option_usage(const struct command *c, const char *fmt, ...) RS_PRINTF(2, 3);
/* The name is good, or it was said what is wrong with it. */
bool option_name_ok(const char *what, const char *name);

#endif
