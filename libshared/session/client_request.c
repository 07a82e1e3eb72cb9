/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks of the broker: subscriptions, storage. Requests are carried
 * out one at a time and in order, so that the last word on a topic is the last one
 * said. The first is sent until its answer comes, each time in a new packet, and
 * anew in each session: all kinds may be done twice. */
#include "session/client_state.h"

#include <stdlib.h>
#include <string.h>

enum {
	REPEAT_MS = 500,    /* doubles with each repetition ... */
	REPEAT_DOUBLE = 4,  /* ... so many times */
	LATER_TRIES = 3,    /* "try later" counts as so many at least: 2 s */
};

struct open_request {
	struct list node;
	uint32_t number;
	uint8_t kind, text_len;
	char text[NAME_MAX_BYTES];
};

static struct open_request *first_request(const struct client *c)
{
	return list_empty(&c->requests) ? NULL : LIST_ENTRY(c->requests.next, struct open_request, node);
}

static void forget_first(struct client *c)
{
	struct open_request *q = first_request(c);
	list_remove(&q->node);
	free(q);
	c->request_count--;
	client_requests_renew(c);
}

void client_requests_free(struct client *c)
{
	while (c->request_count > 0)
		forget_first(c);
}

void client_requests_renew(struct client *c)
{
	c->request_ms = 0;
	c->request_tries = 0;
}

uint64_t client_requests_deadline(const struct client *c)
{
	return c->state == CLIENT_ONLINE && c->request_count > 0 ? c->request_ms : UINT64_MAX;
}

/* The first was sent request_tries times: when the next one is due. */
static void put_off(struct client *c, uint64_t now_ms)
{
	unsigned doubled = c->request_tries - 1u;
	c->request_ms = now_ms + ((uint64_t)REPEAT_MS << (doubled < REPEAT_DOUBLE ? doubled : REPEAT_DOUBLE));
}

void client_requests_send(struct client *c, uint64_t now_ms)
{
	struct frame f = {.type = FRAME_REQUEST};
	const struct open_request *q = first_request(c);
	if (now_ms < client_requests_deadline(c))
		return;
	f.request = (struct frame_request){q->number, q->kind, q->text_len, q->text};
	c->request_tries += c->request_tries < UINT8_MAX;
	put_off(c, now_ms);
	client_send_frame(c, &f);
}

int client_request(struct client *c, uint64_t now_ms, enum request_kind kind, const char *text, size_t len)
{
	if (kind < REQUEST_SUBSCRIBE || kind > REQUEST_STORE_OFF || name_fault(text, len))
		return RS_EINVAL;
	if (c->request_count == CLIENT_REQUESTS_MAX || c->request_number == INT32_MAX)
		return RS_ELIMIT;
	struct open_request *q = malloc(sizeof *q);
	if (!q)
		return RS_ENOMEM;
	*q = (struct open_request){.number = ++c->request_number, .kind = (uint8_t)kind, .text_len = (uint8_t)len};
	memcpy(q->text, text, len);
	list_append(&c->requests, &q->node);
	int number = (int)q->number;
	if (c->request_count++ == 0)
		client_requests_send(c, now_ms);
	return number;
}

/* An answer to one that is not the first is late, or makes no sense. */
void client_on_reply(struct client *c, uint64_t now_ms, const struct frame_reply *f)
{
	const struct open_request *q = first_request(c);
	if (c->state != CLIENT_ONLINE || !q || q->number != f->number)
		return;
	if (f->code == REPLY_LATER) {
		if (c->request_tries < LATER_TRIES)
			c->request_tries = LATER_TRIES;
		put_off(c, now_ms);
		return;
	}
	forget_first(c);
	if (c->handler.on_reply)
		c->handler.on_reply(c->ctx, f->number, f->code);
	client_requests_send(c, now_ms);
}
