/* SPDX-License-Identifier: Apache-2.0 */
/* A client's session once keys are agreed: login, messages, heartbeats. */
#include "session/client_state.h"

#include "base/bytes.h"

#include <string.h>

enum {
	MORE_MS = 2000,   /* something waits at the broker: beat again soon */
	BEAT_LEAST_S = 5, /* a NAT that forgets sooner than this is not worth it */
	FORGOTTEN_MAX = 2, /* silences with another address after them: a NAT, no change of network */
	RECONNECT_MS = 1000,
};

static void send_frames(struct client *c, uint8_t *packet, size_t len)
{
	int total = keys_seal(&c->keys, c->conn, c->next_number, packet, len);
	if (total < 0)
		return;
	c->next_number++;
	c->stats.data_out++;
	c->handler.send(c->ctx, &c->peer, packet, (size_t)total);
}

void client_send_frame(struct client *c, const struct frame *f)
{
	uint8_t packet[PACKET_MAX];
	struct writer w = writer_over(packet + PACKET_HEADER, PACKET_FRAMES_MAX);
	frame_write(&w, f);
	if (!w.failed)
		send_frames(c, packet, writer_len(&w));
}

void client_send_login(struct client *c)
{
	struct frame f = {.type = FRAME_LOGIN};
	memcpy(f.login.device, c->config.device, DEVICE_BYTES);
	f.login.user = c->user;
	f.login.user_len = (uint8_t)strlen(c->user);
	f.login.session = c->session;
	f.login.session_len = (uint8_t)strlen(c->session);
	client_send_frame(c, &f);
}

void client_set_beat(struct client *c, uint16_t beat_s)
{
	c->beat_s = beat_s;
	c->stats.beat_s = beat_s;
	c->forgotten = 0;
}

void client_send_beat(struct client *c, uint64_t now_ms)
{
	uint8_t packet[HEARTBEAT_BYTES];
	if (!c->beat_waits)
		c->beat_idle = now_ms - c->heard_ms >= 1000u * c->beat_s;
	c->beat_number = c->next_number++;
	c->beat_sent_ms = now_ms;
	c->beat_waits = true;
	c->beat_soon = false;
	c->stats.heartbeats++;
	keys_write_beat(&c->keys, PACKET_HEARTBEAT, c->conn, c->beat_number, packet);
	c->handler.send(c->ctx, &c->peer, packet, sizeof packet);
}

/* ---- acknowledgements, collected during a batch ---- */

void client_flush(struct client *c, uint64_t now_ms)
{
	(void)now_ms;
	if (c->state != CLIENT_ONLINE || (c->ack_count == 0 && c->piece_count == 0))
		return;
	uint8_t packet[PACKET_MAX], refs[4 * FRAME_REFS_MAX];
	uint32_t seen = c->received.next - 1;
	struct writer w = writer_over(packet + PACKET_HEADER, PACKET_FRAMES_MAX);
	for (unsigned i = 0; i < c->piece_count; i++) {
		struct frame f = {.type = FRAME_FRAGMENT_ACK, .fragment_ack = c->pieces[i]};
		f.fragment_ack.seen = seen;
		frame_write(&w, &f);
	}
	if (c->ack_count > 0) {
		struct frame f = {.type = FRAME_MESSAGE_ACK};
		for (unsigned i = 0; i < c->ack_count; i++)
			be_put(refs + 4 * i, c->ack_refs[i], 4);
		f.message_ack = (struct frame_message_ack){seen, (uint16_t)c->ack_count, refs};
		frame_write(&w, &f);
	}
	c->piece_count = c->ack_count = 0;
	if (!w.failed)
		send_frames(c, packet, writer_len(&w));
}

static void ack_message(struct client *c, uint64_t now_ms, uint32_t ref)
{
	for (unsigned i = 0; i < c->ack_count; i++)
		if (c->ack_refs[i] == ref)
			return;
	c->ack_refs[c->ack_count++] = ref;
	if (c->ack_count == FRAME_REFS_MAX)
		client_flush(c, now_ms);
}

static void ack_pieces(struct client *c, uint64_t now_ms, uint32_t ref, uint64_t bitmap)
{
	unsigned i = 0;
	while (i < c->piece_count && c->pieces[i].ref != ref)
		i++;
	c->pieces[i] = (struct frame_fragment_ack){.ref = ref, .bitmap = bitmap};
	if (i == c->piece_count)
		c->piece_count++;
	if (c->piece_count == sizeof c->pieces / sizeof *c->pieces)
		client_flush(c, now_ms);
}

static void forget_piece_ack(struct client *c, uint32_t ref)
{
	for (unsigned i = 0; i < c->piece_count; i++)
		if (c->pieces[i].ref == ref) {
			c->pieces[i] = c->pieces[--c->piece_count];
			return;
		}
}

/* ---- messages ---- */

