/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs SUBSCRIBE, UNSUBSCRIBE and TOPICS: an App on behalf of the user a->name. */
#ifndef DC_SUBSCRIBE_H
#define DC_SUBSCRIBE_H

#include "answer.h"

/* filter: checked. */
void subscribe_user(struct answer *a, struct text_span filter, bool subscribe);
void subscribe_list(struct answer *a);

#endif
