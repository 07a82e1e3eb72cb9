/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for the files of one test. */
#ifndef SUPPORT_TEMP_DIR_H
#define SUPPORT_TEMP_DIR_H

#include <sys/types.h>

#define TEMP_PATH_MAX 256

struct temp_dir {
	char path[TEMP_PATH_MAX];
};

/* "<TMPDIR, or /tmp>/<name>", for mkdtemp() and its kind; returns out. */
const char *temp_template(const char *name, char out[TEMP_PATH_MAX]);

/* A failure ends the test process with a message. */
void temp_dir_make(struct temp_dir *d);
/* Removes the folder and the files in it (no folders within). */
void temp_dir_remove(struct temp_dir *d);
/* The path of `name` in the folder; returns out. */
const char *temp_path(const struct temp_dir *d, const char *name, char out[TEMP_PATH_MAX]);
/* Writes a file with that mode, whatever the umask; its path is in out. */
const char *temp_file(const struct temp_dir *d, const char *name, const char *text, mode_t mode,
		      char out[TEMP_PATH_MAX]);

#endif
