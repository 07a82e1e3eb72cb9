/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the Redis keys, all in one place; docs/redis.md explains each.
 * All keys of a user share the hash tag {user}. Names were checked with
 * name_fault() before. Each function writes the key and returns its length. */
#ifndef RDS_KEYS_H
#define RDS_KEYS_H

#include "crypto/hash.h"

#include <stddef.h>

#define KEY_MAX 256

size_t key_queue(char out[KEY_MAX], const char *user, size_t len);     /* rs:{user}:queue */
size_t key_presence(char out[KEY_MAX], const char *user, size_t len);  /* rs:{user}:presence */
size_t key_once(char out[KEY_MAX], const char *user, size_t len, const char *app, size_t app_len,
		const char *id, size_t id_len);                        /* rs:{user}:once:{app}:id */
size_t key_session(char out[KEY_MAX], const char *session_id, size_t len); /* rs:session:<sha256> */
size_t key_app(char out[KEY_MAX], const char *app, size_t len);        /* rs:app:<id> */
size_t key_member(char out[KEY_MAX], const char *kind, const char *id); /* rs:<kind>:<id>, kind broker, dc, lb */
size_t key_members(char out[KEY_MAX], const char *kind);               /* rs:<kind>s, zset of ids by last beat */

#endif
