/* SPDX-License-Identifier: Apache-2.0 */
/* Members come from the registry, one slot each. A slot:
 *
 *   free       no member
 *   linking    the link is being made, or HELLO was sent and WELCOME is awaited
 *   up         WELCOME came; the handler knows of it
 *
 * A link is given up only when listings say so, never because listings stopped
 * coming: while Redis is away the links are all there is. */
#include "app/peers.h"

#include "base/clock.h"
#include "base/log.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORGET_MS 10000  /* absent from the listings for so long: the link is dropped */
#define LISTING_MS 2000  /* most that one listing counts for */
#define WELCOME_MS 5000  /* no WELCOME for so long after HELLO: the link is made anew */
#define MESSAGE_MAX (LINK_BATCH_BYTES + 64 * 1024)

enum peer_state { PEER_FREE, PEER_LINKING, PEER_UP };

struct peer {
	struct peers *all;
	size_t slot;
	enum peer_state state;
	char id[NAME_MAX_BYTES + 1];
	struct addr to;
	struct link *link;
	uint64_t absent_ms; /* so long the listings have been without it */
	uint64_t hello_ms;  /* when HELLO was sent; 0: the link is not up */
	bool listed;        /* in the listing at hand */
	bool missed;        /* it was not told what nobody repeats: its link is made anew */
};

struct peers {
	struct ev_loop *loop;
	struct tls_context *tls;
	char own_id[NAME_MAX_BYTES + 1];
	uint64_t own_boot;
	const struct peers_handler *handler;
	void *ctx;
	struct registry_watch *watch;
	uint64_t listing_ms; /* when the last listing came */
	bool full;           /* it was logged that there are too many */
	uint64_t refused;    /* messages that found the queue of a link full */
	struct peer at[PEERS_MAX];
	uint8_t message[MESSAGE_MAX]; /* being sent */
};

static int pass_on(struct peers *p, struct peer *to, size_t len)
{
	int err = link_send(to->link, p->message, len);
	p->refused += err == RS_EBUSY;
	return err;
}

static int send_message(struct peers *p, struct peer *to, const struct link_message *m)
{
	int len = link_encode(m, p->message, sizeof p->message);
	return len < 0 ? len : pass_on(p, to, (size_t)len);
}

static void set_down(struct peer *peer)
{
	bool was_up = peer->state == PEER_UP;
	peer->state = PEER_LINKING;
	peer->hello_ms = 0;
	peer->missed = false;
	if (was_up && peer->all->handler->on_down)
		peer->all->handler->on_down(peer->all->ctx, peer->slot);
}

static void on_link_up(void *ctx)
{
	struct peer *peer = ctx;
	struct peers *p = peer->all;
	struct link_message m = {.type = LINK_HELLO};
	m.hello.boot = p->own_boot;
	m.hello.id = (struct link_name){.text = p->own_id, .len = strlen(p->own_id)};
	peer->hello_ms = clock_mono_ms();
	int err = send_message(p, peer, &m);
	if (err)
		log_warn("HELLO was not sent", LOG_STR("peer", peer->id), LOG_STR("reason", err_str(err)));
}

static void on_link_down(void *ctx, const char *why)
{
	struct peer *peer = ctx;
	if (peer->state == PEER_UP)
		log_info("link lost", LOG_STR("peer", peer->id), LOG_STR("reason", why));
	set_down(peer);
}

static int welcome(struct peer *peer, const struct link_message *m)
{
	const struct link_name *id = &m->hello.id;
	if (m->type != LINK_WELCOME || id->len != strlen(peer->id) || memcmp(id->text, peer->id, id->len) != 0) {
		log_warn("not the member that the registry names", LOG_STR("peer", peer->id),
			 LOG_INT("type", m->type),
			 LOG_BYTES("id", m->type == LINK_WELCOME ? id->text : "", m->type == LINK_WELCOME ? id->len : 0));
		return RS_EINVAL;
	}
	log_info("link up", LOG_STR("peer", peer->id));
	peer->state = PEER_UP;
	if (peer->all->handler->on_up)
		peer->all->handler->on_up(peer->all->ctx, peer->slot);
	return RS_OK;
}

static int on_link_message(void *ctx, const uint8_t *data, size_t len)
{
	struct peer *peer = ctx;
	struct link_message m;
	int err = link_decode(data, len, &m);
	if (err) {
		log_warn("undecodable message on a link", LOG_STR("peer", peer->id), LOG_INT("type", len ? data[0] : 0),
			 LOG_INT("bytes", len));
		return err;
	}
	if (peer->state != PEER_UP)
		return welcome(peer, &m);
	if (m.type == LINK_HELLO || m.type == LINK_WELCOME)
		return RS_EINVAL;
	return peer->all->handler->on_message(peer->all->ctx, peer->slot, &m);
}

static const struct link_handler link_events = {on_link_up, on_link_message, on_link_down};

/* Makes the link, anew where there is one. A slot whose link cannot be made is
 * free again, and the next listing tries. */
static void connect_peer(struct peer *peer)
{
	struct peers *p = peer->all;
	link_free(peer->link);
	peer->link = NULL;
	set_down(peer);
	int err = link_connect(&peer->link, p->loop, &peer->to, p->tls, &link_events, peer);
	if (err) {
		log_warn("no link can be made", LOG_STR("peer", peer->id), LOG_STR("reason", err_str(err)));
		peer->link = NULL;
		peer->state = PEER_FREE;
	}
}

