/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the process, for what has no safe way on: no random bytes, or an
 * OpenSSL without the algorithms we are made of. Internal to crypto/. */
#ifndef CRYPTO_FATAL_H
#define CRYPTO_FATAL_H

_Noreturn void crypto_fatal(const char *what);

#endif
