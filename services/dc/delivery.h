/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker asks of Redis by way of the DC: FETCH and ACK. */
#ifndef DC_DELIVERY_H
#define DC_DELIVERY_H

#include "brokers.h"

/* Each is answered exactly once, with BATCH or ACKED, unless the link is lost. */
void delivery_fetch(struct broker *b, const struct link_fetch *f);
void delivery_ack(struct broker *b, const struct link_ack *a);
/* The link is lost: what Redis still answers goes nowhere. */
void delivery_orphan(struct broker *b);

#endif
