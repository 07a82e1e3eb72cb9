/* SPDX-License-Identifier: Apache-2.0 */
/* What an App sends to a Data Center. The same bytes in one piece and in many give the
 * same answers, each of them well-formed. The first byte seeds the cuts, and says
 * whether the App has authenticated before. */
#include "dc_world.h"

#include <stdlib.h>
#include <string.h>

void fuzz_start(void) {}

/* Ids of messages are random: they do not count. */
static void hide_ids(char *text, size_t len)
{
	static const char name[] = "\r\nmessage ";
	for (size_t i = 0; i + sizeof name - 1 + 26 <= len; i++)
		if (memcmp(text + i, name, sizeof name - 1) == 0)
			memset(text + i + sizeof name - 1, 'x', 26);
}

static size_t next_cut(uint32_t *state, size_t left)
{
	static const size_t most[] = {1, 3, 40, 700, 70000};
	*state = *state * 1664525 + 1013904223;
	size_t len = 1 + (*state >> 16) % most[*state >> 8 & 3];
	return len < left ? len : left;
}

/* The answers; free() them. */
static char *talk(struct piece p, uint8_t how, uint32_t cuts, size_t *len)
{
	struct dc_world w;
	struct addr from = fuzz_addr(1);
	uint32_t state = cuts;
	dc_world_open(&w);
	dc_world_link(&w);
	struct stream *s = fake_stream_accepted(DC_APPS, &from);
	if (how & 1)
		dc_world_auth(s);
	for (size_t at = 0, n; at < p.len; at += n) {
		n = cuts ? next_cut(&state, p.len - at) : p.len;
		fake_stream_feed(s, p.data + at, n);
		if (!cuts || state & 1)
			dc_world_answer();
	}
	for (unsigned i = 0; i < 4; i++) { /* what waited for an AUTH */
		dc_world_answer();
		fake_stream_feed(s, "", 0);
	}
	fake_stream_take(s, !(how & 0x80)); /* not taken: queued to the end */
	if (!(how & 0x40))
		fake_stream_end(s);
	dc_world_answer();
	fake_stream_feed(s, "", 0);
	dc_world_check_answers();
	*len = buf_len(fake_stream_output(DC_APPS));
	char *out = fuzz_copy(*len ? (const char *)buf_head(fake_stream_output(DC_APPS)) : "", *len);
	hide_ids(out, *len);
	fake_stream_take(s, how & 0x20);
	for (unsigned i = 0; i < 3; i++) { /* deadlines */
		fake_loop_advance(31000);
		fake_stream_feed(s, "", 0);
		dc_world_answer();
	}
	dc_world_check_answers();
	dc_world_close(&w);
	return out;
}

void fuzz_one(struct fuzz *in)
{
	uint8_t how = fuzz_byte(in);
	struct piece p = fuzz_rest(in);
	size_t whole_len, cut_len;
	char *whole = talk(p, how, 0, &whole_len);
	fuzz_now_ms = FUZZ_START_MS;
	char *cut = talk(p, how, 0x100u | how, &cut_len);
	fuzz_check(whole_len == cut_len && memcmp(whole, cut, cut_len) == 0,
		   "in pieces it is answered otherwise:\n%.200s\n--\n%.200s", whole, cut);
	free(whole);
	free(cut);
}
