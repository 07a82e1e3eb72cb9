/* SPDX-License-Identifier: Apache-2.0 */
#include "app/metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void expect_page(struct metrics *m, const char *want)
{
	cr_assert_not(m->failed);
	cr_expect_eq(buf_len(&m->text), strlen(want));
	cr_expect_eq(memcmp(buf_head(&m->text), want, strlen(want)), 0, "got:\n%.*s\nwant:\n%s",
		     (int)buf_len(&m->text), (const char *)buf_head(&m->text), want);
	buf_deinit(&m->text);
}

Test(metrics, a_counter_keeps_all_its_digits)
{
	struct metrics m = {.failed = false};
	metrics_counter(&m, "sent_total", "Messages sent.", UINT64_MAX);
	expect_page(&m, "# HELP restante_sent_total Messages sent.\n# TYPE restante_sent_total counter\n"
			"restante_sent_total 18446744073709551615\n");
}

Test(metrics, a_gauge_is_written_short)
{
	struct metrics m = {.failed = false};
	metrics_gauge(&m, "a", "A.", 0.25);
	metrics_gauge(&m, "b", "B.", 1e6);
	metrics_gauge(&m, "c", "C.", NAN);
	metrics_gauge(&m, "d", "D.", -INFINITY);
	expect_page(&m, "# HELP restante_a A.\n# TYPE restante_a gauge\nrestante_a 0.25\n"
			"# HELP restante_b B.\n# TYPE restante_b gauge\nrestante_b 1000000\n"
			"# HELP restante_c C.\n# TYPE restante_c gauge\nrestante_c NaN\n"
			"# HELP restante_d D.\n# TYPE restante_d gauge\nrestante_d -Inf\n");
}

Test(metrics, a_family_has_one_head_and_labels_are_escaped)
{
	struct metrics m = {.failed = false};
	metrics_labelled(&m, true, "counter", "ends_total", "Ends.", "why", "lost", 3);
	metrics_labelled(&m, false, "counter", "ends_total", "Ends.", "why", "a\"b\\c\nd", 4);
	expect_page(&m, "# HELP restante_ends_total Ends.\n# TYPE restante_ends_total counter\n"
			"restante_ends_total{why=\"lost\"} 3\n"
			"restante_ends_total{why=\"a\\\"b\\\\c\\nd\"} 4\n");
}
