/* SPDX-License-Identifier: Apache-2.0 */
/* Recipients that an App named: from its request as long as that is here, else from
 * rs:fan:{<id>}:to. */
#include "fan.h"

#include "dc.h"
#include "fan_board.h"
#include "rds/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* So many names that were checked, a line each. */
static int take_names(struct fan *f)
{
	const char *at = f->names.at;
	for (size_t i = 0; i < FAN_CHUNK && at < f->names.end; i++) {
		const char *lf = memchr(at, '\n', (size_t)(f->names.end - at));
		if (fan_add(f, at, (size_t)(lf - at)))
			return RS_ENOMEM;
		at = lf + 1;
	}
	f->names.taken = (size_t)(at - f->names.at);
	return RS_OK;
}

static void have_read(struct fan *f, size_t count)
{
	if (count)
		fan_read(f);
	else
		fan_served_all(f);
}

static void on_names(void *ctx, int err, const struct redisReply *reply)
{
	struct fan *f = ctx;
	f->under_way--;
	if (f->state != FAN_READING)
		return;
	for (size_t i = 0; !err && i < reply_count(reply); i++) {
		size_t len = 0;
		const char *name = reply_str(reply_at(reply, i), &len);
		if (name && !name_fault(name, len))
			err = fan_add(f, name, len);
	}
	/* A list that ends too early was lost: that is not to have served all. */
	if (err || (reply_count(reply) == 0 && f->at < f->total))
		fan_read_failed(f);
	else
		have_read(f, reply_count(reply));
}

static int read_more(struct fan *f)
{
	char key[KEY_MAX], from[RDS_NUM_MAX], to[RDS_NUM_MAX];
	if (f->names.at) {
		int err = take_names(f);
		if (!err)
			have_read(f, f->chunk_len);
		return err;
	}
	struct rds_arg argv[] = {RDS_STR("LRANGE"), RDS_MEM(key, key_fan_to(key, &f->id)),
				 rds_num((int64_t)f->at, from), rds_num((int64_t)f->at + FAN_CHUNK - 1, to)};
	int err = rds_command(pool_first(f->dc->redis), 4, argv, on_names, f);
	if (!err)
		f->under_way++;
	return err;
}

static void advance(struct fan *f)
{
	if (f->names.at)
		f->names.at += f->names.taken;
}

static void say(const struct fan *f, char out[FAN_AT_MAX]) { snprintf(out, FAN_AT_MAX, "%" PRIu64, f->at); }

static int resume(struct fan *f, const char *at) { return text_number((struct text_span){at, strlen(at)}, 0, UINT32_MAX, &f->at); }

static bool online_only(const struct fan *f)
{
	(void)f;
	return false;
}

const struct fan_source fan_list = {read_more, advance, say, resume, online_only};
