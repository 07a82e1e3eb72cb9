/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 key pairs made ahead, when there is time, for handshakes that come when there
 * is none. Each is handed out once, and its place wiped. */
#ifndef CRYPTO_KEYPOOL_H
#define CRYPTO_KEYPOOL_H

#include "crypto/x25519.h"

#include <stdbool.h>

struct keypool {
	struct keypair *at;
	size_t count, max;
	random_fn *random;
};

RS_MUST_CHECK int keypool_init(struct keypool *p, size_t max, random_fn *random);
void keypool_deinit(struct keypool *p); /* wipes what is left; twice is fine */
/* False: it is empty. */
bool keypool_take(struct keypool *p, struct keypair *out);
/* Makes up to `count` more. False: it is full now. RS_ENOMEM from OpenSSL counts as full. */
bool keypool_fill(struct keypool *p, size_t count);

#endif
