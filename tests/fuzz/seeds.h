/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of make_seeds share: an input is begun, written, and ended under the
 * name of its target and what it shows. */
#ifndef FUZZ_SEEDS_H
#define FUZZ_SEEDS_H

#include "wire/cursor.h"
#include "wire/frame.h"

#include <stddef.h>
#include <stdint.h>

void seed_begin(void);
void seed_byte(unsigned v);
void seed_raw(const void *data, size_t len);
#define SEED_RAW(text) seed_raw(text, sizeof(text) - 1)
void seed_text(const char *s);
void seed_text8(const char *s);                    /* as fuzz_text() takes it */
void seed_piece(const void *data, size_t len);     /* as fuzz_piece() takes it */
void seed_bulk(const char *s);                     /* as Redis says it */
void seed_words(const char *words);                /* in the words of resp.h */
void seed_end(const char *target, const char *what);
void seed_check(int good, const char *what);

/* A frame of each type, a message of each type of the links. */
enum { SEED_FRAMES = 13, SEED_MESSAGES = 16 };
struct frame seed_frame(unsigned i);
size_t seed_frame_bytes(unsigned i, uint8_t bytes[PACKET_FRAMES_MAX]);
size_t seed_message_bytes(unsigned i, uint8_t *bytes, size_t cap);
struct frame_brokers seed_brokers(void);

void seeds_sessions(void); /* seeds_session.c */
void seeds_texts(void);    /* seeds_text.c: requests, settings, files, answers */
void seeds_redis(void);    /* seeds_redis.c */
void seeds_dc(void);       /* seeds_dc.c */

#endif
