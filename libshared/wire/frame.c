/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include "base/bytes.h"

#include <string.h>

static bool session_text_ok(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return len > 0 && len <= SESSION_ID_MAX;
}

static bool read_login(struct reader *r, struct frame_login *f)
{
	read_copy(r, f->device, DEVICE_BYTES);
	f->user_len = (uint8_t)read_uint(r, 1);
	f->user = (const char *)read_bytes(r, f->user_len);
	f->session_len = (uint8_t)read_uint(r, 1);
	f->session = (const char *)read_bytes(r, f->session_len);
	return reader_done(r) && !name_fault(f->user, f->user_len) &&
	       session_text_ok(f->session, f->session_len);
}

static bool read_brokers(struct reader *r, struct frame_brokers *f)
{
	f->count = (uint8_t)read_uint(r, 1);
	if (f->count > ANSWER_BROKERS_MAX)
		return false;
	for (unsigned i = 0; i < f->count; i++) {
		read_copy(r, &f->at[i].address, sizeof f->at[i].address);
		read_copy(r, f->at[i].key, 32);
	}
	return reader_done(r);
}

static bool read_message(struct reader *r, struct frame_message *f)
{
	f->ref = (uint32_t)read_uint(r, 4);
	f->total = (uint16_t)read_uint(r, 2);
	f->index = (uint8_t)read_uint(r, 1);
	f->piece_len = (uint16_t)reader_left(r);
	f->piece = read_bytes(r, f->piece_len);
	if (r->failed || f->total > MESSAGE_TOTAL_MAX)
		return false;
	if (f->total == 0)
		return f->index == 0 && f->piece_len == 0;
	unsigned pieces = frame_pieces(f->total);
	if (f->index >= pieces)
		return false;
	unsigned want = f->index + 1u < pieces ? FRAME_PIECE : f->total - FRAME_PIECE * (pieces - 1);
	return f->piece_len == want;
}

static bool read_message_ack(struct reader *r, struct frame_message_ack *f)
{
	f->seen = (uint32_t)read_uint(r, 4);
	size_t left = reader_left(r);
	f->count = (uint16_t)(left / 4);
	f->refs = read_bytes(r, left);
	return !r->failed && left % 4 == 0 && f->count >= 1 && f->count <= FRAME_REFS_MAX;
}

static bool read_request(struct reader *r, struct frame_request *f)
{
	f->number = (uint32_t)read_uint(r, 4);
	f->kind = (uint8_t)read_uint(r, 1);
	f->text_len = (uint8_t)read_uint(r, 1);
	f->text = (const char *)read_bytes(r, f->text_len);
	return reader_done(r) && f->number > 0 && !name_fault(f->text, f->text_len);
}

static bool read_reply(struct reader *r, struct frame_reply *f)
{
	f->number = (uint32_t)read_uint(r, 4);
	f->code = (uint16_t)read_uint(r, 2);
	return reader_done(r) && f->number > 0;
}

/* *known false: a type of a later version. */
static bool read_content(struct reader *r, struct frame *f, bool *known)
{
	switch (f->type) {
	case FRAME_LOGIN:
		return read_login(r, &f->login);
	case FRAME_LOGIN_OK:
		f->login_ok.owner = read_uint(r, 8);
		f->login_ok.heartbeat_s = (uint16_t)read_uint(r, 2);
		return read_brokers(r, &f->login_ok.fallback) && f->login_ok.heartbeat_s > 0;
	case FRAME_LOGIN_FAIL:
		f->login_fail.code = (uint16_t)read_uint(r, 2);
		f->login_fail.retry_ms = (uint32_t)read_uint(r, 4);
		return reader_done(r);
	case FRAME_MESSAGE:
		return read_message(r, &f->message);
	case FRAME_FRAGMENT_ACK:
		f->fragment_ack.seen = (uint32_t)read_uint(r, 4);
		f->fragment_ack.ref = (uint32_t)read_uint(r, 4);
		f->fragment_ack.bitmap = read_uint(r, 8);
		return reader_done(r);
	case FRAME_MESSAGE_ACK:
		return read_message_ack(r, &f->message_ack);
	case FRAME_CHALLENGE:
	case FRAME_RESPONSE:
		read_copy(r, f->token, sizeof f->token);
		return reader_done(r);
	case FRAME_REDIRECT:
		f->redirect.spread_ms = (uint32_t)read_uint(r, 4);
		return read_brokers(r, &f->redirect.to);
	case FRAME_CLOSE:
		f->close_code = (uint16_t)read_uint(r, 2);
		return reader_done(r);
	case FRAME_MOVE:
		return read_bytes(r, MOVE_BYTES) && reader_done(r);
	case FRAME_REQUEST:
		return read_request(r, &f->request);
	case FRAME_REPLY:
		return read_reply(r, &f->reply);
	}
	*known = false;
	return true;
}

