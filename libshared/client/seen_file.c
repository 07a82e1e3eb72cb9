/* SPDX-License-Identifier: Apache-2.0 */
/* The lock is flock() on the file itself. Since a new file may take its place, a
 * lock counts only if the path still leads to what was locked. */
#include "client/seen_file.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = ULID_TEXT + 1, LOCK_TRIES = 10 };

struct seen_file {
	char *path;   /* resolved, so that a rename replaces the file and not a link to it */
	int fd;
	size_t lines;
	off_t end;    /* of the last whole line */
};

/* The last SEEN_MAX ids of a file. */
struct tail {
	struct ulid id[SEEN_MAX];
	size_t count, next; /* next: where the oldest stands once it is full */
	size_t lines;       /* of the file, good or not */
	off_t end;          /* of the last whole line */
};

static int fail(int err, char *error, size_t error_len, const char *path, const char *what)
{
	snprintf(error, error_len, "seen_file %s: %s%s%s", path, what, err == RS_ESYS ? ": " : "",
		 err == RS_ESYS ? strerror(errno) : "");
	return err;
}

/* ---- reading ---- */

/* One that begins with something else is not ours to write into. */
static bool begins_with_id(int fd)
{
	char head[LINE_BYTES];
	ssize_t len = pread(fd, head, sizeof head, 0);
	for (ssize_t i = 0; i < len; i++) {
		bool sign = (head[i] >= '0' && head[i] <= '9') || (head[i] >= 'A' && head[i] <= 'Z');
		if (i < ULID_TEXT ? !sign : head[i] != '\n')
			return false;
	}
	return len >= 0;
}

static void take_line(struct tail *t, const char *line, size_t len)
{
	t->lines++;
	t->end += (off_t)len;
	if (len != LINE_BYTES || ulid_parse(line, &t->id[t->next]))
		return;
	t->next = (t->next + 1) % SEEN_MAX;
	if (t->count < SEEN_MAX)
		t->count++;
}

static int read_tail(int fd, struct tail *t)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	*t = (struct tail){.count = 0};
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = copy >= 0 ? fdopen(copy, "r") : NULL;
	if (!f) {
		if (copy >= 0)
			close(copy);
		return RS_ESYS;
	}
	rewind(f);
	while ((len = getline(&line, &cap, f)) > 0 && line[len - 1] == '\n')
		take_line(t, line, (size_t)len);
	int err = ferror(f) ? RS_ESYS : RS_OK;
	free(line);
	fclose(f);
	return err;
}

static const struct ulid *tail_at(const struct tail *t, size_t i)
{
	size_t oldest = t->count == SEEN_MAX ? t->next : 0;
	return &t->id[(oldest + i) % SEEN_MAX];
}

/* ---- opening ---- */

static bool is_same_file(int fd, const char *path)
{
	struct stat a, b;
	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* RS_OK, RS_EBUSY: another has it, RS_ESYS. */
static int open_locked(const char *path, int *fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		*fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
		if (*fd < 0)
			return RS_ESYS;
		int err = flock(*fd, LOCK_EX | LOCK_NB) == 0 ? RS_OK
			  : errno == EWOULDBLOCK             ? RS_EBUSY
							     : RS_ESYS;
		if (!err && is_same_file(*fd, path))
			return RS_OK;
		int saved = errno;
		close(*fd);
		errno = saved;
		if (err)
			return err;
	}
	return RS_EBUSY;
}

static int check_kind(int fd, const char *path, char *error, size_t error_len)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(RS_ESYS, error, error_len, path, "cannot be examined");
	if (!S_ISREG(st.st_mode))
		return fail(RS_EINVAL, error, error_len, path, "is not a regular file");
	if (!begins_with_id(fd))
		return fail(RS_EINVAL, error, error_len, path,
			    "is not a list of message ids; name a file of its own for it");
	return RS_OK;
}

static int load(struct seen_file *f, seen_file_fn *each, void *ctx)
{
	struct tail *t = malloc(sizeof *t);
	if (!t)
		return RS_ENOMEM;
	int err = read_tail(f->fd, t);
	if (!err && ftruncate(f->fd, t->end) < 0)
		err = RS_ESYS;
	f->lines = t->lines;
	f->end = t->end;
	for (size_t i = 0; !err && i < t->count; i++)
		each(ctx, tail_at(t, i));
	free(t);
	return err;
}

int seen_file_open(struct seen_file **out, const char *path, seen_file_fn *each, void *ctx,
		   char *error, size_t error_len)
{
	struct seen_file *f = calloc(1, sizeof *f);
	if (!f)
		return fail(RS_ENOMEM, error, error_len, path, err_str(RS_ENOMEM));
	int err = open_locked(path, &f->fd);
	if (err) {
		free(f);
		return fail(err, error, error_len, path,
			    err == RS_EBUSY ? "is in use by another client" : "cannot be opened");
	}
	err = check_kind(f->fd, path, error, error_len);
	if (err)
		goto fail;
	f->path = realpath(path, NULL);
	err = f->path ? load(f, each, ctx) : RS_ESYS;
	if (err) {
		fail(err, error, error_len, path, err == RS_ESYS ? "cannot be read" : err_str(err));
		goto fail;
	}
	*out = f;
	return RS_OK;
fail:
	seen_file_close(f);
	return err;
}

void seen_file_close(struct seen_file *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f->path);
	free(f);
}

/* ---- writing ---- */

static bool write_tail(int fd, const struct tail *t)
{
	char *text = malloc(SEEN_MAX * LINE_BYTES + 1);
	if (!text)
		return false;
	for (size_t i = 0; i < t->count; i++) {
		ulid_format(tail_at(t, i), text + i * LINE_BYTES);
		text[i * LINE_BYTES + ULID_TEXT] = '\n';
	}
	bool done = file_write_all(fd, text, t->count * LINE_BYTES);
	free(text);
	return done;
}

/* A new file with the tail, locked before it can be found under the path. */
static int make_successor(const char *path, const struct tail *t)
{
	char temp[PATH_MAX];
	if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= sizeof temp)
		return -1;
	int fd = mkostemp(temp, O_APPEND | O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -1;
	/* Synced, or a loss of power could leave the new name without the contents. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && write_tail(fd, t) && fsync(fd) == 0 &&
	    rename(temp, path) == 0)
		return fd;
	int saved = errno;
	close(fd);
	unlink(temp);
	errno = saved;
	return -1;
}

/* When it fails the old file simply grows on; it is tried again later. */
static void shorten(struct seen_file *f)
{
	struct tail *t = malloc(sizeof *t);
	if (!t)
		return;
	int fd = read_tail(f->fd, t) == RS_OK ? make_successor(f->path, t) : -1;
	if (fd >= 0) {
		close(f->fd);
		f->fd = fd;
		f->lines = t->count;
		f->end = (off_t)(t->count * LINE_BYTES);
	} else {
		f->lines -= SEEN_MAX;
	}
	free(t);
}

int seen_file_add(struct seen_file *f, const struct ulid *id)
{
	char line[LINE_BYTES + 1];
	ulid_format(id, line);
	line[ULID_TEXT] = '\n';
	if (!file_write_all(f->fd, line, LINE_BYTES)) {
		int saved = errno;
		if (ftruncate(f->fd, f->end) < 0)
			f->end = lseek(f->fd, 0, SEEK_END); /* a torn line stays: it will be passed over */
		errno = saved;
		return RS_ESYS;
	}
	f->end += LINE_BYTES;
	if (++f->lines > SEEN_FILE_LINES_MAX)
		shorten(f);
	return RS_OK;
}
