/* SPDX-License-Identifier: Apache-2.0 */
/* Who an App is: its name and key against rs:app:<name>. */
#ifndef DC_AUTH_H
#define DC_AUTH_H

#include "answer.h"
#include "conn.h"

/* a->name is the App, which may have two keys for a while (`restante app rotate`). Until the answer is known the connection reads nothing;
 * if the key is right, the connection speaks for that App from then on. */
void auth_check(struct conn *c, struct answer *a, struct text_span key);

#endif
