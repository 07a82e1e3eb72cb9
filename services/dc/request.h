/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs: which there are, what fields each takes, what a value may be.
 * docs/app-protocol.md describes them for those who call. */
#ifndef DC_REQUEST_H
#define DC_REQUEST_H

#include "answer.h"
#include "conn.h"
#include "wire/text.h"

#include <stdint.h>

/* A whole request with its body (r->body_len bytes). The answer `a`, in the
 * connection's list already, becomes ready now or when Redis has spoken. */
void request_handle(struct conn *c, struct answer *a, const struct text_request *r,
		    const uint8_t *body);
/* Whether it is one of many recipients, with a body of up to TEXT_MANY_MAX bytes. */
bool request_is_many(const struct conn *c, const struct text_request *r);
/* Keeps the App's own id for the answer, if there is one and it is a name. */
void request_take_id(struct answer *a, const struct text_request *r);

#endif
