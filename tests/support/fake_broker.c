/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fake_broker.h"

#include "base/bytes.h"
#include "support/net_support.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <string.h>

enum { WAIT_MS = 20000 };

static void say_hello(void *ctx)
{
	struct fake_broker *b = ctx;
	struct link_message m = {.type = LINK_HELLO};
	m.hello.boot = b->boot;
	m.hello.id = (struct link_name){b->id, strlen(b->id)};
	fake_broker_send(b, &m);
}

static int take(void *ctx, const uint8_t *data, size_t len)
{
	struct fake_broker *b = ctx;
	struct link_message m;
	uint8_t length[4];
	cr_assert_eq(link_decode(data, len, &m), RS_OK, "the DC sent a malformed message");
	if (m.type == LINK_WELCOME) {
		b->welcome = true;
		return RS_OK;
	}
	be_put(length, len, 4);
	cr_assert_eq(buf_append(&b->received, length, 4), RS_OK);
	cr_assert_eq(buf_append(&b->received, data, len), RS_OK);
	return RS_OK;
}

static void note_down(void *ctx, const char *why)
{
	struct fake_broker *b = ctx;
	(void)why;
	b->down = true;
}

static const struct link_handler handler = {say_hello, take, note_down};

static bool is_welcome(void *ctx) { return ((struct fake_broker *)ctx)->welcome; }
static bool is_down(void *ctx) { return ((struct fake_broker *)ctx)->down; }
static bool has_message(void *ctx) { return buf_len(&((struct fake_broker *)ctx)->received) > 0; }

void fake_broker_open(struct fake_broker *b, struct ev_loop *loop, const struct addr *to,
		      struct tls_context *tls, const char *id, uint64_t boot)
{
	*b = (struct fake_broker){.loop = loop, .id = id, .boot = boot};
	cr_assert_eq(link_connect(&b->link, loop, to, tls, &handler, b), RS_OK);
	cr_assert(net_run_until(loop, is_welcome, b, WAIT_MS), "no WELCOME");
}

void fake_broker_close(struct fake_broker *b)
{
	link_free(b->link);
	b->link = NULL;
	buf_deinit(&b->received);
	buf_deinit(&b->last);
}

void fake_broker_send(struct fake_broker *b, const struct link_message *m)
{
	static uint8_t out[LINK_MESSAGE_MAX];
	int len = link_encode(m, out, sizeof out);
	cr_assert_gt(len, 0);
	cr_assert_eq(link_send(b->link, out, (size_t)len), RS_OK);
}

struct link_message fake_broker_next(struct fake_broker *b, enum link_type type)
{
	struct link_message m;
	cr_assert(net_run_until(b->loop, has_message, b, WAIT_MS), "no message of type %d", type);
	size_t len = (size_t)be_get(buf_head(&b->received), 4);
	buf_deinit(&b->last);
	cr_assert_eq(buf_append(&b->last, buf_head(&b->received) + 4, len), RS_OK);
	buf_consume(&b->received, 4 + len);
	cr_assert_eq(link_decode(buf_head(&b->last), len, &m), RS_OK);
	cr_assert_eq(m.type, type, "a message of type %d came instead of %d", m.type, type);
	return m;
}

/* The DC answers in order: what it had to say before comes before this answer. */
bool fake_broker_is_quiet(struct fake_broker *b)
{
	static const char stranger[] = "nobody-has-this-name";
	struct link_message m = {.type = LINK_FETCH};
	m.fetch.to = (struct link_owner){0xffffffff, 0xffffffffffffffff};
	m.fetch.user = (struct link_name){stranger, strlen(stranger)};
	m.fetch.max_count = 1;
	fake_broker_send(b, &m);
	cr_assert(net_run_until(b->loop, has_message, b, WAIT_MS));
	m = fake_broker_next(b, (enum link_type)buf_head(&b->received)[4]);
	return m.type == LINK_BATCH && m.batch.to.owner == 0xffffffffffffffff && !has_message(b);
}

void fake_broker_wait_down(struct fake_broker *b)
{
	cr_assert(net_run_until(b->loop, is_down, b, WAIT_MS), "the link is not closed");
}
