/* SPDX-License-Identifier: Apache-2.0 */
/* The Lua scripts of lua/, embedded at build time with their SHA-1. What each
 * takes and returns stands at its head and in docs/redis.md. */
#ifndef RDS_SCRIPTS_H
#define RDS_SCRIPTS_H

#include <stddef.h>

enum script_id {
	SCRIPT_APP_CREATE,
	SCRIPT_APP_REMOVE,
	SCRIPT_APP_ROTATE,
	SCRIPT_APP_SET,
	SCRIPT_BROADCAST_ADD,
	SCRIPT_BROADCAST_WITHDRAW,
	SCRIPT_CURSOR_ADVANCE,
	SCRIPT_FAN_CLAIM,
	SCRIPT_FAN_CREATE,
	SCRIPT_FAN_DUE,
	SCRIPT_FAN_ENLIST,
	SCRIPT_FAN_KEEP,
	SCRIPT_FAN_LEASE,
	SCRIPT_FAN_WITHDRAW,
	SCRIPT_MESSAGE_ACK,
	SCRIPT_MESSAGE_EXPIRE,
	SCRIPT_MESSAGE_FETCH,
	SCRIPT_MESSAGE_PLACE,
	SCRIPT_MESSAGE_STATUS,
	SCRIPT_MESSAGE_STORE,
	SCRIPT_MESSAGE_WITHDRAW,
	SCRIPT_MISSED_TOLD,
	SCRIPT_PRESENCE_CLAIM,
	SCRIPT_PRESENCE_CLEAR,
	SCRIPT_PRESENCE_RENEW,
	SCRIPT_RECEIPT_DUE,
	SCRIPT_RECEIPT_GIVE,
	SCRIPT_REGISTRY_BEAT,
	SCRIPT_REGISTRY_DRAIN,
	SCRIPT_SESSION_CREATE,
	SCRIPT_SETTINGS_STORE,
	SCRIPT_TOPIC_SUBSCRIBE,
	SCRIPT_TOPIC_UNSUBSCRIBE,
	SCRIPT_COUNT
};

struct script {
	const char *name;   /* "message_store" */
	const char *source;
	size_t source_len;
	const char *sha1;   /* 40 hexadecimal digits */
};

extern const struct script scripts[SCRIPT_COUNT]; /* generated, in the order of the enum */

#endif
