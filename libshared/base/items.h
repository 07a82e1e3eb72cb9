/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated lists in settings and options. */
#ifndef BASE_ITEMS_H
#define BASE_ITEMS_H

#include <stdbool.h>

#define ITEM_MAX 128 /* an ISP with its address, a key in hexadecimal, and a NUL */

/* Takes the next item, without the blanks around it, and moves *at behind it. False
 * at the end (*at is NULL). One that is too long to be any good comes out empty. */
bool items_next(const char **at, char item[ITEM_MAX]);

#endif
