/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/random.h"

#include "crypto/fatal.h"

#include <limits.h>
#include <openssl/rand.h>

void random_bytes(void *out, size_t len)
{
	if (len > INT_MAX || RAND_bytes(out, (int)len) != 1)
		crypto_fatal("random bytes");
}
