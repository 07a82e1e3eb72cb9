/* SPDX-License-Identifier: Apache-2.0 */
#include "publish.h"

#include "dc.h"
#include "fan_board.h"
#include "fan_launch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct publishing {
	struct answer *a;
	struct fan *fan;
};

static void answer_state(const struct publishing *p, enum launched how)
{
	char id[ULID_TEXT + 1], count[24];
	bool is_new = how == LAUNCH_NEW || how == LAUNCH_NOBODY;
	struct answer_field fields[] = {
		{"message", ulid_format(&p->fan->id, id), ULID_TEXT},
		{"state", is_new ? "accepted" : "duplicate", is_new ? 8 : 9},
		{"subscribers", count, (size_t)snprintf(count, sizeof count, "%" PRIu64, p->fan->total)},
	};
	answer_ok(p->a, fields, is_new ? 3 : 2);
}

static void on_launched(void *ctx, int err, enum launched how)
{
	struct publishing *p = ctx;
	struct fan *f = p->fan;
	if (err)
		answer_redis_error(p->a, err);
	else
		answer_state(p, how);
	free(p);
	if (!err && f->durable) {
		fan_set_state(f, FAN_READING);
		fan_board_add(f->dc->fans, f);
	} else {
		fan_free(f); /* there is nothing to do, or somebody who has room will do it */
	}
}

void publish_send(struct answer *a, const struct send *send)
{
	struct publishing *p = malloc(sizeof *p);
	struct fan *f = p ? fan_new(a->dc, FAN_TOPIC, send) : NULL;
	int err = f ? fan_set_record(f, send, (struct text_span){a->id, a->id_len}) : RS_ENOMEM;
	if (!err) {
		*p = (struct publishing){a, f};
		err = fan_launch(f, (struct text_span){"", 0}, on_launched, p);
	}
	if (!err)
		return;
	free(p);
	fan_free(f);
	answer_redis_error(a, err);
}
