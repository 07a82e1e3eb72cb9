/* SPDX-License-Identifier: Apache-2.0 */
/* The DC's counters as metrics. */
#ifndef DC_COUNTS_H
#define DC_COUNTS_H

#include "dc.h"

void counts_metrics(const struct dc *dc, struct metrics *m);

#endif
