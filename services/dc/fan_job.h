/* SPDX-License-Identifier: Apache-2.0 */
/* A fan-out as Redis knows it, rs:fan:{<id>}: made, saved, taken over, taken back,
 * asked about. Whose it is says the owner token of a DC and a lease; rs:fans has the ids
 * of those that run, by the end of their lease, so that any DC finds them. That set lies
 * in another slot: it may name what is done (whoever claims that takes it out), and the
 * DC that runs one puts it in again with each renewal. */
#ifndef DC_FAN_JOB_H
#define DC_FAN_JOB_H

#include "fan.h"
#include "rds/rds.h"

/* fn gets 1, or 0 if it is there already. leased: to this DC; else any may take it. */
RS_MUST_CHECK int fan_job_create(struct fan *f, bool leased, rds_reply_fn *fn, void *ctx);
/* Puts it into rs:fans; only if it is not there: as one that is due. fn may be NULL. */
RS_MUST_CHECK int fan_job_list(struct fan *f, bool if_absent, rds_reply_fn *fn, void *ctx);
/* Takes a member out of rs:fans, which may be no id. */
void fan_job_unlist(struct dc *dc, const char *member, size_t len);
/* One that is served again keeps its body for as long as the messages of now. fn gets 1,
 * or -1 if it was withdrawn. */
RS_MUST_CHECK int fan_job_keep(const struct fan *f, rds_reply_fn *fn, void *ctx);
/* The same after a part of it: withdrawn, it is over. */
void fan_job_look(struct fan *f);
/* How far it has come, or that it is done; renews the lease. The answer goes to the fan. */
void fan_job_save(struct fan *f, bool done);
/* Gives it away: any DC may take it at once. */
void fan_job_leave(struct fan *f);
/* Asks for one whose lease has ended; what comes of it goes to the board. */
void fan_job_claim(struct dc *dc, const struct ulid *id);

#endif
