/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "dc.h"

#include <string.h>

static void answer_duplicate(struct answer *a, const struct placed *r)
{
	char id[ULID_TEXT + 1];
	struct answer_field fields[] = {
		{"message", ulid_format(&r->first, id), ULID_TEXT},
		{"state", "duplicate", 9},
		{"first", r->first_state, strlen(r->first_state)},
	};
	answer_ok(a, fields, *r->first_state ? 3 : 2);
}

/* Offline storage may be off for the user: then there is nothing to give a receipt for. */
static void answer_state(struct answer *a, const struct placed *r)
{
	const char *word = send_state_words[r->state];
	char id[ULID_TEXT + 1];
	struct answer_field fields[] = {{"message", ulid_format(&a->message, id), ULID_TEXT},
					{"state", word, strlen(word)},
					{"receipt", "no", 2}};
	answer_ok(a, fields, a->place.awaits && !r->kept ? 3 : 2);
}

static void on_placed(struct place *p, const struct placed *r)
{
	struct answer *a = p->ctx;
	if (r->err)
		answer_redis_error(a, r->err);
	else if (r->full)
		answer_retry(a, 429, STORE_FULL_RETRY_S, "the user's queue is full (%s)", r->full);
	else if (r->state == SEND_DUPLICATE)
		answer_duplicate(a, r);
	else
		answer_state(a, r);
}

void store_message(struct answer *a, const struct send *send)
{
	int err = message_put(a, send);
	if (err) {
		answer_redis_error(a, err);
		return;
	}
	a->place = (struct place){
		.dc = a->dc, .user = a->name, .user_len = a->name_len,
		.record = a->record, .record_len = a->record_len, .pushed = a->record, .pushed_len = a->record_len,
		.once = a->id, .once_len = a->id_len, .once_ms = STORE_ONCE_MS,
		.store = send->store, .limits = send->limits, .done = on_placed, .ctx = a,
	};
	err = place_begin(&a->place);
	if (err)
		answer_redis_error(a, err);
}
