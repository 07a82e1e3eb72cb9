/* SPDX-License-Identifier: Apache-2.0 */
/* Judges the record of a run: who sent what, what was OK'd, what was shown, a line
 * each, in the order in which it happened. It knows nothing of daemons and clients,
 * so it cannot share their errors.
 *
 *   sent USER NUMBER            perhaps again with the same number, before its OK
 *   ok USER NUMBER STATE        stored, pushed or duplicate
 *   shown RECEIVER USER NUMBER  the receiver is a user, too; it should be that one
 *   end
 *
 * Users and numbers count from 0. A user's messages are sent one after another, the
 * next after the OK of the one before. */
#ifndef SUPPORT_RECORD_CHECK_H
#define SUPPORT_RECORD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_fault {
	RECORD_LOST,      /* OK'd, and not shown by the end */
	RECORD_DOUBLED,   /* shown again */
	RECORD_EARLY,     /* shown while one before it was not */
	RECORD_UNKNOWN,   /* shown and never sent, or to another user; OK'd and not awaited */
	RECORD_MALFORMED, /* not a line of a record, or one that cannot be here */
	RECORD_TRUNCATED, /* no end */
	RECORD_FAULTS
};

#define RECORD_TEXT_MAX 160

struct record_user;

struct record_check {
	struct record_user *user; /* by number */
	size_t users;
	uint64_t lines, sent, okd, shown; /* messages sent and OK'd; times that one was shown */
	bool ended;
	uint64_t count[RECORD_FAULTS];
	char first[RECORD_FAULTS][RECORD_TEXT_MAX]; /* what the first of each was; "" */
};

void record_check_init(struct record_check *c);
void record_check_deinit(struct record_check *c);
/* One line, without its newline. */
void record_check_line(struct record_check *c, const char *line);
/* After the last line: what is lost, and whether there was an end. Once. */
void record_check_finish(struct record_check *c);
/* All of the above with a file, but deinit. False if it cannot be read. */
bool record_check_file(struct record_check *c, const char *path);
/* No fault of any kind. */
bool record_check_is_good(const struct record_check *c);
const char *record_fault_name(enum record_fault fault);

#endif
