/* SPDX-License-Identifier: Apache-2.0 */
#include "support/recorded_load.h"

#include "support/chance.h"
#include "support/record_check.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { STILL_MS = 60000, AFTER_MS = 1500, SESSION_S = 36000 };

/* ---- start and stop ---- */

static void read_size(struct recorded_load *l, const struct recorded_load_size *otherwise)
{
	struct recorded_load_size *z = &l->size;
	z->users = (unsigned)from_env("RESTANTE_LOAD_USERS", otherwise->users);
	z->messages = (unsigned)from_env("RESTANTE_LOAD_MESSAGES", otherwise->messages);
	z->rate = (unsigned)from_env("RESTANTE_LOAD_RATE", otherwise->rate);
	cr_assert(z->users && z->rate && z->messages >= z->users, "RESTANTE_LOAD_USERS, _MESSAGES and _RATE: "
		  "numbers above 0, a message for each user at least");
	z->messages -= z->messages % z->users;
}

static void open_receivers(struct recorded_load *l)
{
	char session[STACK_SESSION], user[16];
	l->r = calloc(l->size.users, sizeof *l->r);
	l->recorded = calloc(l->size.users, sizeof *l->recorded);
	cr_assert(l->r && l->recorded);
	for (unsigned i = 0; i < l->size.users; i++) {
		snprintf(user, sizeof user, "u%u", i);
		receiver_open(&l->r[i], &l->stack, user, stack_session(&l->stack, user, SESSION_S, session));
	}
}

static unsigned online_count(const struct recorded_load *l)
{
	unsigned n = 0;
	for (unsigned i = 0; i < l->size.users; i++)
		n += receiver_is_online(&l->r[i]);
	return n;
}

/* Each user's messages come at the same distance, and no two users' together. */
static void start_app(struct recorded_load *l)
{
	unsigned users = l->size.users, pause_ms = (unsigned)(1000ull * users / l->size.rate);
	app_sender_open(&l->app, &l->stack, users, l->size.messages / users, pause_ms);
	l->app.record = l->record;
	for (unsigned i = 0; i < users; i++)
		l->app.user[i].due_ms += (uint64_t)pause_ms * i / users;
}

void recorded_load_start(struct recorded_load *l, const struct recorded_load_size *otherwise,
			 const struct stack_options *options)
{
	*l = (struct recorded_load){.app = {.fd = -1}};
	read_size(l, otherwise);
	stack_start(&l->stack, options);
	l->record = fopen(temp_path(&l->stack.dir, "record", l->path), "we");
	cr_assert_not_null(l->record);
	open_receivers(l);
	RECEIVERS_UNTIL(l->r, l->size.users, online_count(l) > l->size.users / 2);
	start_app(l);
	l->began_ms = l->progress_ms = clock_mono_ms();
}

void recorded_load_stop(struct recorded_load *l)
{
	app_sender_close(&l->app);
	for (unsigned i = 0; l->r && i < l->size.users; i++)
		if (l->r[i].client)
			receiver_close(&l->r[i]);
	free(l->r);
	free(l->recorded);
	l->r = NULL;
	l->recorded = NULL;
	if (l->record)
		fclose(l->record);
	l->record = NULL;
	stack_stop(&l->stack);
}

/* ---- the run ---- */

static void record_shown(struct recorded_load *l, unsigned i)
{
	for (; l->recorded[i] < l->r[i].count; l->recorded[i]++) {
		struct shown *m = &l->r[i].shown[l->recorded[i]];
		unsigned user, number;
		if (sscanf((char *)m->body, "u%u-%u", &user, &number) == 2)
			fprintf(l->record, "shown %u %u %u\n", i, user, number);
		else
			fprintf(l->record, "shown %u what is no message of ours\n", i);
		l->shown++;
	}
}

void recorded_load_turn(struct recorded_load *l)
{
	app_sender_turn(&l->app);
	receivers_turn(l->r, l->size.users, 5);
	for (unsigned i = 0; i < l->size.users; i++)
		record_shown(l, i);
	if (l->app.okd + l->shown != l->progress) {
		l->progress = l->app.okd + l->shown;
		l->progress_ms = clock_mono_ms();
	}
}

static bool stands_still(const struct recorded_load *l) { return clock_mono_ms() - l->progress_ms > STILL_MS; }

bool recorded_load_sends(const struct recorded_load *l) { return !app_sender_is_done(&l->app) && !stands_still(l); }

void recorded_load_finish(struct recorded_load *l)
{
	while (l->shown < l->app.okd && !stands_still(l))
		recorded_load_turn(l);
	for (uint64_t until = clock_mono_ms() + AFTER_MS; clock_mono_ms() < until;)
		recorded_load_turn(l);
	fprintf(l->record, "end\n");
	cr_assert_eq(fflush(l->record), 0);
}

void recorded_load_judge(const struct recorded_load *l, const char *what)
{
	struct record_check c;
	cr_assert(record_check_file(&c, l->path));
	fprintf(stderr,
		"%s: %u users, %" PRIu64 " sent, %" PRIu64 " OK'd, %" PRIu64 " shown in %" PRIu64
		" s; %u breaks, %u unavailable, %u duplicates; %" PRIu64
		" lost, %" PRIu64 " doubled, %" PRIu64 " early, %" PRIu64 " unknown, %" PRIu64 " malformed\n",
		what, l->size.users, c.sent, c.okd, c.shown, (clock_mono_ms() - l->began_ms) / 1000, l->app.breaks,
		l->app.unavailable, l->app.duplicates, c.count[RECORD_LOST], c.count[RECORD_DOUBLED],
		c.count[RECORD_EARLY], c.count[RECORD_UNKNOWN], c.count[RECORD_MALFORMED]);
	for (int i = 0; i < RECORD_FAULTS; i++)
		cr_expect_eq(c.count[i], 0, "%s: %s", record_fault_name((enum record_fault)i), c.first[i]);
	cr_expect_eq(c.okd, l->size.messages);
	record_check_deinit(&c);
}
