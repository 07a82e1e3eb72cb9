/* SPDX-License-Identifier: Apache-2.0 */
#include "ended.h"

#include "base/clock.h"
#include "brokers.h"
#include "dc.h"
#include "presence.h"
#include "receipt.h"

#include <string.h>

const char *const ended_words[ENDED_HOWS] = {"acknowledged", "expired", "replaced", "displaced", "withdrawn"};

/* The word at `at`, up to a space or the end. */
static struct text_span take_word(const char **at, const char *end)
{
	const char *space = memchr(*at, ' ', (size_t)(end - *at));
	struct text_span word = {*at, (size_t)((space ? space : end) - *at)};
	*at = space ? space + 1 : end;
	return word;
}

enum ended_how ended_how_of(struct text_span word)
{
	for (int i = 0; i < ENDED_HOWS; i++)
		if (text_is(word, ended_words[i]))
			return (enum ended_how)i;
	return ENDED_HOWS;
}

int ended_parse(const char *text, size_t len, struct ended *out)
{
	const char *at = text, *end = text + len;
	struct text_span event = take_word(&at, end);
	struct ended e = {.how = ended_how_of(event), .app = take_word(&at, end)};
	struct text_span id = take_word(&at, end), mark = take_word(&at, end);
	if (e.how == ENDED_HOWS || name_fault(e.app.at, e.app.len) || id.len != ULID_TEXT ||
	    ulid_parse(id.at, &e.id))
		return RS_EINVAL;
	e.receipt = text_is(mark, "r");
	*out = e;
	return RS_OK;
}

static void ended_take(struct dc *dc, const struct ended *e, const char *user, size_t user_len,
		       const struct holder *h)
{
	struct link_message m = {.type = LINK_WITHDRAW};
	dc->counts.ended[e->how]++;
	if (e->receipt)
		receipt_give(dc, e->app, (struct text_span){user, user_len}, &e->id, e->how, clock_wall_ms());
	if (h->broker.len == 0)
		return;
	m.withdraw = (struct link_withdraw){h->owner, e->id};
	if (brokers_send(dc->brokers, h->broker, h->boot, &m) == RS_OK)
		dc->counts.recalls++;
}

void ended_take_all(struct dc *dc, const struct redisReply *reply, size_t first, const char *user,
		    size_t user_len)
{
	struct holder h = holder_read(reply, first);
	for (size_t i = first + 4; i < reply_count(reply); i++) {
		size_t len = 0;
		const char *text = reply_str(reply_at(reply, i), &len);
		struct ended e;
		if (text && ended_parse(text, len, &e) == RS_OK)
			ended_take(dc, &e, user, user_len, &h);
	}
}
