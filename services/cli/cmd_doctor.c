/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "doctor.h"
#include "option.h"
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void print(const char *word, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void print(const char *word, const char *fmt, va_list ap)
{
	char text[SAY_MAX];
	vsnprintf(text, sizeof text, fmt, ap);
	printf("%-4s %s\n", word, text);
	fflush(stdout); /* some checks wait for answers that do not come */
}

void doctor_ok(struct doctor *d, const char *fmt, ...)
{
	va_list ap;
	(void)d;
	va_start(ap, fmt);
	print("ok", fmt, ap);
	va_end(ap);
}

void doctor_warn(struct doctor *d, const char *fmt, ...)
{
	va_list ap;
	d->warned++;
	va_start(ap, fmt);
	print("warn", fmt, ap);
	va_end(ap);
}

void doctor_fail(struct doctor *d, const char *fmt, ...)
{
	va_list ap;
	d->failed++;
	va_start(ap, fmt);
	print("FAIL", fmt, ap);
	va_end(ap);
}

static int run(const struct settings *s, int argc, char **argv)
{
	if (option_parse(&cmd_doctor, &argc, argv, NULL))
		return EXIT_USAGE;
	if (argc != 1)
		return option_usage(&cmd_doctor, "takes no arguments");
	struct doctor *d = calloc(1, sizeof *d);
	if (!d)
		return say("out of memory"), EXIT_FAILED;
	d->settings = s;
	if (s->file)
		doctor_ok(d, "configuration %s", s->file);
	else
		doctor_ok(d, "configuration from flags, environment and defaults; no file");
	if (doctor_check_redis(d))
		doctor_check_registry(d);
	operator_close(&d->op);
	doctor_check_dcs(d);
	doctor_check_balancers(d);
	if (d->failed || d->warned)
		say("%u failed, %u to look at", d->failed, d->warned);
	int code = d->failed ? EXIT_FAILED : EXIT_DONE;
	free(d);
	return code;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.usage = "",
	.summary = "say what is wrong and how to mend it",
	.text = "Looks at the configuration, Redis (version, durability, memory, writing, clock), the\n"
		"registry, each Data Center (dc) with the App's key, and each balancer and the broker it\n"
		"names, by the way a client would go. Changes nothing but a key of its own in Redis, for\n"
		"a moment.\n\n"
		"Standard output: a line a finding, \"ok\", \"warn\" or \"FAIL\" first; after the colon, how to\n"
		"mend it.\n\n"
		"Exit codes: " EXIT_HELP ".\nAny FAIL: 1.",
	.run = run,
};
