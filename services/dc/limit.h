/* SPDX-License-Identifier: Apache-2.0 */
/* A request against the limits of its App. False: the answer was given, and counted. */
#ifndef DC_LIMIT_H
#define DC_LIMIT_H

#include "answer.h"
#include "app.h"

RS_MUST_CHECK bool limit_allows_body(struct answer *a, struct app *app, size_t len);
/* Of a message that is a part of the body. */
RS_MUST_CHECK bool limit_allows_message(struct answer *a, struct app *app, size_t len);
RS_MUST_CHECK bool limit_allows_rate(struct answer *a, struct app *app, unsigned count);
/* 413; app may be NULL: nobody's limit but the protocol's. */
void limit_refuse_body(struct answer *a, struct app *app);

#endif
