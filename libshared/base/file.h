/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes all of it, however many calls that takes. False: errno says why. */
bool file_write_all(int fd, const void *data, size_t len);

#endif
