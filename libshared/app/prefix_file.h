/* SPDX-License-Identifier: Apache-2.0 */
/* The setting `prefixes` of a daemon: a file with a table of base/prefixes.h. Read
 * at the start, where a wrong file is a reason not to start, and again on SIGHUP,
 * where the table in force stays if the new one is wrong. Reading takes about a
 * second for a million lines, and the loop waits. */
#ifndef APP_PREFIX_FILE_H
#define APP_PREFIX_FILE_H

#include "app/metrics.h"
#include "base/prefixes.h"

struct prefix_file {
	const char *path;        /* borrowed; "": none */
	struct prefixes *table;  /* NULL: none */
	uint64_t reloaded, reload_failed;
};

/* Reads the file and throws it away: for --check-config. "" is fine. */
RS_MUST_CHECK int prefix_file_check(const char *path, char *fault, size_t cap);
RS_MUST_CHECK int prefix_file_open(struct prefix_file *f, const char *path, char *fault, size_t cap);
/* Logs what came of it. True: the table is another, and its places are too. */
bool prefix_file_reload(struct prefix_file *f);
void prefix_file_close(struct prefix_file *f);
/* <daemon>_prefixes, _prefix_reloads_total, _prefix_reload_failed_total. */
void prefix_file_metrics(const struct prefix_file *f, const char *daemon, struct metrics *m);

#endif
