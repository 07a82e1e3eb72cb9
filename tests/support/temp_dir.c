/* SPDX-License-Identifier: Apache-2.0 */
#include "support/temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
	perror(what);
	abort();
}

const char *temp_template(const char *name, char out[TEMP_PATH_MAX])
{
	const char *base = getenv("TMPDIR");
	if (snprintf(out, TEMP_PATH_MAX, "%s/%s", base && *base ? base : "/tmp", name) >= TEMP_PATH_MAX)
		fail("TMPDIR is too long");
	return out;
}

void temp_dir_make(struct temp_dir *d)
{
	temp_template("rs-test-XXXXXX", d->path);
	if (!mkdtemp(d->path))
		fail("mkdtemp");
}

void temp_dir_remove(struct temp_dir *d)
{
	DIR *dir = opendir(d->path);
	for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(d->path);
}

const char *temp_path(const struct temp_dir *d, const char *name, char out[TEMP_PATH_MAX])
{
	if (snprintf(out, TEMP_PATH_MAX, "%s/%s", d->path, name) >= TEMP_PATH_MAX)
		fail("temp_path");
	return out;
}

const char *temp_file(const struct temp_dir *d, const char *name, const char *text, mode_t mode,
		      char out[TEMP_PATH_MAX])
{
	size_t len = strlen(text);
	int fd = open(temp_path(d, name, out), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fchmod(fd, mode) < 0 || close(fd) < 0)
		fail(out);
	return out;
}
