/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the Redis keys, all in one place; docs/redis.md explains each.
 * All keys of a user share the hash tag {user}. Names were checked with
 * name_fault() before. Each function writes the key and returns its length. */
#ifndef RDS_KEYS_H
#define RDS_KEYS_H

#include "crypto/hash.h"
#include "rds/rds.h"
#include "wire/record.h"

#include <stddef.h>

#define KEY_MAX 256
#define SETTINGS_OF_USER_MAX 100 /* fields of rs:{user}:settings */
/* Seconds for which a user's journal remembers what became of a message, unless the
 * Data Center's setting status_s says otherwise. */
#define JOURNAL_KEEP_S 86400

size_t key_queue(char out[KEY_MAX], const char *user, size_t len, enum priority lane); /* rs:{user}:queue,
										 :queue:high, :queue:low */
/* KEYS of all that waits for a user and of what became of it, as scripts that look at
 * all want them: the queues normal, high, low, the journal, the presence. Those that
 * want no presence take one less. */
#define KEYS_OF_MAIL 5
void keys_of_mail(struct rds_arg argv[KEYS_OF_MAIL], char keys[KEYS_OF_MAIL][KEY_MAX], const char *user,
		  size_t len);
size_t key_settings(char out[KEY_MAX], const char *user, size_t len);  /* rs:{user}:settings */
size_t key_index(char out[KEY_MAX], const char *user, size_t len);     /* rs:{user}:index */
size_t key_journal(char out[KEY_MAX], const char *user, size_t len);   /* rs:{user}:journal */
size_t key_missed(char out[KEY_MAX], const char *user, size_t len);    /* rs:{user}:missed */
size_t key_presence(char out[KEY_MAX], const char *user, size_t len);  /* rs:{user}:presence */
size_t key_cursor(char out[KEY_MAX], const char *user, size_t len);    /* rs:{user}:cursor */
size_t key_once(char out[KEY_MAX], const char *user, size_t len, const char *app, size_t app_len,
		const char *id, size_t id_len);                        /* rs:{user}:once:{app}:id */
size_t key_topics_of(char out[KEY_MAX], const char *user, size_t len); /* rs:{user}:topics, set of filters */
size_t key_topic(char out[KEY_MAX], const char *filter, size_t len);   /* rs:topic:{<filter>}, set of users */
size_t key_topics(char out[KEY_MAX]);                                  /* rs:topics, set of filters */
/* A fan-out; its keys share the hash tag {<message id>}. */
size_t key_fan(char out[KEY_MAX], const struct ulid *id);              /* rs:fan:{<id>}, hash */
size_t key_fan_to(char out[KEY_MAX], const struct ulid *id);           /* rs:fan:{<id>}:to, list of names */
/* rs:fan:{<id>}:to:<attempt>, the names as they are written before there is a fan-out */
size_t key_fan_names(char out[KEY_MAX], const struct ulid *id, uint64_t attempt);
size_t key_fan_body(char out[KEY_MAX], const struct ulid *id);         /* rs:fan:{<id>}:body, string */
size_t key_fans(char out[KEY_MAX]);                                    /* rs:fans, zset of ids by lease end */
size_t key_fan_once(char out[KEY_MAX], const char *app, size_t app_len, const char *id,
		    size_t id_len);                                    /* rs:fan:once:{app}:id */
/* What is kept for all users; {all} is a hash tag that no user's keys share: theirs
 * begin with rs:{. */
size_t key_broadcasts(char out[KEY_MAX]);                              /* rs:broadcast:{all}:kept */
size_t key_broadcasts_version(char out[KEY_MAX]);                      /* rs:broadcast:{all}:version */
size_t key_broadcast_once(char out[KEY_MAX], const char *app, size_t app_len, const char *id,
			  size_t id_len);                              /* rs:broadcast:{all}:once:{app}:id */
size_t key_session(char out[KEY_MAX], const char *session_id, size_t len); /* rs:session:<sha256> */
size_t key_app(char out[KEY_MAX], const char *app, size_t len);        /* rs:app:<id> */
size_t key_apps(char out[KEY_MAX]);                                    /* rs:apps, set of names */
/* What is of an App's receipts; {app} keeps both in one slot. */
size_t key_awaited(char out[KEY_MAX], const char *app, size_t len);    /* rs:app:{app}:awaited */
size_t key_receipts(char out[KEY_MAX], const char *app, size_t len);   /* rs:app:{app}:receipts */
size_t key_awaiting(char out[KEY_MAX]);                                /* rs:awaiting, zset of Apps by last use */
size_t key_member(char out[KEY_MAX], const char *kind, const char *id); /* rs:<kind>:<id>, kind broker, dc, lb */
size_t key_members(char out[KEY_MAX], const char *kind);               /* rs:<kind>s, zset of ids by last beat */

#endif
