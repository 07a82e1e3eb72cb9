/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the operating system's generator by way of OpenSSL. A
 * failure ends the process: there is no safe way on. */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stddef.h>

void random_bytes(void *out, size_t len);

#endif
