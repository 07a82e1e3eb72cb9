/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `restante app`, and what the limits among them may be. */
#include "app.h"

#include "say.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { GRACE_MAX_S = 2592000 };

#define LIMIT(which, flag, shown, help) \
	[which] = {.name = flag, .kind = OPTION_TEXT, \
		   .offset = offsetof(struct app_options, limits) + (which) * sizeof(const char *), \
		   .value = shown, .doc = help}

const struct option app_options[] = {
	LIMIT(APP_RATE, "rate", "N", "messages a second, at each DC; 0: no limit"),
	LIMIT(APP_BURST, "burst", "N", "messages at once; as many as in a second if not given"),
	LIMIT(APP_BODY_MAX, "body-max", "BYTES", "of a body; 16384 if not given"),
	LIMIT(APP_QUEUE_MESSAGES, "queue-messages", "N", "messages of this App that may wait for a user"),
	LIMIT(APP_QUEUE_BYTES, "queue-bytes", "N", "bytes of this App that may wait for a user"),
	LIMIT(APP_OVERFLOW, "overflow", "WHAT", "when that is reached: reject, drop-oldest, drop-lowest"),
	LIMIT(APP_BROADCAST, "broadcast", "yes|no", "it may send to all; yes if not given"),
	{.name = "grace", .kind = OPTION_NUMBER, .offset = offsetof(struct app_options, grace_s),
	 .value = "SECONDS", .doc = "the former key is good for; 3600 if not given", .min = 0, .max = GRACE_MAX_S},
	{.name = NULL},
};

static int refuse(enum app_limit which, const char *value)
{
	const struct app_limit_field *f = &app_limit_fields[which];
	char shown[SAY_WORD_MAX], words[128] = "";
	say_word(value, shown);
	if (!f->words) {
		say("--%s \"%s\" must be a whole number from %" PRIu64 " to %" PRIu64 ", or " APP_NONE,
		    app_options[which].name, shown, f->min, f->max);
		return RS_EINVAL;
	}
	for (size_t i = 0, at = 0; f->words[i]; i++)
		at += (size_t)snprintf(words + at, sizeof words - at, "%s, ", f->words[i]);
	say("--%s \"%s\" must be one of %sor " APP_NONE, app_options[which].name, shown, words);
	return RS_EINVAL;
}

int app_check_limits(const struct app_options *o)
{
	for (unsigned i = 0; i < APP_LIMITS; i++) {
		const char *value = o->limits[i];
		uint64_t parsed;
		if (value && strcmp(value, APP_NONE) != 0 &&
		    app_limit_parse((enum app_limit)i, (struct text_span){value, strlen(value)}, &parsed))
			return refuse((enum app_limit)i, value);
	}
	return RS_OK;
}

bool app_has_limits(const struct app_options *o)
{
	for (unsigned i = 0; i < APP_LIMITS; i++)
		if (o->limits[i])
			return true;
	return false;
}