static void drop_peer(struct peer *peer)
{
	log_info("peer is gone", LOG_STR("peer", peer->id));
	link_free(peer->link);
	peer->link = NULL;
	set_down(peer);
	peer->state = PEER_FREE;
}

static struct peer *find_peer(struct peers *p, const char *id)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (p->at[i].state != PEER_FREE && strcmp(p->at[i].id, id) == 0)
			return &p->at[i];
	return NULL;
}

static struct peer *free_slot(struct peers *p, const char *id)
{
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (p->at[i].state == PEER_FREE)
			return &p->at[i];
	if (!p->full)
		log_warn("too many peers; some get no link", LOG_INT("limit", PEERS_MAX), LOG_STR("peer", id));
	p->full = true;
	return NULL;
}

static void see_member(struct peers *p, const struct member *m)
{
	struct peer *peer = find_peer(p, m->id);
	bool is_new = !peer;
	if (is_new && !(peer = free_slot(p, m->id)))
		return;
	peer->listed = true;
	peer->absent_ms = 0;
	if (!is_new && addr_equal(&peer->to, &m->link))
		return;
	memcpy(peer->id, m->id, sizeof peer->id);
	peer->to = m->link;
	connect_peer(peer);
}

/* What the listing did not say: who is missing from it, whose link stands without a
 * WELCOME, and who has to learn that he does not know all. */
static void look_after(struct peer *peer, uint64_t now, uint64_t since_last)
{
	if (!peer->listed)
		peer->absent_ms += since_last;
	if (peer->absent_ms > FORGET_MS)
		drop_peer(peer);
	else if (peer->missed ||
		 (peer->state == PEER_LINKING && peer->hello_ms && now - peer->hello_ms > WELCOME_MS))
		connect_peer(peer);
}

static void on_members(void *ctx, const struct member *members, size_t count, uint64_t redis_now_ms)
{
	static const struct addr none;
	struct peers *p = ctx;
	uint64_t now = clock_mono_ms();
	uint64_t since_last = p->listing_ms ? now - p->listing_ms : 0;
	(void)redis_now_ms;
	p->listing_ms = now;
	for (size_t i = 0; i < PEERS_MAX; i++)
		p->at[i].listed = false;
	for (size_t i = 0; i < count; i++)
		if (members[i].alive && !addr_equal(&members[i].link, &none))
			see_member(p, &members[i]);
	for (size_t i = 0; i < PEERS_MAX; i++)
		if (p->at[i].state != PEER_FREE)
			look_after(&p->at[i], now, since_last < LISTING_MS ? since_last : LISTING_MS);
}

int peers_new(struct peers **out, struct ev_loop *loop, struct rds *rds, const char *kind,
	      struct tls_context *tls, const char *own_id, uint64_t own_boot,
	      const struct peers_handler *handler, void *ctx)
{
	if (name_fault(own_id, strlen(own_id)))
		return RS_EINVAL;
	struct peers *p = calloc(1, sizeof *p);
	if (!p)
		return RS_ENOMEM;
	p->loop = loop;
	p->tls = tls;
	snprintf(p->own_id, sizeof p->own_id, "%s", own_id);
	p->own_boot = own_boot;
	p->handler = handler;
	p->ctx = ctx;
	for (size_t i = 0; i < PEERS_MAX; i++)
		p->at[i] = (struct peer){.all = p, .slot = i};
	int err = registry_watch(&p->watch, loop, rds, kind, on_members, p);
	if (err) {
		free(p);
		return err;
	}
	*out = p;
	return RS_OK;
}

void peers_free(struct peers *p)
{
	if (!p)
		return;
	registry_watch_free(p->watch);
	for (size_t i = 0; i < PEERS_MAX; i++)
		link_free(p->at[i].link);
	free(p);
}

bool peers_is_up(const struct peers *p, size_t peer)
{
	return peer < PEERS_MAX && p->at[peer].state == PEER_UP;
}

size_t peers_up_count(const struct peers *p)
{
	size_t n = 0;
	for (size_t i = 0; i < PEERS_MAX; i++)
		n += peers_is_up(p, i);
	return n;
}

uint64_t peers_full_total(const struct peers *p) { return p->refused; }

/* FNV-1a over the id, then the finalizer of MurmurHash3 to spread it. */
static uint32_t weigh(const char *id, uint32_t hash)
{
	uint32_t h = 2166136261u ^ hash;
	for (; *id; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return h ^ h >> 16;
}

/* The highest weight wins (rendezvous hashing): when a peer goes, only what it
 * had moves to others. */
int peers_pick(const struct peers *p, uint32_t hash)
{
	int best = RS_EDOWN;
	uint32_t most = 0;
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (!peers_is_up(p, i))
			continue;
		uint32_t weight = weigh(p->at[i].id, hash);
		if (best < 0 || weight > most) {
			best = (int)i;
			most = weight;
		}
	}
	return best;
}

int peers_send(struct peers *p, size_t peer, const struct link_message *m)
{
	return peers_is_up(p, peer) ? send_message(p, &p->at[peer], m) : RS_EDOWN;
}

void peers_send_all(struct peers *p, const struct link_message *m)
{
	int len = link_encode(m, p->message, sizeof p->message);
	for (size_t i = 0; len > 0 && i < PEERS_MAX; i++) {
		if (!peers_is_up(p, i))
			continue;
		int err = pass_on(p, &p->at[i], (size_t)len);
		if (err != RS_EBUSY)
			continue;
		if (!p->at[i].missed)
			log_warn("the queue of a link is full; the link is made anew",
				 LOG_STR("peer", p->at[i].id));
		p->at[i].missed = true;
	}
}
