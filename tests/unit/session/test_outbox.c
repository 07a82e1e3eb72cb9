/* SPDX-License-Identifier: Apache-2.0 */
#include "session/outbox.h"

#include "base/bytes.h"
#include "base/list.h"

#include <criterion/criterion.h>
#include <string.h>

enum { WINDOW = 65536, NEVER = 1 };
static const uint64_t LATE = UINT64_MAX;

static uint8_t object[MESSAGE_TOTAL_MAX + 1];

static struct ulid id_of(uint32_t ref)
{
	struct ulid id = {{0}};
	be_put(id.b + 12, ref, 4);
	return id;
}

static int add_within(struct outbox *o, uint32_t ref, size_t len, uint64_t expires_ms, uint32_t window)
{
	struct outbox_entry e = {id_of(ref), expires_ms, 7000 + ref, (uint8_t)(10 + ref)};
	return outbox_add(o, ref, &e, object, len, window);
}

static int add_until(struct outbox *o, uint32_t ref, size_t len, uint64_t expires_ms)
{
	return add_within(o, ref, len, expires_ms, WINDOW);
}

static int add(struct outbox *o, uint32_t ref, size_t len) { return add_until(o, ref, len, LATE); }

/* One packet; returns how many frames it holds, -1: none may go now. */
static int fill(struct outbox *o, uint32_t number, uint64_t now_ms, struct frame *f, uint64_t wall_ms)
{
	static uint8_t packet[PACKET_FRAMES_MAX];
	struct writer w = writer_over(packet, sizeof packet);
	if (!outbox_fill(o, &w, number, now_ms, wall_ms))
		return -1;
	struct reader r = reader_over(packet, writer_len(&w));
	int n = 0;
	while (frame_read(&r, &f[n]) == RS_OK) {
		cr_assert_eq(f[n].type, FRAME_MESSAGE);
		n++;
	}
	cr_assert_not(r.failed);
	return n;
}

/* Sends all that may go now, one packet a number; returns the next number. */
static uint32_t send_all(struct outbox *o, uint32_t number, uint64_t now_ms)
{
	struct frame f[64];
	while (fill(o, number, now_ms, f, 0) >= 0)
		number++;
	return number;
}

static void ack_piece(struct outbox *o, uint32_t ref, uint64_t bitmap, uint32_t seen, uint64_t now_ms)
{
	struct frame_fragment_ack f = {seen, ref, bitmap};
	outbox_on_fragment_ack(o, &f, now_ms);
}

Test(outbox, room)
{
	struct outbox o;
	struct ulid id = id_of(2);
	outbox_init(&o, 1);
	cr_expect_eq(add(&o, 1, 0), RS_ELIMIT);
	cr_expect_eq(add(&o, 1, MESSAGE_TOTAL_MAX + 1), RS_ELIMIT);
	cr_expect_eq(add_within(&o, 1, 500, LATE, 10), RS_OK, "the first always finds a place");
	cr_expect_not(outbox_has_room(&o, 10));
	cr_expect_eq(add_within(&o, 2, 1, LATE, 10), RS_EBUSY);
	cr_expect_eq(add_within(&o, 2, 100, LATE, 600), RS_OK);
	cr_expect_eq(add_within(&o, 3, 1, LATE, 600), RS_EBUSY, "window full to the byte");
	cr_expect(outbox_holds(&o, &id));
	id = id_of(3);
	cr_expect_not(outbox_holds(&o, &id));
	outbox_deinit(&o);
}