int frame_read(struct reader *r, struct frame *out)
{
	while (!r->failed && reader_left(r) > 0) {
		bool known = true;
		out->type = (enum frame_type)read_uint(r, 1);
		size_t len = read_uint(r, 2);
		const uint8_t *content = read_bytes(r, len);
		struct reader body = reader_over(content, content ? len : 0);
		if (r->failed || !read_content(&body, out, &known)) {
			r->failed = true;
			return RS_EINVAL;
		}
		if (known)
			return RS_OK;
	}
	return r->failed ? RS_EINVAL : RS_ENOENT;
}

static void write_brokers(struct writer *w, const struct frame_brokers *f)
{
	write_uint(w, f->count, 1);
	for (unsigned i = 0; i < f->count; i++) {
		write_bytes(w, &f->at[i].address, sizeof f->at[i].address);
		write_bytes(w, f->at[i].key, 32);
	}
}

static void write_content(struct writer *w, const struct frame *f)
{
	switch (f->type) {
	case FRAME_LOGIN:
		write_bytes(w, f->login.device, DEVICE_BYTES);
		write_uint(w, f->login.user_len, 1);
		write_bytes(w, f->login.user, f->login.user_len);
		write_uint(w, f->login.session_len, 1);
		write_bytes(w, f->login.session, f->login.session_len);
		break;
	case FRAME_LOGIN_OK:
		write_uint(w, f->login_ok.owner, 8);
		write_uint(w, f->login_ok.heartbeat_s, 2);
		write_brokers(w, &f->login_ok.fallback);
		break;
	case FRAME_LOGIN_FAIL:
		write_uint(w, f->login_fail.code, 2);
		write_uint(w, f->login_fail.retry_ms, 4);
		break;
	case FRAME_MESSAGE:
		write_uint(w, f->message.ref, 4);
		write_uint(w, f->message.total, 2);
		write_uint(w, f->message.index, 1);
		write_bytes(w, f->message.piece, f->message.piece_len);
		break;
	case FRAME_FRAGMENT_ACK:
		write_uint(w, f->fragment_ack.seen, 4);
		write_uint(w, f->fragment_ack.ref, 4);
		write_uint(w, f->fragment_ack.bitmap, 8);
		break;
	case FRAME_MESSAGE_ACK:
		write_uint(w, f->message_ack.seen, 4);
		write_bytes(w, f->message_ack.refs, f->message_ack.count * 4u);
		break;
	case FRAME_CHALLENGE:
	case FRAME_RESPONSE:
		write_bytes(w, f->token, sizeof f->token);
		break;
	case FRAME_REDIRECT:
		write_uint(w, f->redirect.spread_ms, 4);
		write_brokers(w, &f->redirect.to);
		break;
	case FRAME_CLOSE:
		write_uint(w, f->close_code, 2);
		break;
	case FRAME_MOVE: {
		static const uint8_t zero[MOVE_BYTES];
		write_bytes(w, zero, MOVE_BYTES);
		break;
	}
	case FRAME_REQUEST:
		write_uint(w, f->request.number, 4);
		write_uint(w, f->request.kind, 1);
		write_uint(w, f->request.text_len, 1);
		write_bytes(w, f->request.text, f->request.text_len);
		break;
	case FRAME_REPLY:
		write_uint(w, f->reply.number, 4);
		write_uint(w, f->reply.code, 2);
		break;
	}
}

void frame_write(struct writer *w, const struct frame *f)
{
	uint8_t *head = write_space(w, FRAME_HEADER);
	uint8_t *start = w->at;
	write_content(w, f);
	if (w->failed)
		return;
	head[0] = (uint8_t)f->type;
	be_put(head + 1, (uint64_t)(w->at - start), 2);
}
