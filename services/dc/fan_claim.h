/* SPDX-License-Identifier: Apache-2.0 */
/* A fan-out made again from what Redis has of it, to go on where another DC has left
 * it. All of it is checked, as what comes from outside. */
#ifndef DC_FAN_CLAIM_H
#define DC_FAN_CLAIM_H

#include "fan.h"
#include "rds/rds.h"

/* fields: name, value, ... NULL: they make no fan-out, or out of memory; it was logged. */
struct fan *fan_claim_read(struct dc *dc, const struct ulid *id, const struct redisReply *fields);
/* Whether the message has expired, if nothing else of them can be read. */
bool fan_claim_is_too_late(const struct redisReply *fields);
/* The body behind the header line; NULL: there is none any more. */
RS_MUST_CHECK int fan_claim_body(struct fan *f, const char *body, size_t len);

#endif
