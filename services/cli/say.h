/* SPDX-License-Identifier: Apache-2.0 */
/* Talk to the person: lines on standard error that begin with "restante: ". */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include "base/err.h"

#define SAY_MAX 1024
#define SAY_WORD_MAX 128

void say(const char *fmt, ...) RS_PRINTF(1, 2);
/* Something that was typed or came from outside, cut to a readable length and with
 * what a terminal might obey replaced by '?'. Returns out. */
const char *say_word(const char *word, char out[SAY_WORD_MAX]);

#endif
