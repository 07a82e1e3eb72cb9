/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking client of the Apps' text protocol, for tests. What must not happen
 * on the way (no connection, no answer in time) ends the test with a message. */
#ifndef SUPPORT_TEXT_CLIENT_H
#define SUPPORT_TEXT_CLIENT_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define TEXT_CLIENT_WAIT_MS 20000
#define TEXT_ANSWER_MAX 1024

struct text_client {
	int fd;
	struct buf in;
};

struct text_answer {
	int code;                   /* 200, or that of the error; 0: a block of a stream */
	char text[TEXT_ANSWER_MAX]; /* the whole answer, as it came, without the empty line */
};

void text_client_open(struct text_client *c, const struct addr *to);
void text_client_close(struct text_client *c); /* a second time does nothing */
/* AUTH, and its OK. */
void text_client_auth(struct text_client *c, const char *app, const char *key);

void text_client_write(struct text_client *c, const void *data, size_t len);
void text_client_printf(struct text_client *c, const char *fmt, ...) RS_PRINTF(2, 3);
/* The next answer. False: the connection was closed instead. */
RS_MUST_CHECK bool text_client_read(struct text_client *c, struct text_answer *out);
/* The same, and false as well if nothing whole comes within so many ms. */
RS_MUST_CHECK bool text_client_read_within(struct text_client *c, struct text_answer *out, int wait_ms);
/* The next answer if all of it has come by now, else false; the connection must stand. */
RS_MUST_CHECK bool text_client_try(struct text_client *c, struct text_answer *out);
/* The body of the answer that was read last, as its `length` says, with a NUL behind it.
 * The caller frees it. */
char *text_client_body(struct text_client *c, const struct text_answer *a);
/* Writes a request and reads its answer, which must come. */
struct text_answer text_client_ask(struct text_client *c, const char *fmt, ...) RS_PRINTF(2, 3);
/* Nothing more comes: waits for the close. */
bool text_client_is_closed(struct text_client *c);
/* The value of a field in a buffer of its own, "" if there is none; valid until
 * the eighth call after this. */
const char *text_answer_value(const struct text_answer *a, const char *name);

#endif
