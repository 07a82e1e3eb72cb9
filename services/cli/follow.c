/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include "say.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint64_t end_of(const struct follow_options *o)
{
	return o->seconds ? clock_mono_ms() + (uint64_t)o->seconds * 1000 : UINT64_MAX;
}

static int refused(const struct text_answer *a)
{
	const char *reason = text_answer_value(a, "reason");
	say("the DC refuses: %u %s", a->code, reason ? reason : "");
	return EXIT_FAILED;
}

/* Not 0: standard output cannot be written. */
static int flush_out(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	say("standard output cannot be written: %s", strerror(errno));
	return EXIT_FAILED;
}

static int read_lines(struct textclient *t, const struct follow_options *o, uint64_t end_ms, follow_fn *line, void *ctx)
{
	struct text_answer block;
	for (int64_t n = 0; !o->count || n < o->count; n++) {
		int err = textclient_next(t, &block, end_ms);
		if (err == RS_ETIMEOUT && o->count)
			say("time is up after %lld of %lld lines", (long long)n, (long long)o->count);
		if (err == RS_ETIMEOUT)
			return o->count ? FOLLOW_EARLY : EXIT_DONE;
		if (err == RS_EREMOTE)
			return refused(&block);
		if (err) {
			say("the DC ended the stream");
			return EXIT_FAILED;
		}
		if (line(ctx, &block)) {
			say("the DC sent something that makes no sense");
			return EXIT_FAILED;
		}
		if (flush_out())
			return EXIT_FAILED;
	}
	return EXIT_DONE;
}

int follow(const struct settings *s, const struct follow_options *o, const struct buf *request, follow_fn *begun,
	   follow_fn *line, void *ctx)
{
	struct textclient t;
	struct text_answer answer;
	uint64_t end_ms = end_of(o);
	int code = EXIT_FAILED;
	textclient_init(&t, s, false);
	if (textclient_open(&t))
		goto done;
	int err = textclient_ask(&t, request, &answer);
	if (err == RS_EREMOTE)
		code = refused(&answer);
	else if (!err && begun(ctx, &answer))
		say("the DC's answer makes no sense");
	else if (!err)
		code = read_lines(&t, o, end_ms, line, ctx);
done:
	textclient_close(&t);
	return code;
}
