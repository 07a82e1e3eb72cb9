/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cli_run.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

struct cli_result cli_run(const struct redis_server *redis, const char *fmt, ...)
{
	struct cli_result r = {.code = -1};
	char arguments[1024], command[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(arguments, sizeof arguments, fmt, ap);
	va_end(ap);
	snprintf(command, sizeof command, "exec %s/restante --redis 127.0.0.1:%u %s 2>&1", RESTANTE_BIN_DIR,
		 (unsigned)redis->port, arguments);
	FILE *p = popen(command, "re");
	cr_assert_not_null(p);
	r.out[fread(r.out, 1, sizeof r.out - 1, p)] = '\0';
	int status = pclose(p);
	cr_assert(WIFEXITED(status), "%s", command);
	r.code = WEXITSTATUS(status);
	return r;
}

void cli_run_key(const struct redis_server *redis, char key[CLI_KEY_MAX], const char *arguments)
{
	struct cli_result r = cli_run(redis, "%s", arguments);
	cr_assert_eq(r.code, 0, "%s: %s", arguments, r.out);
	cr_assert(strlen(r.out) == CLI_KEY_MAX && r.out[CLI_KEY_MAX - 1] == '\n', "%s", r.out);
	memcpy(key, r.out, CLI_KEY_MAX - 1);
	key[CLI_KEY_MAX - 1] = '\0';
}
