/* SPDX-License-Identifier: Apache-2.0 */
/* sim_seeds A-B [--jobs N] [--trace]: runs a range of seeds in N processes, says
 * how far it is, and for each seed that fails one line that runs it again.
 *
 * The parent hands out seeds through shared memory. A child that crashed took one
 * seed with it; another takes its place. After SIGINT or SIGTERM the children end
 * their seeds, and the parent says how far it came. */
#include "sim/world.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, PROGRESS_S = 10, FAILURES_SHOWN = 100 };

struct shared {
	_Atomic uint64_t next, passed, failed;
	_Atomic uint64_t busy[JOBS_MAX]; /* the seed a child works on; 0: none */
	atomic_bool stop;
	uint64_t last;
	size_t server_peak, client_peak; /* close enough without a lock */
};

static struct shared *shared;
static struct { uint64_t first, last; long jobs; bool trace; } options;

static void tell(uint64_t seed, const char *what)
{
	char line[256];
	if (atomic_fetch_add(&shared->failed, 1) >= FAILURES_SHOWN)
		return;
	int n = snprintf(line, sizeof line, "seed %llu: %s; again: ./run sim --seeds %llu-%llu --trace\n",
			 (unsigned long long)seed, what, (unsigned long long)seed, (unsigned long long)seed);
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(1);
}

static void run_seed(uint64_t seed)
{
	struct world_plan plan = world_plan_from_seed(seed);
	plan.trace = options.trace;
	struct world_result r = world_run(&plan);
	const char *fault = world_verdict(&r);
	if (r.server_peak > shared->server_peak)
		shared->server_peak = r.server_peak;
	if (r.client_peak > shared->client_peak)
		shared->client_peak = r.client_peak;
	if (fault)
		tell(seed, fault);
	else
		atomic_fetch_add(&shared->passed, 1);
}

static void work(long job)
{
	while (!shared->stop) {
		uint64_t seed = atomic_fetch_add(&shared->next, 1);
		if (seed > shared->last)
			break;
		shared->busy[job] = seed;
		run_seed(seed);
		shared->busy[job] = 0;
	}
}

static pid_t start(long job)
{
	pid_t parent = getpid(), pid = fork();
	if (pid != 0)
		return pid;
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		work(job);
	exit(0); /* not _exit: LeakSanitizer looks now */
}

static void on_signal(int number)
{
	(void)number;
	shared->stop = true;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void progress(double took_s)
{
	uint64_t done = shared->passed + shared->failed;
	fprintf(stderr, "%llu of %llu seeds, %llu failed, %.0f a second\n", (unsigned long long)done,
		(unsigned long long)(options.last - options.first + 1), (unsigned long long)shared->failed,
		(double)done / took_s);
}

/* A child ended: true if another has to take its place. */
static bool has_crashed(long job, int status)
{
	char what[64];
	uint64_t seed = atomic_exchange(&shared->busy[job], 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return false;
	if (WIFSIGNALED(status))
		snprintf(what, sizeof what, "ended by signal %d", WTERMSIG(status));
	else
		snprintf(what, sizeof what, "ended with status %d", WEXITSTATUS(status));
	tell(seed, what);
	return seed != 0;
}

static long job_of(const pid_t *pids, pid_t pid)
{
	long job = 0;
	while (job < options.jobs - 1 && pids[job] != pid)
		job++;
	return job;
}

static void look_after(pid_t *pids)
{
	double began = seconds(), told = began;
	for (long running = options.jobs; running > 0;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid > 0) {
			long job = job_of(pids, pid);
			if (has_crashed(job, status) && !shared->stop && (pids[job] = start(job)) > 0)
				continue;
			running--;
			continue;
		}
		nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
		if (seconds() - told >= PROGRESS_S) {
			told = seconds();
			progress(told - began);
		}
	}
	fprintf(stderr, "%.1f s, %.0f seeds a second; an engine held at most %zu KiB (broker), %zu KiB (client)\n",
		seconds() - began, (double)(shared->passed + shared->failed) / (seconds() - began),
		shared->server_peak / 1024, shared->client_peak / 1024);
}

static bool parse_options(int argc, char **argv)
{
	unsigned long long first, last;
	int end = 0;
	options.jobs = sysconf(_SC_NPROCESSORS_ONLN);
	if (argc < 2 || sscanf(argv[1], "%llu-%llu%n", &first, &last, &end) != 2 || argv[1][end] ||
	    first == 0 || first > last || last == UINT64_MAX)
		return false;
	options.first = first;
	options.last = last;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			options.trace = true;
		else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
			options.jobs = atol(argv[++i]);
		else
			return false;
	}
	return options.jobs >= 1 && options.jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
	pid_t pids[JOBS_MAX];
	if (!parse_options(argc, argv)) {
		fprintf(stderr, "usage: %s A-B [--jobs 1..%d] [--trace]\n", argv[0], JOBS_MAX);
		return 2;
	}
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	shared->next = options.first;
	shared->last = options.last;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (long job = 0; job < options.jobs; job++)
		if ((pids[job] = start(job)) < 0) {
			perror("fork");
			return 2;
		}
	look_after(pids);
	bool stopped = shared->next <= shared->last;
	if (stopped)
		printf("stopped: seeds %llu-%llu are done\n", (unsigned long long)options.first,
		       (unsigned long long)shared->next - 1);
	printf("%llu seeds passed, %llu failed\n", (unsigned long long)shared->passed,
	       (unsigned long long)shared->failed);
	return stopped || shared->failed ? 1 : 0;
}