/* 64 messages, and 64 references from the oldest on: what the client keeps. */
Test(outbox, sixty_four_references)
{
	struct outbox o;
	struct outbox_done done;
	outbox_init(&o, 1);
	for (uint32_t ref = 1; ref <= OUTBOX_REFS_MAX; ref++)
		cr_assert_eq(add(&o, ref, 10), RS_OK, "%u", ref);
	cr_expect_eq(add(&o, 65, 10), RS_EBUSY);
	send_all(&o, 0, 0);
	cr_assert_eq(outbox_on_message_ack(&o, 33, 0, 0, &done), RS_OK);
	cr_expect(outbox_has_room(&o, WINDOW));
	cr_expect_eq(add(&o, 65, 10), RS_EBUSY, "64 beyond the oldest");
	cr_assert_eq(outbox_on_message_ack(&o, 1, 0, 0, &done), RS_OK);
	cr_expect_eq(add(&o, 65, 10), RS_OK);
	outbox_deinit(&o);
}

Test(outbox, a_message_is_taken_out_once)
{
	struct outbox o;
	struct outbox_done done;
	outbox_init(&o, 1);
	cr_assert_eq(add(&o, 1, 1000), RS_OK);
	send_all(&o, 0, 0);
	cr_expect_eq(outbox_on_message_ack(&o, 2, 0, 0, &done), RS_ENOENT);
	cr_expect_eq(outbox_on_message_ack(&o, 1, 0, 0, &done), RS_OK);
	cr_expect(done.tag == 11 && done.handed_ms == 7001 && !done.voided);
	cr_expect_eq(be_get(done.id.b + 12, 4), 1);
	cr_expect_eq(outbox_on_message_ack(&o, 1, 0, 0, &done), RS_ENOENT);
	cr_expect(o.count == 0 && o.bytes == 0 && o.flight == 0);
	cr_expect_eq(outbox_deadline(&o), UINT64_MAX);
	outbox_deinit(&o);
}

Test(outbox, pieces_of_several_messages_share_a_packet)
{
	struct outbox o;
	struct frame f[64];
	outbox_init(&o, 1);
	for (uint32_t ref = 1; ref <= 10; ref++)
		cr_assert_eq(add(&o, ref, 35), RS_OK); /* 45 bytes a frame: ten in 488 */
	cr_expect_eq(fill(&o, 0, 0, f, 0), 10);
	for (uint32_t i = 0; i < 10; i++)
		cr_expect(f[i].message.ref == i + 1 && f[i].message.total == 35 && f[i].message.index == 0);
	cr_expect_eq(fill(&o, 1, 0, f, 0), -1);
	cr_expect_eq(o.flight, 450);
	outbox_deinit(&o);
}

Test(outbox, sends_no_more_than_the_congestion_window)
{
	struct outbox o;
	outbox_init(&o, 1);
	cr_assert_eq(add(&o, 1, MESSAGE_TOTAL_MAX), RS_OK);
	cr_expect_eq(send_all(&o, 0, 0), OUTBOX_CWND_FIRST / 458);
	cr_expect_leq(o.flight, OUTBOX_CWND_FIRST);
	ack_piece(&o, 1, 1, 0, 10); /* slow start: one acked, two may go */
	cr_expect_eq(send_all(&o, 11, 10), 13);
	o.threshold = o.cwnd;
	uint32_t before = o.cwnd;
	ack_piece(&o, 1, 2, 1, 10); /* beyond the threshold a window grows by 512 bytes a round */
	cr_expect_eq(o.cwnd, before + 512 * 458 / before);
	outbox_deinit(&o);
}

/* `seen` three beyond a piece's packet makes it lost; two do not. */
Test(outbox, loss_by_seen)
{
	static const struct { uint32_t seen; bool lost; } cases[] = {
		{0, false}, {1, false}, {2, false}, {3, true}, {90, true}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outbox o;
		struct frame f[64];
		outbox_init(&o, 1);
		cr_assert_eq(add(&o, 1, 400), RS_OK);
		cr_assert_eq(fill(&o, 0, 0, f, 0), 1);
		outbox_on_seen(&o, cases[i].seen, 91);
		cr_expect_eq(fill(&o, 91, 1, f, 0), cases[i].lost ? 1 : -1, "seen %u", cases[i].seen);
		cr_expect_eq(o.cwnd < OUTBOX_CWND_FIRST, cases[i].lost);
		outbox_deinit(&o);
	}
}

