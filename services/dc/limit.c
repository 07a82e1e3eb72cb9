/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include "base/clock.h"
#include "dc.h"

#include <inttypes.h>

void limit_refuse_body(struct answer *a, struct app *app)
{
	if (!app || app->limits.body_max == TEXT_BODY_MAX) {
		answer_error(a, 413, "length is over %d bytes", TEXT_BODY_MAX);
		return;
	}
	app->refused_size++;
	a->dc->counts.limited_size++;
	answer_error(a, 413, "length is over %" PRIu32 " bytes, the limit of this App", app->limits.body_max);
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
