/* SPDX-License-Identifier: Apache-2.0 */
/* Forms in which things are printed. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "wire/record.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_TIME_MAX 32

/* "2026-01-02T03:04:05.678Z"; "-" for 0. Returns out. */
const char *output_time(uint64_t wall_ms, char out[OUTPUT_TIME_MAX]);
/* One line on standard output: id, App, when it was sent, when it expires, bytes of the
 * body, the App's own id (- if none). */
void output_record(const struct record *r);
/* One line on standard output; takes over the reference. Not 0: not written. */
int output_json(json_t *object);
/* The body as `body` if it is UTF-8 without NUL, else as `body_base64`. Not 0: out of memory. */
int output_json_body(json_t *object, const void *body, size_t len);

#endif
