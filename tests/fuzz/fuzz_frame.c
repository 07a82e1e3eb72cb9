/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of a DATA packet. What was read is written again, and that must read as
 * the same bytes; frames of unknown types are passed over and so are not in them. */
#include "fuzz.h"

#include "wire/frame.h"

#include <string.h>

void fuzz_start(void) {}

static size_t write_again(const uint8_t *data, size_t len, uint8_t out[PACKET_FRAMES_MAX], unsigned *count)
{
	struct reader r = reader_over(data, len);
	struct writer w = writer_over(out, PACKET_FRAMES_MAX);
	struct frame f;
	int err;
	*count = 0;
	while ((err = frame_read(&r, &f)) == RS_OK) {
		frame_write(&w, &f);
		(*count)++;
	}
	fuzz_check(err == (r.failed ? RS_EINVAL : RS_ENOENT), "frame_read() says %d", err);
	fuzz_check(frame_read(&r, &f) != RS_OK, "a frame after the end");
	fuzz_check(!w.failed, "what was read takes more room than before");
	return writer_len(&w);
}

void fuzz_one(struct fuzz *in)
{
	uint8_t first[PACKET_FRAMES_MAX], second[PACKET_FRAMES_MAX];
	unsigned first_count, second_count;
	struct piece p = fuzz_rest(in);
	if (p.len > PACKET_FRAMES_MAX)
		p.len = PACKET_FRAMES_MAX;
	size_t len = write_again(p.data, p.len, first, &first_count);
	fuzz_check(write_again(first, len, second, &second_count) == len && first_count == second_count &&
			   memcmp(first, second, len) == 0,
		   "frames are not the same when written again");
}
