/* SPDX-License-Identifier: Apache-2.0 */
/* The verb STORAGE: whether messages of an App are stored for a user. */
#ifndef DC_STORAGE_H
#define DC_STORAGE_H

#include "answer.h"

/* For the user a->name. */
void storage_set(struct answer *a, struct text_span app, bool on);

#endif