/* True if the message at the head is done with: shown, seen before, or void. */
static bool show(struct client *c, const uint8_t *data, size_t len)
{
	struct client_message m;
	uint8_t flags;
	if (len == 0)
		return true;
	if (object_decode(data, len, &m.record, &flags)) {
		c->stats.bad_packets++;
		return true; /* authentic but not to be understood: showing it later would not help */
	}
	if (!client_has_seen(c))
		return false; /* out of memory: offer it again later */
	if (seen_has(c->seen, &m.record.id)) {
		c->stats.doubled++;
		return true;
	}
	m.stored = flags & OBJECT_STORED;
	m.notice = flags & OBJECT_NOTICE;
	if (c->handler.on_message(c->ctx, &m))
		return false;
	seen_add(c->seen, &m.record.id);
	c->stats.shown++;
	return true;
}

void client_offer(struct client *c, uint64_t now_ms)
{
	const uint8_t *data;
	size_t len;
	c->offer_ms = 0;
	while (c->state == CLIENT_ONLINE && inbox_peek(&c->inbox, &data, &len)) {
		if (!show(c, data, len)) {
			c->offer_ms = now_ms + CLIENT_OFFER_MS;
			return;
		}
		if (c->state != CLIENT_ONLINE)
			return; /* stopped from inside on_message: it will come again, and not be shown */
		uint32_t ref = c->inbox.next;
		inbox_pop(&c->inbox);
		forget_piece_ack(c, ref);
		ack_message(c, now_ms, ref);
	}
}

static void on_message(struct client *c, uint64_t now_ms, const struct frame_message *f)
{
	uint64_t bitmap;
	switch (inbox_add(&c->inbox, f, &bitmap)) {
	case INBOX_OLD:
		ack_message(c, now_ms, f->ref);
		break;
	case INBOX_KEPT:
		ack_pieces(c, now_ms, f->ref, bitmap);
		if (c->offer_ms == 0)
			client_offer(c, now_ms);
		break;
	case INBOX_DROPPED:
		break;
	}
}

/* ---- what the broker says ---- */

/* Codes after which trying again by itself would be wrong. */
static bool is_final(unsigned code)
{
	return code == CLOSE_BAD_SESSION || code == CLOSE_EXPIRED || code == CLOSE_SUPERSEDED;
}

/* Codes after which the next try may well end the same way. */
static bool is_trouble(unsigned code)
{
	return code == CLOSE_UNAVAILABLE || code == CLOSE_OVERLOADED || code == CLOSE_PROTOCOL;
}

static void on_end(struct client *c, uint64_t now_ms, unsigned code, uint32_t retry_ms)
{
	if (code == CLOSE_OVERLOADED)
		client_avoid(c, &c->peer);
	if (is_final(code))
		client_set_state(c, CLIENT_STOPPED, code, UINT64_MAX);
	else if (is_trouble(code))
		client_back_off(c, now_ms, code, retry_ms);
	else
		client_begin_again(c, now_ms, code, retry_ms, RECONNECT_MS + retry_ms);
}

static void on_login_ok(struct client *c, uint64_t now_ms, const struct frame_login_ok *f)
{
	if (c->state != CLIENT_LOGIN)
		return;
	c->owner = f->owner;
	c->heartbeat_s = f->heartbeat_s ? f->heartbeat_s : 1;
	client_set_beat(c, c->heartbeat_s);
	if (f->fallback.count)
		c->fallback = f->fallback;
	c->failures = 0;
	c->avoid_count = 0;
	client_requests_renew(c);
	c->config.random(&c->beat_phase, sizeof c->beat_phase);
	client_set_state(c, CLIENT_ONLINE, 0, now_ms + 1000u * c->beat_s * (c->beat_phase + 1u) / 256);
	client_requests_send(c, now_ms);
}

static void on_redirect(struct client *c, uint64_t now_ms, const struct frame_redirect *f)
{
	if (f->to.count) {
		c->choice = f->to;
		c->at = 0;
		c->redirected = true;
	}
	client_begin_again(c, now_ms, CLOSE_SHUTDOWN, 0, f->spread_ms);
}

static void on_frame(struct client *c, uint64_t now_ms, const struct frame *f)
{
	switch (f->type) {
	case FRAME_LOGIN_OK:
		on_login_ok(c, now_ms, &f->login_ok);
		break;
	case FRAME_LOGIN_FAIL:
		on_end(c, now_ms, f->login_fail.code, f->login_fail.retry_ms);
		break;
	case FRAME_MESSAGE:
		if (c->state == CLIENT_ONLINE)
			on_message(c, now_ms, &f->message);
		break;
	case FRAME_CHALLENGE: {
		struct frame answer = {.type = FRAME_RESPONSE};
		memcpy(answer.token, f->token, sizeof answer.token);
		client_send_frame(c, &answer);
		break;
	}
	case FRAME_REDIRECT:
		if (c->state == CLIENT_ONLINE)
			on_redirect(c, now_ms, &f->redirect);
		break;
	case FRAME_REPLY:
		client_on_reply(c, now_ms, &f->reply);
		break;
	case FRAME_CLOSE:
		on_end(c, now_ms, f->close_code, 0);
		break;
	default:
		break; /* what only a client sends */
	}
}