/* Losses of one flight halve the window once, and never below the least. */
Test(outbox, one_event_halves_once)
{
	struct outbox o;
	outbox_init(&o, 1);
	cr_assert_eq(add(&o, 1, MESSAGE_TOTAL_MAX), RS_OK);
	uint32_t next = send_all(&o, 0, 0);
	outbox_on_seen(&o, 5, next); /* 0, 1, 2 are lost */
	cr_expect_eq(o.cwnd, OUTBOX_CWND_FIRST / 2);
	outbox_on_seen(&o, next - 1, next); /* more of the same flight */
	cr_expect_eq(o.cwnd, OUTBOX_CWND_FIRST / 2);
	for (int i = 0; i < 5; i++) {
		uint32_t later = send_all(&o, next, 1);
		outbox_on_seen(&o, later + 3, later + 4);
		next = later + 4;
	}
	cr_expect_eq(o.cwnd, OUTBOX_CWND_MIN);
	outbox_deinit(&o);
}

Test(outbox, the_timer_backs_off_and_stalls_after_eight)
{
	static const uint64_t want[] = {500, 1000, 2000, 4000, 8000, 8000, 8000, 8000};
	struct outbox o;
	struct frame f[64];
	uint64_t now = 100;
	outbox_init(&o, 1);
	cr_assert_eq(add(&o, 1, 100), RS_OK);
	for (uint32_t i = 0; i < OUTBOX_GIVE_UP; i++) {
		cr_assert_eq(fill(&o, i, now, f, 0), 1, "timeout %u", i);
		cr_expect_eq(outbox_deadline(&o), now + want[i]);
		now = outbox_deadline(&o);
		outbox_on_timeout(&o);
		cr_expect_eq(o.cwnd, OUTBOX_CWND_MIN);
		cr_expect_eq(o.stalled, i == OUTBOX_GIVE_UP - 1);
	}
	cr_expect_eq(outbox_deadline(&o), UINT64_MAX);
	cr_expect_eq(fill(&o, 20, now, f, 0), -1);
	outbox_on_life(&o);
	cr_expect_eq(fill(&o, 20, now, f, 0), 1);
	cr_expect_eq(outbox_deadline(&o), now + 500);
	outbox_deinit(&o);
}

/* A sample is taken only where `seen` is the very packet that carried the piece. */
Test(outbox, samples_name_their_packet)
{
	static const struct { const char *what; uint32_t first, again, seen; uint64_t ack_ms; uint32_t rto; } cases[] = {
		{"the only packet", 0, 0, 0, 200, 600}, {"a later one was seen", 0, 0, 1, 200, 500},
		{"the retransmission", 0, 5, 5, 700, 300}, {"the first of two", 0, 5, 0, 700, 1000}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outbox o;
		struct frame f[64];
		outbox_init(&o, 1);
		cr_assert_eq(add(&o, 1, 100), RS_OK);
		cr_assert_eq(fill(&o, cases[i].first, 0, f, 0), 1);
		if (cases[i].again) {
			outbox_on_timeout(&o);
			cr_assert_eq(fill(&o, cases[i].again, 600, f, 0), 1);
		}
		ack_piece(&o, 1, 1, cases[i].seen, cases[i].ack_ms);
		cr_expect_eq(rtt_timeout_ms(&o.rtt), cases[i].rto, "%s: %u", cases[i].what, rtt_timeout_ms(&o.rtt));
		struct rtt before = o.rtt;
		ack_piece(&o, 1, 1, cases[i].seen, 5000); /* said again: no second sample */
		cr_expect_eq(rtt_timeout_ms(&o.rtt), rtt_timeout_ms(&before), "%s", cases[i].what);
		outbox_deinit(&o);
	}
}

