/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts that are owed: each second, what became of messages whose receipt has not
 * come is looked up, for all Apps, whichever DC took them. So one that a dying DC
 * swallowed comes in the end, and the one of a message that expired. */
#ifndef DC_OWED_H
#define DC_OWED_H

#include "base/err.h"

struct dc;
struct owed;

RS_MUST_CHECK int owed_new(struct owed **out, struct dc *dc);
void owed_free(struct owed *o); /* after Redis, which may still answer */

#endif
