/* SPDX-License-Identifier: Apache-2.0 */
/* A stack full of life for a model (support/model.h): its users as clients that come
 * and go, its Apps on both Data Centers, with many requests under way at once. Every
 * answer and every message that is shown goes to the model.
 *
 * Nothing here waits but crowd_turn(). */
#ifndef SUPPORT_CROWD_H
#define SUPPORT_CROWD_H

#include "support/model.h"
#include "support/receiver.h"
#include "support/stack.h"

#define CROWD_DCS 2
#define CROWD_ASKS_MAX 256 /* under way on a connection */

enum crowd_kind { CROWD_SEND, CROWD_WITHDRAW, CROWD_STATUS };

struct crowd_ask {
	enum crowd_kind kind;
	uint32_t message;
	uint64_t from_ms;
};

struct crowd_app {
	struct text_client c;
	struct crowd_ask ask[CROWD_ASKS_MAX]; /* a ring */
	unsigned head, count;
};

struct crowd_client {
	struct receiver r;         /* open: logged in, or about to */
	bool deaf;                 /* not turned: says nothing, hears nothing */
	bool busy;                 /* a SEND or WITHDRAW about this user is under way */
	unsigned life;             /* counts its logins */
	size_t read;               /* of what it was shown */
	uint64_t heard_ms;         /* mono: when it was last deaf or new */
	uint64_t told[MODEL_APPS]; /* missed messages, in the sessions before this one */
	char session[STACK_SESSION], seen[TEMP_PATH_MAX];
};

struct crowd {
	struct stack stack;
	struct model model;
	struct crowd_client client[MODEL_USERS];
	struct crowd_app app[CROWD_DCS][MODEL_APPS];
};

void crowd_start(struct crowd *w);
void crowd_stop(struct crowd *w);
/* Waits up to wait_ms for the network, and lets all do what is due. */
void crowd_turn(struct crowd *w, unsigned wait_ms);

/* Turns until the user, or the connection, has room for it. */
void crowd_send(struct crowd *w, unsigned dc, const struct model_message *draft);
void crowd_withdraw(struct crowd *w, unsigned dc, uint32_t message);
void crowd_status(struct crowd *w, unsigned dc, uint32_t message);
void crowd_finish(struct crowd *w, uint32_t user); /* turns until nothing about the user is under way */
void crowd_finish_all(struct crowd *w);

bool crowd_is_open(const struct crowd *w, uint32_t user);
void crowd_log_in(struct crowd *w, uint32_t user);
void crowd_log_out(struct crowd *w, uint32_t user);
void crowd_set_deaf(struct crowd *w, uint32_t user, bool deaf);

#endif
