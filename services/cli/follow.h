/* SPDX-License-Identifier: Apache-2.0 */
/* A request after which a Data Center's answers do not end: printed line by line, until
 * there were enough, or time is up. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "option.h"
#include "textclient.h"

#define FOLLOW_EARLY EXIT_OWN /* the exit code when it ended before `count` lines */
#define FOLLOW_OPTIONS(type, member) \
	{.name = "count", .letter = 'C', .kind = OPTION_NUMBER, .offset = offsetof(type, member.count), \
	 .value = "COUNT", .doc = "stop after so many lines", .min = 1, .max = 1000000000}, \
	{.name = "wait", .letter = 'W', .kind = OPTION_NUMBER, .offset = offsetof(type, member.seconds), \
	 .value = "SECONDS", .doc = "stop after so long in all", .min = 1, .max = 100000000}

struct follow_options {
	int64_t count, seconds; /* 0: no end */
};

/* Prints the line of a block and returns 0; RS_EINVAL: it makes no sense. */
typedef int follow_fn(void *ctx, const struct text_answer *block);

/* The exit code; what is wrong was said. begun: called with the OK. */
int follow(const struct settings *s, const struct follow_options *o, const struct buf *request, follow_fn *begun,
	   follow_fn *line, void *ctx);

#endif
