/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/fatal.h"

#include "base/log.h"

#include <openssl/err.h>
#include <stdlib.h>

void crypto_fatal(const char *what)
{
	char reason[160];
	ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
	log_error("OpenSSL cannot go on", LOG_STR("what", what), LOG_STR("reason", reason));
	abort();
}
