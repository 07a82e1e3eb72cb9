/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file, for config.c. */
#ifndef APP_CONFIG_FILE_H
#define APP_CONFIG_FILE_H

#include "app/config.h"

/* Stores all that stands in src->file into `out`. RS_EINVAL with `fault`. */
RS_MUST_CHECK int config_file_load(const struct config_source *src, void *out, char *fault,
				   size_t fault_cap);

#endif
