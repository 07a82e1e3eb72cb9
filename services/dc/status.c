/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include "base/clock.h"
#include "dc.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TIME_TEXT = 24, FIELDS_MAX = 7 };

/* An answer as it is put together: its fields, and the texts of its times. */
struct fields {
	struct answer_field at[FIELDS_MAX];
	char text[FIELDS_MAX][TIME_TEXT];
	size_t count;
};

static void add_time(struct fields *f, const char *name, const struct redisReply *reply)
{
	uint64_t ms;
	if (!reply || !reply_uint(reply, UINT64_MAX, &ms) || f->count == FIELDS_MAX)
		return;
	char *text = f->text[f->count];
	size_t len = (size_t)snprintf(text, TIME_TEXT, "%" PRIu64, ms);
	f->at[f->count++] = (struct answer_field){name, text, len};
}

static void add_sent(struct fields *f, const struct ulid *id)
{
	char *text = f->text[f->count];
	size_t len = (size_t)snprintf(text, TIME_TEXT, "%" PRIu64, ulid_time_ms(id));
	f->at[f->count++] = (struct answer_field){"stored", text, len};
}

/* {'stored', expires}, {'pushed', expires, ms}, {<how it ended>, ms[, pushed ms]} */
static void answer_status(struct answer *a, const char *state, const struct redisReply *reply)
{
	char id[ULID_TEXT + 1];
	struct fields f = {.count = 3, .at = {{"message", ulid_format(&a->message, id), ULID_TEXT},
					      {"to", a->name, a->name_len},
					      {"state", state, strlen(state)}}};
	bool waits = strcmp(state, "stored") == 0 || strcmp(state, "pushed") == 0;
	add_sent(&f, &a->message);
	if (waits) {
		add_time(&f, "pushed", reply_at(reply, 2));
		add_time(&f, "expires", reply_at(reply, 1));
	} else {
		add_time(&f, "pushed", reply_at(reply, 2));
		add_time(&f, state, reply_at(reply, 1));
	}
	answer_ok(a, f.at, f.count);
}

static void on_status(void *ctx, int err, const struct redisReply *reply)
{
	struct answer *a = ctx;
	size_t len = 0;
	const char *state = err ? NULL : reply_str(reply_at(reply, 0), &len);
	const char *known = NULL;
	for (int i = 0; state && i < ENDED_HOWS; i++)
		if (strcmp(state, ended_words[i]) == 0)
			known = ended_words[i];
	for (int i = 0; state && i <= SEND_PUSHED; i++)
		if (strcmp(state, send_state_words[i]) == 0)
			known = send_state_words[i];
	if (known)
		answer_status(a, known, reply);
	else if (state && strcmp(state, "unknown") == 0)
		answer_error(a, 404, "no message of this App to this user with this id is known (any more)");
	else
		answer_unavailable(a); /* nothing but a question, so it may be asked again */
}

void status_ask(struct answer *a, struct text_span app)
{
	char keys[KEYS_OF_MAIL][KEY_MAX], id[ULID_TEXT + 1], now[RDS_NUM_MAX];
	struct rds_arg argv[KEYS_OF_MAIL + 3];
	keys_of_mail(argv, keys, a->name, a->name_len);
	argv[KEYS_OF_MAIL] = RDS_MEM(app.at, app.len);
	argv[KEYS_OF_MAIL + 1] = RDS_MEM(ulid_format(&a->message, id), ULID_TEXT);
	argv[KEYS_OF_MAIL + 2] = rds_num((int64_t)clock_wall_ms(), now);
	if (pool_script(a->dc->redis, a->name, a->name_len, SCRIPT_MESSAGE_STATUS, KEYS_OF_MAIL, KEYS_OF_MAIL + 3, argv,
			on_status, a))
		answer_unavailable(a);
}
