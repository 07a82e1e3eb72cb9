/* SPDX-License-Identifier: Apache-2.0 */
#include "app/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void note(struct metrics *m, int err)
{
	if (err)
		m->failed = true;
}

static void put_head(struct metrics *m, const char *type, const char *name, const char *help)
{
	note(m, buf_printf(&m->text, "# HELP restante_%s %s\n# TYPE restante_%s %s\n", name, help, name, type));
}

/* Whole numbers without a fraction, as people write them. */
static void put_value(struct metrics *m, double v)
{
	if (isnan(v))
		note(m, buf_printf(&m->text, " NaN\n"));
	else if (isinf(v))
		note(m, buf_printf(&m->text, v > 0 ? " +Inf\n" : " -Inf\n"));
	else
		note(m, buf_printf(&m->text, " %.15g\n", v));
}

void metrics_counter(struct metrics *m, const char *name, const char *help, uint64_t value)
{
	put_head(m, "counter", name, help);
	note(m, buf_printf(&m->text, "restante_%s %" PRIu64 "\n", name, value));
}

void metrics_seconds(struct metrics *m, const char *name, const char *help, double value)
{
	put_head(m, "counter", name, help);
	note(m, buf_printf(&m->text, "restante_%s", name));
	put_value(m, value);
}

void metrics_gauge(struct metrics *m, const char *name, const char *help, double value)
{
	put_head(m, "gauge", name, help);
	note(m, buf_printf(&m->text, "restante_%s", name));
	put_value(m, value);
}

static void put_label_value(struct metrics *m, const char *value)
{
	for (const char *c = value; *c; c++) {
		const char *esc = *c == '\\' ? "\\\\" : *c == '"' ? "\\\"" : *c == '\n' ? "\\n" : NULL;
		note(m, esc ? buf_append(&m->text, esc, 2) : buf_append(&m->text, c, 1));
	}
}

void metrics_labelled(struct metrics *m, bool first, const char *type, const char *name,
		      const char *help, const char *label, const char *value, double sample)
{
	if (first)
		put_head(m, type, name, help);
	note(m, buf_printf(&m->text, "restante_%s{%s=\"", name, label));
	put_label_value(m, value);
	note(m, buf_append(&m->text, "\"}", 2));
	put_value(m, sample);
}
