/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks share: their options, the figures they collect and print. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 64
#define BENCH_FIGURES_MAX 48
#define BENCH_PREFIX_MAX 24
#define BENCH_TTL_S 3600  /* what an interrupted run leaves is gone after that */
#define BENCH_BODY_MIN 16 /* where a message must say which one it is */

struct bench_options { /* 0: the benchmark's own default */
	int64_t count, seconds, size, depth, users, clients, messages, rounds, pace, connections;
	const char *broker, *metrics;
	bool json;
};

struct figure {
	const char *name;  /* for --json */
	const char *label;
	const char *unit;
	double value;
};

struct bench {
	const struct settings *settings;
	const struct bench_options *options;
	char prefix[BENCH_PREFIX_MAX]; /* of all users that this run makes: "bench-9f3c-" */
	struct figure figures[BENCH_FIGURES_MAX];
	size_t figure_count;
};

/* One value a round. */
struct series {
	double at[BENCH_ROUNDS_MAX];
	size_t count;
};

/* bench_figures.c */
void series_add(struct series *s, double v);
double series_median(const struct series *s);
/* Median of a's values over b's of the same round: what disturbs a moment of the
 * machine disturbs both. */
double series_ratio(const struct series *a, const struct series *b);
/* Sorts; p of 0..100. */
void latency_sort(uint32_t *us, size_t count);
double latency_ms(const uint32_t *sorted_us, size_t count, double p);
/* name, label and unit are kept, not copied. */
void bench_figure(struct bench *b, const char *name, const char *label, double value, const char *unit);
/* p50, p90, p99 and p99.9; sorts `us`. `names` and `labels`: four each. */
void bench_latencies(struct bench *b, const char *const names[4], const char *const labels[4],
		     uint32_t *us, size_t count);
/* A table, or one line of JSON. Not 0: not written. */
int bench_print(const struct bench *b, const char *title);

/* The benchmarks; each returns an exit code and has said what went wrong. */
int bench_clients(struct bench *b);
int bench_store(struct bench *b);
int bench_push(struct bench *b);
int bench_drain(struct bench *b);
int bench_fan(struct bench *b);
int bench_failover(struct bench *b);

static inline int64_t bench_or(int64_t given, int64_t otherwise) { return given ? given : otherwise; }

#endif
