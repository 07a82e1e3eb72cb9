/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of docs/app-protocol.md, taken out of its fenced blocks. A block has
 * either two columns, requests on the left and their answers on the right,
 *
 *   SEND 1                        OK 200
 *   to alice                      message 01JDCF3K7Q9R8W2ZT5XV6YB4NM
 *   length 5                      state stored
 *
 *   hello
 *
 * or is what one sees in a terminal: "$ nc ...", then requests and answers in turn.
 * An answer begins where a line ends in "OK 200" or "ERR" and a code; what is left of
 * its column, down to the next answer, is the request. What follows an answer in its
 * column comes unasked, as of a stream; so does a block without any OK or ERR that begins
 * with a line like "PRESENCE 1". "(closed)" below an answer: the connection ends with it. A line "..." in a
 * header stands for the lines between "x-1 a" and "x-9 a". */
#ifndef SUPPORT_EXAMPLE_H
#define SUPPORT_EXAMPLE_H

#include "support/document.h"

#include <stdbool.h>
#include <stddef.h>

struct example_text {
	unsigned line;   /* in the document */
	char *header;    /* its lines, each with a \n, without the empty one */
	char *body;
	size_t body_len; /* what there is of it, at most ... */
	size_t length;   /* ... what the field `length` says */
	bool excess;     /* there is more than that */
};

struct example {
	struct example_text request; /* header "": none, the answer comes unasked */
	struct example_text answer;
	bool closes;
};

struct examples {
	struct example *at;
	size_t count;
	bool typed; /* in a terminal: what nc sends, and no more */
};

/* None: the block does not look like an example. */
void examples_read(struct examples *out, const struct doc_part *block);
void examples_free(struct examples *e);
/* How many answers the text of a block has, counted in the simplest way; if there is none,
 * how many blocks of a stream. */
size_t examples_expected(const struct doc_part *block);
/* The value of a field in a header, "" if there is none. */
void example_value(const char *header, const char *name, char *out, size_t cap);

#endif
