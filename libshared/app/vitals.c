/* SPDX-License-Identifier: Apache-2.0 */
#include "app/vitals.h"

#include "base/clock.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 100 * 1000, PERIOD_MS = 10 * 1000 };

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct vitals *v = w->data;
	uint64_t now_us = clock_mono_us(), passed_us = now_us - v->tick_us;
	(void)loop, (void)revents;
	v->tick_us = now_us;
	if (passed_us > TICK_US && passed_us - TICK_US > v->worst_us)
		v->worst_us = passed_us - TICK_US;
	if (now_us / 1000 - v->period_ms >= PERIOD_MS) {
		v->period_ms = now_us / 1000;
		v->worst_before_us = v->worst_us;
		v->worst_us = 0;
	}
}

void vitals_start(struct vitals *v, struct ev_loop *loop)
{
	*v = (struct vitals){.loop = loop, .start_ms = clock_mono_ms(), .tick_us = clock_mono_us()};
	v->period_ms = v->start_ms;
	ev_timer_init(&v->timer, on_tick, TICK_US / 1e6, TICK_US / 1e6);
	v->timer.data = v;
	ev_timer_start(loop, &v->timer);
}

void vitals_stop(struct vitals *v) { ev_timer_stop(v->loop, &v->timer); }

static double resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
	struct timespec t = {0, 0};
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double open_fds(void)
{
	double n = 0;
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return n;
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1; /* the one that was just open */
}

void vitals_metrics(const struct vitals *v, struct metrics *m)
{
	uint64_t worst = v->worst_us > v->worst_before_us ? v->worst_us : v->worst_before_us;
	metrics_labelled(m, true, "gauge", "build_info", "Version of the program; always 1.", "version",
			 RESTANTE_VERSION, 1);
	metrics_gauge(m, "uptime_seconds", "Seconds since the start.",
		      (double)(clock_mono_ms() - v->start_ms) / 1000);
	metrics_gauge(m, "resident_bytes", "Memory in use.", resident_bytes());
	metrics_seconds(m, "cpu_seconds_total", "Processor time used.", cpu_seconds());
	metrics_gauge(m, "open_fds", "Open file descriptors.", open_fds());
	metrics_gauge(m, "loop_lag_seconds", "Worst delay of a timer in the last 10 to 20 seconds.",
		      (double)worst / 1e6);
}
