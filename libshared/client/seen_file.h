/* SPDX-License-Identifier: Apache-2.0 */
/* The file in which a client remembers over a restart what it has shown: one id of
 * 26 characters a line, oldest first, mode 0600. Each id is appended; when there are
 * more than SEEN_FILE_LINES_MAX lines the last SEEN_MAX are written to a new file
 * that takes the old one's place. A last line without its end (the process or the
 * machine died) is cut off, lines that are no ids are passed over.
 *
 * It is not synced: a line that a loss of power destroys costs at most a message
 * shown twice, and only if its acknowledgement was lost as well. */
#ifndef CLIENT_SEEN_FILE_H
#define CLIENT_SEEN_FILE_H

#include "base/ulid.h"
#include "session/seen.h"

#include <stddef.h>

#define SEEN_FILE_LINES_MAX (2 * SEEN_MAX)

struct seen_file;

typedef void seen_file_fn(void *ctx, const struct ulid *id);

/* Opens or makes it, locks it against other processes, and calls `each` with the
 * last SEEN_MAX ids, oldest first. Not 0: `error` says why. */
RS_MUST_CHECK int seen_file_open(struct seen_file **out, const char *path, seen_file_fn *each,
				 void *ctx, char *error, size_t error_len);
/* RS_ESYS with errno: not written; the file is as it was before. */
RS_MUST_CHECK int seen_file_add(struct seen_file *f, const struct ulid *id);
void seen_file_close(struct seen_file *f); /* NULL is fine */

#endif
