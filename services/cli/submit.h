/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that send have in common: a body from the command line or from
 * standard input, and a request that a Data Center answers with an id and a state. */
#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include "command.h"

#include "base/buf.h"

#include <stdbool.h>

/* arg: the body as it was given, NULL: not. EXIT_USAGE, said, if somebody would have to
 * type it. */
int submit_check_body(const struct command *c, const char *arg);
/* arg NULL or "-": from standard input. What is wrong is said. */
RS_MUST_CHECK int submit_read_body(const char *arg, struct buf *body);
/* Sends and prints the id and the state, of a message to many the id and then each of them
 * with its state; has_id: the request has an id of the App's,
 * and may be repeated. The exit code. */
int submit_request(const struct settings *s, const struct buf *request, bool has_id);

#endif
