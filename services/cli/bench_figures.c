/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void series_add(struct series *s, double v)
{
	if (s->count < BENCH_ROUNDS_MAX)
		s->at[s->count++] = v;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double series_median(const struct series *s)
{
	struct series sorted = *s;
	size_t n = s->count;
	if (n == 0)
		return 0;
	qsort(sorted.at, n, sizeof *sorted.at, compare_doubles);
	return n % 2 ? sorted.at[n / 2] : (sorted.at[n / 2 - 1] + sorted.at[n / 2]) / 2;
}

double series_ratio(const struct series *a, const struct series *b)
{
	struct series ratios = {.count = 0};
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (b->at[i] > 0)
			series_add(&ratios, a->at[i] / b->at[i]);
	return series_median(&ratios);
}

static int compare_us(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void latency_sort(uint32_t *us, size_t count) { qsort(us, count, sizeof *us, compare_us); }

double latency_ms(const uint32_t *sorted_us, size_t count, double p)
{
	if (count == 0)
		return 0;
	size_t at = (size_t)(p / 100 * (double)count);
	return sorted_us[at < count ? at : count - 1] / 1000.0;
}

void bench_figure(struct bench *b, const char *name, const char *label, double value, const char *unit)
{
	if (b->figure_count < BENCH_FIGURES_MAX)
		b->figures[b->figure_count++] = (struct figure){name, label, unit, value};
}

void bench_latencies(struct bench *b, const char *const names[4], const char *const labels[4],
		     uint32_t *us, size_t count)
{
	static const double percent[4] = {50, 90, 99, 99.9};
	latency_sort(us, count);
	for (int i = 0; i < 4; i++)
		bench_figure(b, names[i], labels[i], latency_ms(us, count, percent[i]), "ms");
}

static int print_json(const struct bench *b, const char *title)
{
	json_t *o = json_object();
	int failed = !o || json_object_set_new(o, "bench", json_string(title));
	for (size_t i = 0; i < b->figure_count && !failed; i++)
		failed = json_object_set_new(o, b->figures[i].name, json_real(b->figures[i].value));
	if (!failed)
		return output_json(o);
	json_decref(o);
	return failed;
}

int bench_print(const struct bench *b, const char *title)
{
	if (b->options->json)
		return print_json(b, title);
	printf("%s\n", title);
	for (size_t i = 0; i < b->figure_count; i++) {
		const struct figure *f = &b->figures[i];
		int decimals = f->value >= 1000 ? 0 : f->value >= 100 ? 1 : f->value >= 10 ? 2 : 3;
		if (f->value == (double)(int64_t)f->value)
			decimals = 0;
		printf("  %-52s %12.*f %s\n", f->label, decimals, f->value, f->unit);
	}
	return fflush(stdout) != 0;
}