/* All pieces arrived, no word that it was taken: the last piece asks, after a
 * second, doubled up to eight, and never stalls. */
Test(outbox, asks_whether_it_was_taken)
{
	struct outbox o;
	struct frame f[64];
	uint64_t now = 0;
	outbox_init(&o, 1);
	cr_assert_eq(add(&o, 1, 2 * FRAME_PIECE), RS_OK);
	cr_assert_eq(send_all(&o, 0, 0), 2);
	ack_piece(&o, 1, 1, 0, 50);
	ack_piece(&o, 1, 3, 1, 50);
	cr_expect_eq(o.flight, 0);
	cr_expect_eq(outbox_deadline(&o), 1000);
	for (uint32_t i = 0; i < 20; i++) {
		uint64_t at = outbox_deadline(&o);
		cr_assert(at - now >= 1000 && at - now <= 8000, "%llu ms", (unsigned long long)(at - now));
		now = at;
		outbox_on_timeout(&o);
		cr_assert_eq(fill(&o, 2 + i, now, f, 0), 1);
		cr_expect_eq(f[0].message.index, 1);
		cr_expect_not(o.stalled);
		ack_piece(&o, 1, 3, 99, now + 1); /* arrived; no sample */
	}
	cr_expect_eq(outbox_deadline(&o) - now, 8000);
	outbox_deinit(&o);
}

Test(outbox, an_expired_message_becomes_void)
{
	struct outbox o;
	struct frame f[64];
	struct outbox_done done;
	outbox_init(&o, 1);
	cr_assert_eq(add_until(&o, 1, 3 * FRAME_PIECE, 5000), RS_OK);
	cr_assert_eq(fill(&o, 0, 0, f, 4999), 1);
	cr_expect_eq(f[0].message.total, 3 * FRAME_PIECE);
	cr_assert_eq(fill(&o, 1, 1, f, 5000), 1);
	cr_expect(f[0].message.ref == 1 && f[0].message.total == 0 && f[0].message.piece_len == 0);
	cr_expect_eq(o.flight, 10, "the pieces on their way do not count any more");
	ack_piece(&o, 1, 7, 1, 2);
	cr_expect_eq(o.flight, 10, "acknowledgements of its pieces are about what it was");
	cr_assert_eq(outbox_on_message_ack(&o, 1, 1, 3, &done), RS_OK);
	cr_expect(done.voided);
	cr_expect(o.count == 0 && o.bytes == 0 && o.flight == 0);
	outbox_deinit(&o);
}

/* Whatever became of its pieces so far, one empty frame goes out in their place. */
/* All arrived, nothing is due: the owner comes at expiry_ms, and the client hears of it
 * before it takes the message. */
Test(outbox, one_that_arrived_and_is_not_taken_becomes_void_in_time)
{
	struct outbox o;
	struct frame f[64];
	outbox_init(&o, 1);
	cr_expect_eq(o.expiry_ms, UINT64_MAX);
	cr_assert_eq(add_until(&o, 1, 100, 5900), RS_OK);
	cr_assert_eq(add_until(&o, 2, 100, 5600), RS_OK);
	cr_assert_eq(fill(&o, 1, 1000, f, 5000), 2);
	cr_expect_eq(o.expiry_ms, 1600);
	ack_piece(&o, 1, 1, 1, 1010);
	ack_piece(&o, 2, 1, 1, 1010);
	cr_assert_eq(fill(&o, 2, 1599, f, 5599), -1);
	cr_expect_eq(o.expiry_ms, 1600);
	cr_assert_eq(fill(&o, 2, 1600, f, 5600), 1);
	cr_expect(f[0].message.ref == 2 && f[0].message.total == 0);
	cr_expect_eq(o.expiry_ms, 1900);
	cr_assert_eq(fill(&o, 3, 1950, f, 5950), 1);
	cr_expect(f[0].message.ref == 1 && f[0].message.total == 0);
	cr_expect_eq(o.expiry_ms, UINT64_MAX);
	outbox_deinit(&o);
}

