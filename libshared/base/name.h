/* SPDX-License-Identifier: Apache-2.0 */
/* Names of users, Apps, brokers and topics, and message ids given by Apps:
 * 1 to 64 bytes of printable UTF-8 without spaces or braces. They become part
 * of Redis keys, so nothing else is ever let through. */
#ifndef BASE_NAME_H
#define BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_MAX_BYTES 64
#define NAME_RULE "1 to 64 bytes of printable UTF-8 without spaces or braces"

/* NULL if the name is good, else what is wrong with it ("is empty",
 * "contains a space", ...), in static storage. */
const char *name_fault(const void *name, size_t len);

#endif
