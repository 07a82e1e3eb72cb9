/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in files: the static X25519 key of a broker or balancer (64
 * hexadecimal digits), the cluster secret, App keys of the CLI. */
#ifndef APP_KEYFILE_H
#define APP_KEYFILE_H

#include "crypto/x25519.h"

#include <stddef.h>

#define SECRET_MAX 256
#define SECRET_MIN 16 /* a shorter cluster secret is refused */

/* Loads the key, or makes one at first start: written to a temporary file with
 * mode 0600, synced, then renamed. A file that others may read is refused. */
RS_MUST_CHECK int keyfile_load_or_create(const char *path, struct keypair *out, char *fault,
					 size_t fault_cap);
/* Writes the public part to <path>.pub (mode 0644), for those who pin it. */
RS_MUST_CHECK int keyfile_publish(const char *path, const struct keypair *key, char *fault,
				  size_t fault_cap);
/* First line of a file, without the line end. A file that others may read is refused. */
RS_MUST_CHECK int keyfile_read_secret(const char *path, char *out, size_t cap, size_t *len,
				      char *fault, size_t fault_cap);

#endif
