/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in the simulated world: the clients' applications make them, a broker
 * carries them out in its own time on the user's row, or asks to be tried later.
 * What must hold: they are carried out in order, and each is answered once. */
#include "sim/world_state.h"

#include <stdlib.h>
#include <string.h>

enum { LATER_PCT = 10, FULL_MS = 1000, REFUSED_OF = 7, TEXT_MAX = 40 };

static enum request_kind kind_of(uint32_t number) { return (enum request_kind)(1 + number % 4); }

/* Some are refused: which follows from the number. */
static enum reply_code code_of(uint32_t number)
{
	return number % REFUSED_OF == 1 ? REPLY_TOO_MANY : REPLY_DONE;
}

static size_t make_text(const struct peer *p, uint32_t number, char out[TEXT_MAX])
{
	return (size_t)snprintf(out, TEXT_MAX, "%s/%u", p->name, number);
}

/* ---- the client's application ---- */

uint64_t world_next_ask(const struct peer *p)
{
	return p->asked < p->world->plan.requests ? p->next_ask_ms : UINT64_MAX;
}

void world_ask(struct peer *p)
{
	struct world *w = p->world;
	struct meter *before = world_meter(&p->meter);
	while (w->now_ms >= world_next_ask(p)) {
		char text[TEXT_MAX];
		uint32_t number = p->asked + 1;
		int err = client_request(p->client, world_peer_now(p), kind_of(number), text, make_text(p, number, text));
		if (err == RS_ELIMIT) {
			p->next_ask_ms = w->now_ms + FULL_MS;
			break;
		}
		if (err != (int)number)
			abort();
		p->asked++;
		p->next_ask_ms = w->now_ms + world_below(w, w->plan.ask_spacing_ms);
	}
	world_meter(before);
}

void world_on_reply(void *ctx, uint32_t number, unsigned code)
{
	struct peer *p = ctx;
	if (number != p->answered + 1 || number > p->carried_out || code != code_of(number))
		world_fault(p->world, FAULT_REPLY);
	p->answered = number;
	p->world->result.answered++;
	world_trace(p->world, "%s has its answer to request %u", p->name, number);
}

/* ---- the broker ---- */

void world_on_request(void *ctx, uint32_t conn, void *user, const struct frame_request *f)
{
	struct broker *b = ctx;
	struct world *w = b->world;
	struct peer *p = user;
	char text[TEXT_MAX];
	size_t len = make_text(p, f->number, text);
	struct due d = {.at_ms = w->now_ms + world_below(w, w->plan.ask_ms + 1), .kind = DUE_REQUEST, .peer = p,
			.conn = conn, .number = f->number, .owner = server_owner(b->server, conn),
			.broker = b->index, .boot = b->config.boot};
	if (f->kind != kind_of(f->number) || f->text_len != len || memcmp(f->text, text, len) != 0)
		world_fault(w, FAULT_REQUEST);
	world_add_due(w, &d);
}

/* The row obeys the newest owner only. */
void world_carry_out(struct broker *b, const struct due *d)
{
	struct world *w = b->world;
	struct peer *p = d->peer;
	if (d->owner != p->owner || (!world_is_calm(w) && world_chance(w, LATER_PCT))) {
		server_reply(b->server, d->conn, d->number, REPLY_LATER);
		return;
	}
	if (d->number != p->carried_out && d->number != p->carried_out + 1)
		world_fault(w, FAULT_REQUEST);
	p->carried_out = d->number;
	server_reply(b->server, d->conn, d->number, code_of(d->number));
}
