/* SPDX-License-Identifier: Apache-2.0 */
/* A request without a body to a Data Center, whose answer is printed as it is: a line
 * for each field, times readable. */
#ifndef CLI_QUESTION_H
#define CLI_QUESTION_H

#include "settings.h"

#include "base/err.h"

#include <stddef.h>

/* fmt: the request up to the empty line. times: the fields that are times, NULL at the
 * end. The exit code; missing_code: that of the answer 404. */
int question_ask(const struct settings *s, const char *const *times, int missing_code, const char *fmt, ...)
	RS_PRINTF(4, 5);

#endif