/* The broker lives. Old keys are changed when the deadline comes, so let it come.
 * Up to a quarter of the interval early, so that those who all got something at the
 * same time do not all beat at the same time. */
static void put_off_beat(struct client *c, uint64_t now_ms)
{
	if (c->state == CLIENT_ONLINE && !c->beat_waits && !c->beat_soon && !client_keys_old(c, now_ms))
		c->deadline_ms = now_ms + 1000u * c->beat_s * (769u + c->beat_phase) / 1024;
}

static void on_data(struct client *c, uint64_t now_ms, uint8_t *data, size_t len)
{
	struct packet_header h = packet_read_header(data);
	uint64_t number = packet_full_number(c->received.next, h.number);
	if (!replay_is_new(&c->received, number)) {
		c->stats.replays++;
		return;
	}
	int frames_len = keys_open(&c->keys, number, data, len);
	if (frames_len < 0) {
		c->stats.bad_packets++;
		return;
	}
	replay_mark(&c->received, number);
	c->stats.data_in++;
	c->heard_ms = now_ms;
	put_off_beat(c, now_ms);
	struct reader r = reader_over(data + PACKET_HEADER, (size_t)frames_len);
	struct frame f;
	while (frame_read(&r, &f) == RS_OK) {
		on_frame(c, now_ms, &f);
		if (c->state != CLIENT_LOGIN && c->state != CLIENT_ONLINE)
			return;
	}
	if (r.failed)
		c->stats.bad_packets++;
}

/* A NAT that forgets in a silence gives another address after it, and what the
 * broker sends in between is lost. Twice in a row is no chance: beat more often,
 * for as long as this session lasts. */
static void learn_nat(struct client *c, bool moved)
{
	uint16_t least = c->heartbeat_s < BEAT_LEAST_S ? c->heartbeat_s : BEAT_LEAST_S;
	if (!c->beat_idle)
		return;
	c->forgotten = moved ? c->forgotten + 1 : 0;
	if (c->forgotten < FORGOTTEN_MAX)
		return;
	client_set_beat(c, c->beat_s / 2 > least ? c->beat_s / 2 : least);
}

/* Only the answer to the heartbeat that waits counts, once. */
static void on_beat(struct client *c, uint64_t now_ms, const uint8_t *data)
{
	struct packet_header h = packet_read_header(data);
	if (c->state != CLIENT_ONLINE || !c->beat_waits || h.number != (c->beat_number & 0xffffff) ||
	    !keys_check_beat(&c->keys, c->beat_number, data)) {
		c->stats.bad_packets++;
		return;
	}
	learn_nat(c, data[0] == PACKET_HEARTBEAT_MOVED);
	c->beat_waits = c->beat_urgent = c->beat_idle = false;
	c->tries = 0;
	c->heard_ms = now_ms;
	c->stats.rtt_ms = (uint32_t)(now_ms - c->beat_sent_ms);
	uint64_t next = 1000u * c->beat_s;
	if (data[0] == PACKET_HEARTBEAT_MORE && next > MORE_MS)
		next = MORE_MS;
	c->deadline_ms = now_ms + next;
	if (data[0] == PACKET_HEARTBEAT_MOVED) {
		struct frame f = {.type = FRAME_MOVE};
		client_send_frame(c, &f);
		c->beat_soon = true; /* also when only a part of what follows is lost */
		c->deadline_ms = now_ms + (next < MORE_MS ? next : MORE_MS);
	}
}

static void on_reset(struct client *c, uint64_t now_ms, const uint8_t *data)
{
	if (packet_read_header(data).number != 0 ||
	    !bytes_equal_ct(data + PACKET_HEADER, c->reset_token, RESET_TOKEN)) {
		c->stats.bad_packets++;
		return;
	}
	c->stats.resets++;
	client_begin_again(c, now_ms, CLOSE_TIMEOUT, 0, RECONNECT_MS);
}

void client_on_packet(struct client *c, uint64_t now_ms, uint8_t *data, size_t len)
{
	bool session = c->state == CLIENT_LOGIN || c->state == CLIENT_ONLINE;
	if (!session || packet_read_header(data).conn != c->conn) {
		c->stats.bad_packets++;
		return;
	}
	if (data[0] == PACKET_DATA)
		on_data(c, now_ms, data, len);
	else if (data[0] == PACKET_RESET)
		on_reset(c, now_ms, data);
	else
		on_beat(c, now_ms, data);
}
