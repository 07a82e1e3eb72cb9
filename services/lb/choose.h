/* SPDX-License-Identifier: Apache-2.0 */
/* Which brokers a client is told, best first: alive, not draining, not full, not
 * one that this client has just found dead; among these the one with the least
 * load, where load is sessions (and clients sent there since it last reported)
 * against capacity. The brokers that the client found dead come last, so that a
 * client with a wrong idea is not left with nothing. */
#ifndef LB_CHOOSE_H
#define LB_CHOOSE_H

#include "table.h"
#include "wire/packet.h"

#define CHOOSE_RETRY_MS 1000 /* "no broker now, ask again after": the client adds jitter */

void choose_brokers(struct table *t, const struct ask_payload *ask, uint64_t now_ms,
		    struct answer_payload *out);

#endif