Test(outbox, a_withdrawn_message_becomes_void)
{
	static const struct {
		bool sent;
		uint64_t arrived; /* its pieces, as a bitmap */
		bool twice;
	} cases[] = {
		{false, 0, false}, {true, 0, false}, {true, 2, false}, {true, 7, false}, {true, 7, true},
	};
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outbox o;
		struct outbox_done done;
		struct frame f[64];
		struct ulid id = id_of(1);
		outbox_init(&o, 1);
		cr_assert_eq(add(&o, 1, 3 * FRAME_PIECE), RS_OK);
		uint32_t number = cases[i].sent ? send_all(&o, 0, 0) : 0;
		if (cases[i].arrived)
			ack_piece(&o, 1, cases[i].arrived, number - 1, 50);
		for (int n = 0; n <= cases[i].twice; n++)
			cr_assert_eq(outbox_withdraw(&o, &id), RS_OK, "case %u", i);
		cr_assert_eq(fill(&o, number, 60, f, 0), 1, "case %u", i);
		cr_expect(f[0].message.ref == 1 && f[0].message.total == 0, "case %u", i);
		cr_expect_eq(fill(&o, number + 1, 60, f, 0), -1, "case %u: once", i);
		cr_expect_eq(o.flight, 10, "case %u", i);
		cr_assert_eq(outbox_on_message_ack(&o, 1, number, 90, &done), RS_OK, "case %u", i);
		cr_expect(done.voided && done.tag == 11 && done.handed_ms == 7001, "case %u", i);
		cr_expect(o.count == 0 && o.bytes == 0 && o.flight == 0, "case %u", i);
		cr_expect_eq(outbox_withdraw(&o, &id), RS_ENOENT, "case %u: it is gone", i);
		outbox_deinit(&o);
	}
}

/* A client that holds a void message back, since an earlier one is not taken yet,
 * says so with an empty bitmap: it has arrived and is not sent over and over. */
Test(outbox, a_void_message_that_arrived_is_not_lost)
{
	struct outbox o;
	struct frame f[64];
	outbox_init(&o, 1);
	cr_assert_eq(add(&o, 1, 10), RS_OK);
	cr_assert_eq(add_until(&o, 2, 10, NEVER), RS_OK);
	cr_assert_eq(fill(&o, 0, 0, f, 5), 2);
	ack_piece(&o, 1, 1, 0, 50);
	ack_piece(&o, 2, 0, 0, 50);
	cr_expect_eq(o.flight, 0);
	outbox_on_seen(&o, 9, 10);
	cr_expect_eq(fill(&o, 10, 60, f, 5), -1, "nothing was lost");
	outbox_deinit(&o);
}

/* Found by fuzz/session_server: such an acknowledgement opened the window, and left
 * a timer that was over before it began. */
Test(outbox, what_was_never_sent_is_not_acknowledged)
{
	struct outbox o;
	struct outbox_done done;
	struct frame f[64];
	outbox_init(&o, 1);
	cr_assert_eq(add(&o, 1, 4 * FRAME_PIECE), RS_OK);
	ack_piece(&o, 1, 15, 5, 1000);
	cr_expect_eq(o.cwnd, OUTBOX_CWND_FIRST);
	cr_expect_eq(outbox_on_message_ack(&o, 1, 5, 1000, &done), RS_ENOENT);
	cr_assert_eq(fill(&o, 0, 1000, f, 0), 1);
	cr_expect_eq(outbox_on_message_ack(&o, 1, 0, 1000, &done), RS_ENOENT, "three pieces wait");
	send_all(&o, 1, 1000);
	cr_expect_eq(outbox_on_message_ack(&o, 1, 3, 1010, &done), RS_OK);
	outbox_deinit(&o);
}
