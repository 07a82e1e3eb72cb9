/* SPDX-License-Identifier: Apache-2.0 */
#include "app/prefix_file.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 128 * 1024 * 1024, REASON_MAX = PREFIXES_FAULT_MAX + 320 };

static int read_all(int fd, struct buf *out)
{
	for (;;) {
		if (buf_reserve(out, 65536))
			return RS_ENOMEM;
		ssize_t n = read(fd, buf_tail(out), 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? RS_OK : RS_ESYS;
		buf_commit(out, (size_t)n);
		if (buf_len(out) > FILE_MAX)
			return RS_ELIMIT;
	}
}

static int read_file(const char *path, struct buf *out, char *fault, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = fd < 0 || fstat(fd, &st) ? RS_ESYS : RS_OK;
	if (!err && !S_ISREG(st.st_mode)) { /* one without end would stop the daemon */
		snprintf(fault, cap, "%s: not a regular file", path);
		err = RS_EINVAL;
	} else {
		if (!err)
			err = read_all(fd, out);
		if (err)
			snprintf(fault, cap, "%s: %s", path, err == RS_ESYS ? strerror(errno) : err_str(err));
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int read_table(const char *path, struct prefixes **out, char *fault, size_t cap)
{
	char why[PREFIXES_FAULT_MAX];
	size_t line = 0;
	struct buf text = {0};
	int err = read_file(path, &text, fault, cap);
	if (!err) {
		err = prefixes_parse(out, (const char *)buf_head(&text), buf_len(&text), &line, why);
		if (err)
			snprintf(fault, cap, "%s: line %zu: %s", path, line, why);
	}
	buf_deinit(&text);
	return err;
}

int prefix_file_open(struct prefix_file *f, const char *path, char *fault, size_t cap)
{
	char why[REASON_MAX];
	*f = (struct prefix_file){.path = path};
	int err = *path ? read_table(path, &f->table, why, sizeof why) : RS_OK;
	if (err)
		snprintf(fault, cap, "prefixes: %s", why);
	else if (*path)
		log_info("prefixes read", LOG_STR("file", path), LOG_INT("prefixes", prefixes_count(f->table)));
	return err;
}

int prefix_file_check(const char *path, char *fault, size_t cap)
{
	struct prefixes *table = NULL;
	char why[REASON_MAX];
	int err = *path ? read_table(path, &table, why, sizeof why) : RS_OK;
	if (err)
		snprintf(fault, cap, "prefixes: %s", why);
	prefixes_free(table);
	return err;
}

bool prefix_file_reload(struct prefix_file *f)
{
	char why[REASON_MAX];
	struct prefixes *table = NULL;
	if (!*f->path) {
		log_info("no file of prefixes is set; nothing to reload");
		return false;
	}
	if (read_table(f->path, &table, why, sizeof why)) {
		f->reload_failed++;
		log_error("prefixes not reloaded; the former ones stay in force", LOG_STR("reason", why),
			  LOG_INT("prefixes", prefixes_count(f->table)));
		return false;
	}
	bool emptied = prefixes_count(f->table) && !prefixes_count(table);
	prefixes_free(f->table);
	f->table = table;
	f->reloaded++;
	LOG_AT(emptied ? LOG_WARN : LOG_INFO,
	       emptied ? "prefixes reloaded: the file has none any more" : "prefixes reloaded",
	       LOG_STR("file", f->path), LOG_INT("prefixes", prefixes_count(table)));
	return true;
}

void prefix_file_close(struct prefix_file *f)
{
	prefixes_free(f->table);
	f->table = NULL;
}

void prefix_file_metrics(const struct prefix_file *f, const char *daemon, struct metrics *m)
{
	char name[64];
	snprintf(name, sizeof name, "%s_prefixes", daemon);
	metrics_gauge(m, name, "prefixes in force", (double)prefixes_count(f->table));
	snprintf(name, sizeof name, "%s_prefix_reloads_total", daemon);
	metrics_counter(m, name, "times that the prefixes were read again", f->reloaded);
	snprintf(name, sizeof name, "%s_prefix_reload_failed_total", daemon);
	metrics_counter(m, name, "times that a wrong or missing file left the former prefixes in force", f->reload_failed);
}
