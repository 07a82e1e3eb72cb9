/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include "base/clock.h"
#include "dc.h"

#include <inttypes.h>

/* what: is over the limit. */
static void refuse(struct answer *a, struct app *app, const char *what)
{
	if (!app || app->limits.body_max == TEXT_BODY_MAX) {
		answer_error(a, 413, "%s is over %d bytes", what, TEXT_BODY_MAX);
		return;
	}
	app->refused_size++;
	a->dc->counts.limited_size++;
	answer_error(a, 413, "%s is over %" PRIu32 " bytes, the limit of this App", what, app->limits.body_max);
}

void limit_refuse_body(struct answer *a, struct app *app) { refuse(a, app, "length"); }

bool limit_allows_message(struct answer *a, struct app *app, size_t len)
{
	if (len <= app->limits.body_max)
		return true;
	refuse(a, app, "the message behind the names");
	return false;
}

bool limit_allows_body(struct answer *a, struct app *app, size_t len)
{
	if (len <= app->limits.body_max)
		return true;
	limit_refuse_body(a, app);
	return false;
}

bool limit_allows_rate(struct answer *a, struct app *app, unsigned count)
{
	unsigned retry_after_s = 1;
	if (app_may_send(app, clock_mono_ms(), count, &retry_after_s))
		return true;
	app->refused_rate++;
	a->dc->counts.limited_rate++;
	answer_retry(a, 429, retry_after_s, "over the %" PRIu32 " messages a second of this App",
		     app->limits.rate);
	return false;
}
