/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a Data Center's port for Apps, docs/app-protocol.md. */
#ifndef CLI_TEXTCLIENT_H
#define CLI_TEXTCLIENT_H

#include "settings.h"

#include "base/buf.h"
#include "wire/text.h"

#include <stdbool.h>

#define TEXT_ANSWER_MAX 4096

struct textclient {
	const struct settings *settings; /* borrowed */
	struct addr dc;
	int fd;                          /* -1: not connected */
	struct buf in;
	bool quiet;                      /* say nothing: `fault` has it */
	char fault[512];
};

/* An answer, taken apart. */
struct text_answer {
	unsigned code;             /* 200, or that of an error; 0: a block of a stream */
	char text[TEXT_ANSWER_MAX]; /* lines end in NUL */
	size_t len;
};

void textclient_init(struct textclient *t, const struct settings *s, bool quiet);
/* Connects to one DC. Failures are said, like those below, naming the DC. */
RS_MUST_CHECK int textclient_connect(struct textclient *t, const struct addr *dc);
/* Shows the App's key. RS_EAUTH: refused. */
RS_MUST_CHECK int textclient_auth(struct textclient *t);
/* Both, with the first of the settings' DCs that can be reached. */
RS_MUST_CHECK int textclient_open(struct textclient *t);
/* RS_EREMOTE: answered with an error, which is in `out` and was not said;
 * RS_ELOST, RS_ETIMEOUT: sent, but the outcome is unknown; RS_EDOWN: not sent. */
RS_MUST_CHECK int textclient_ask(struct textclient *t, const struct buf *request, struct text_answer *out);
/* What comes after the OK to a request whose answers do not end: the next block, until
 * clock_mono_ms() is deadline_ms. RS_ETIMEOUT; RS_EREMOTE: an error, in `out`; RS_ELOST,
 * RS_EINVAL: the stream has ended. None of these is said. */
RS_MUST_CHECK int textclient_next(struct textclient *t, struct text_answer *out, uint64_t deadline_ms);
/* The body of an answer, harmless for a terminal, and a NUL. */
RS_MUST_CHECK int textclient_body(struct textclient *t, const struct text_answer *a, struct buf *out);
void textclient_close(struct textclient *t);

/* The value of a field, NULL if there is none. */
const char *text_answer_value(const struct text_answer *a, const char *name);

#endif
