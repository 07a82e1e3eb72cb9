/* SPDX-License-Identifier: Apache-2.0 */
/* A request to Redis with the bytes that are sent for it (and sent again after
 * NOSCRIPT), in one allocation; and the queue of those that wait for their
 * answer. Inner part of rds.c. */
#ifndef RDS_REQUEST_H
#define RDS_REQUEST_H

#include "rds/rds.h"

enum { NO_SCRIPT = -1 };

struct request {
	struct request *next;
	rds_reply_fn *fn;
	void *ctx;
	double deadline; /* of the loop's clock */
	int script;      /* enum script_id or NO_SCRIPT */
	unsigned resends;
	size_t len;
	char wire[];
};

struct request_queue {
	struct request *head, *tail;
	uint32_t count;
};

/* The command "lead... argv..."; the arguments are copied. NULL: out of memory. */
struct request *request_new(const struct rds_arg *lead, size_t lead_count,
			    const struct rds_arg *argv, size_t argc);
/* Calls its callback, if it has one, and frees it. */
void request_answer(struct request *q, int err, const struct redisReply *reply);

void request_push(struct request_queue *queue, struct request *q);
struct request *request_pop(struct request_queue *queue); /* NULL when empty */

#endif
