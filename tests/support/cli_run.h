/* SPDX-License-Identifier: Apache-2.0 */
/* The command line against a Redis of the test's own. */
#ifndef SUPPORT_CLI_RUN_H
#define SUPPORT_CLI_RUN_H

#include "base/err.h"
#include "support/redis_server.h"

#define CLI_OUT_MAX 8192

struct cli_result {
	int code;
	char out[CLI_OUT_MAX]; /* standard output and standard error */
};

/* `restante` with these arguments, as a shell takes them apart. */
struct cli_result cli_run(const struct redis_server *redis, const char *fmt, ...) RS_PRINTF(2, 3);
/* The same, which must succeed and print a key; it lies in `key`, without the newline. */
#define CLI_KEY_MAX 65
void cli_run_key(const struct redis_server *redis, char key[CLI_KEY_MAX], const char *arguments);

#endif
