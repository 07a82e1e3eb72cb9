/* SPDX-License-Identifier: Apache-2.0 */
/* From struct restante_options to the engine's configuration. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "client/restante.h"
#include "session/client.h"

/* Checks all options. `known` gets them in the size that this library knows;
 * `config` borrows from them. RS_EINVAL: `error` names the option, what is wrong
 * with it and what would be right. */
RS_MUST_CHECK int options_take(const struct restante_options *given, struct restante_options *known,
			       struct client_config *config, char *error, size_t error_len);

#endif
