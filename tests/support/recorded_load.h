/* SPDX-License-Identifier: Apache-2.0 */
/* A stack under a steady load: users with a client each, an App that sends to them
 * one after another, and a record of what was sent, OK'd and shown (record_check.h),
 * which alone is judged. The environment makes it large: RESTANTE_LOAD_USERS,
 * _MESSAGES (of all together) and _RATE (a second).
 *
 *   static struct recorded_load l;
 *   recorded_load_start(&l, &(struct recorded_load_size){200, 4000, 160}, &options);
 *   while (recorded_load_sends(&l)) {
 *           recorded_load_turn(&l);
 *           ... what is done to the stack meanwhile
 *   }
 *   recorded_load_finish(&l);
 *   recorded_load_judge(&l, "chaos");
 *   recorded_load_stop(&l); */
#ifndef SUPPORT_RECORDED_LOAD_H
#define SUPPORT_RECORDED_LOAD_H

#include "support/app_sender.h"
#include "support/receiver.h"
#include "support/stack.h"

struct recorded_load_size {
	unsigned users, messages, rate;
};

struct recorded_load {
	struct stack stack;
	struct recorded_load_size size; /* messages: a whole number for each user */
	struct receiver *r;
	size_t *recorded;        /* of what each was shown: how many are in the record */
	struct app_sender app;
	FILE *record;
	char path[TEMP_PATH_MAX];
	uint64_t shown;
	uint64_t progress, progress_ms; /* messages OK'd and shown; when that last grew */
	uint64_t began_ms;
};

/* Returns when half of the clients are online and the App begins. `otherwise`: the
 * size where the environment says nothing. */
void recorded_load_start(struct recorded_load *l, const struct recorded_load_size *otherwise,
			 const struct stack_options *options);
/* A second call does nothing. */
void recorded_load_stop(struct recorded_load *l);
void recorded_load_turn(struct recorded_load *l);
/* Not all is OK'd, and it has not stood still for a minute. */
bool recorded_load_sends(const struct recorded_load *l);
/* Turns until all is shown (or nothing moves for a minute) and a while more, in which
 * nothing may come again; ends the record. */
void recorded_load_finish(struct recorded_load *l);
/* Prints a line; the test fails for each fault in the record, and if not all was OK'd. */
void recorded_load_judge(const struct recorded_load *l, const char *what);

#endif
