/* SPDX-License-Identifier: Apache-2.0 */
/* In place of net/stream.c and net/listener.c: connections whose other side is the
 * input. As there, a stream that ends inside of a callback keeps its memory until that
 * has returned, and what stream_resume() lets in again comes in the next turn. */
#ifndef FUZZ_FAKE_STREAM_H
#define FUZZ_FAKE_STREAM_H

#include "fuzz.h"

#include "net/stream.h"

void fake_stream_reset(void);
/* Knocks at the listener that was opened as the n-th, from 0; the stream that was made
 * for it, NULL: none. */
struct stream *fake_stream_accepted(unsigned n, const struct addr *from);
/* The stream that stream_connect() made last, open now; NULL: none. */
struct stream *fake_stream_connected(void);
/* It could not be made. */
void fake_stream_refused(void);
/* Bytes for it, which it reads when it will; false: it is gone. */
bool fake_stream_feed(struct stream *s, const void *data, size_t len);
/* The other side sends no more. */
bool fake_stream_end(struct stream *s);
/* The connection breaks. */
bool fake_stream_break(struct stream *s);
bool fake_stream_alive(const struct stream *s);
/* What streams of that listener wrote and the other side took; also when they are gone.
 * FAKE_STREAM_OUT: of those that stream_connect() made. */
const struct buf *fake_stream_output(unsigned n);
void fake_stream_forget_output(unsigned n);
#define FAKE_STREAM_OUT 3
/* Whether the other side takes what is written: if not, it stays queued. */
void fake_stream_take(struct stream *s, bool takes);

#endif
