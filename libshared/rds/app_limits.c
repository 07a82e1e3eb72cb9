/* SPDX-License-Identifier: Apache-2.0 */
#include "rds/app_limits.h"

static const char *const overflow_words[] = {"reject", "drop-oldest", "drop-lowest", NULL};
static const char *const broadcast_words[] = {"no", "yes", NULL};

enum { MESSAGES_MAX = 1000000 };
#define QUEUE_BYTES_MAX (UINT64_C(1) << 40)

const struct app_limit_field app_limit_fields[APP_LIMITS] = {
	[APP_RATE] = {"rate", NULL, 0, MESSAGES_MAX, 0},
	[APP_BURST] = {"burst", NULL, 1, MESSAGES_MAX, 0},
	[APP_BODY_MAX] = {"body_max", NULL, 1, TEXT_BODY_MAX, TEXT_BODY_MAX},
	[APP_QUEUE_MESSAGES] = {"queue_messages", NULL, 0, MESSAGES_MAX, 0},
	[APP_QUEUE_BYTES] = {"queue_bytes", NULL, 0, QUEUE_BYTES_MAX, 0},
	[APP_OVERFLOW] = {"overflow", overflow_words, 0, OVERFLOW_DROP_LOWEST, OVERFLOW_REJECT},
	[APP_BROADCAST] = {"broadcast", broadcast_words, 0, 1, 1},
};

int app_limit_parse(enum app_limit which, struct text_span text, uint64_t *out)
{
	const struct app_limit_field *f = &app_limit_fields[which];
	if (!f->words)
		return text_number(text, f->min, f->max, out) ? RS_EINVAL : RS_OK;
	for (uint64_t i = 0; f->words[i]; i++) {
		if (text_is(text, f->words[i])) {
			*out = i;
			return RS_OK;
		}
	}
	return RS_EINVAL;
}

void app_limit_put(struct app_limits *limits, enum app_limit which, uint64_t value)
{
	switch (which) {
	case APP_RATE: limits->rate = (uint32_t)value; break;
	case APP_BURST: limits->burst = (uint32_t)value; break;
	case APP_BODY_MAX: limits->body_max = (uint32_t)value; break;
	case APP_QUEUE_MESSAGES: limits->queue_messages = (uint32_t)value; break;
	case APP_QUEUE_BYTES: limits->queue_bytes = value; break;
	case APP_OVERFLOW: limits->overflow = (enum overflow)value; break;
	case APP_BROADCAST: limits->broadcast = value == 1; break;
	case APP_LIMITS: break;
	}
}
