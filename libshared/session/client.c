/* SPDX-License-Identifier: Apache-2.0 */
/* The client's engine: its states and their timers. */
#include "session/client.h"

#include "session/client_state.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum {
	TRY_MS = 500,          /* first wait for an answer; doubles with each try */
	ASK_TRIES = 3,         /* 0.5 + 1 + 2 s, then the next balancer */
	HELLO_TRIES = 3,       /* the same for a broker */
	LOGIN_TRIES = 5,       /* 0.5 + 1 + 2 + 4 + 8 s */
	BEAT_TRIES = 4,        /* 1 + 2 + 4 + 8 s of silence, then the broker is gone */
	BEAT_TRIES_URGENT = 4, /* 0.25 + 0.5 + 1 + 2 s after a hint that nobody is there */
};

const char *client_state_text(enum client_state s)
{
	static const char *const text[] = {"stopped", "waiting", "asking", "hello", "login", "online"};
	return text[s];
}

int client_new(struct client **out, const struct client_config *config,
	       const struct client_handler *handler, void *ctx)
{
	size_t user_len = strlen(config->user), session_len = strlen(config->session);
	if (name_fault(config->user, user_len) || session_len == 0 || session_len > SESSION_ID_MAX ||
	    config->balancer_count > CLIENT_BALANCERS_MAX)
		return RS_EINVAL;
	struct client *c = calloc(1, sizeof *c);
	if (!c)
		return RS_ENOMEM;
	c->config = *config;
	memcpy(c->user, config->user, user_len);
	memcpy(c->session, config->session, session_len);
	c->config.user = c->user;
	c->config.session = c->session;
	if (c->config.window == 0)
		c->config.window = CLIENT_WINDOW;
	c->handler = *handler;
	c->ctx = ctx;
	c->deadline_ms = UINT64_MAX;
	inbox_init(&c->inbox, c->config.window);
	list_init(&c->requests);
	*out = c;
	return RS_OK;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	inbox_deinit(&c->inbox);
	client_requests_free(c);
	free(c->seen);
	explicit_bzero(c, sizeof *c);
	free(c);
}

bool client_has_seen(struct client *c)
{
	if (!c->seen)
		c->seen = calloc(1, sizeof *c->seen);
	return c->seen != NULL;
}

void client_set_state(struct client *c, enum client_state to, unsigned why, uint64_t deadline_ms)
{
	c->state = to;
	c->tries = 0;
	c->deadline_ms = deadline_ms;
	if (to == CLIENT_STOPPED || to == CLIENT_WAITING) {
		explicit_bzero(&c->keys, sizeof c->keys);
		noise_wipe(&c->noise);
	}
	c->handler.on_state(c->ctx, to, why);
}

static uint64_t random_below(struct client *c, uint64_t limit)
{
	uint64_t r;
	c->config.random(&r, sizeof r);
	return limit ? r % limit : 0;
}

void client_begin_again(struct client *c, uint64_t now_ms, unsigned why, uint64_t least_ms,
			uint64_t spread_ms)
{
	c->stats.reconnects++;
	client_set_state(c, CLIENT_WAITING, why, now_ms + least_ms + random_below(c, spread_ms));
}

/* Nobody answered in a whole round: full jitter over a doubling time. */
void client_back_off(struct client *c, uint64_t now_ms, unsigned why, uint64_t least_ms)
{
	uint64_t most = CLIENT_BACKOFF_MIN_MS;
	for (unsigned i = 0; i < c->failures && most < CLIENT_BACKOFF_MAX_MS; i++)
		most *= 2;
	if (most > CLIENT_BACKOFF_MAX_MS)
		most = CLIENT_BACKOFF_MAX_MS;
	if (c->failures < UINT8_MAX)
		c->failures++;
	if (least_ms < CLIENT_BACKOFF_MIN_MS / 4)
		least_ms = CLIENT_BACKOFF_MIN_MS / 4;
	client_begin_again(c, now_ms, why, least_ms, most);
}

static void start_ask(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	c->peer = c->config.balancer[c->balancer].address;
	client_set_state(c, CLIENT_ASKING, 0, now_ms + TRY_MS);
	client_send_hello(c, wall_ms, NULL);
}

void client_start_hello(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	c->peer = c->choice.at[c->at].address;
	client_set_state(c, CLIENT_HELLO, 0, now_ms + TRY_MS);
	client_send_hello(c, wall_ms, NULL);
}

/* From the start: where a redirect pointed, or a balancer's advice, or the one
 * broker that was configured. */
static void begin(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	c->balancer_key = 0;
	if (c->redirected) {
		c->redirected = false;
		client_start_hello(c, now_ms, wall_ms);
		return;
	}
	if (c->config.balancer_count > 0) {
		start_ask(c, now_ms, wall_ms);
		return;
	}
	c->choice.count = 1;
	c->choice.at[0] = c->config.broker;
	c->at = 0;
	client_start_hello(c, now_ms, wall_ms);
}

void client_start(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	if (c->state != CLIENT_STOPPED)
		return;
	c->balancer = c->config.balancer_count ? random_below(c, c->config.balancer_count) : 0;
	begin(c, now_ms, wall_ms);
}

void client_stop(struct client *c)
{
	if (c->state == CLIENT_STOPPED)
		return;
	if (c->state == CLIENT_ONLINE) {
		struct frame f = {.type = FRAME_CLOSE, .close_code = CLOSE_NORMAL};
		client_flush(c, 0);
		client_send_frame(c, &f);
	}
	client_set_state(c, CLIENT_STOPPED, CLOSE_NORMAL, UINT64_MAX);
}

void client_avoid(struct client *c, const struct addr *a)
{
	for (unsigned i = 0; i < c->avoid_count; i++)
		if (addr_equal(&c->avoid[i], a))
			return;
	if (c->avoid_count == ASK_AVOID_MAX) {
		memmove(c->avoid, c->avoid + 1, sizeof c->avoid - sizeof *c->avoid);
		c->avoid_count--;
	}
	c->avoid[c->avoid_count++] = *a;
}

/* The next balancer with each of its keys, then the brokers named at the last
 * login, then a pause. */
static void next_balancer(struct client *c, uint64_t now_ms, uint64_t wall_ms, unsigned why)
{
	if (++c->balancer_key < c->config.balancer[c->balancer].key_count) {
		start_ask(c, now_ms, wall_ms);
		return;
	}
	c->balancer_key = 0;
	c->balancer = (c->balancer + 1) % c->config.balancer_count;
	if (c->fallback.count && c->balancer == 0) {
		c->choice = c->fallback;
		c->fallback.count = 0;
		c->at = 0;
		client_start_hello(c, now_ms, wall_ms);
		return;
	}
	client_back_off(c, now_ms, why, 0);
}

void client_next_peer(struct client *c, uint64_t now_ms, uint64_t wall_ms, unsigned why)
{
	if (c->state == CLIENT_ASKING) {
		next_balancer(c, now_ms, wall_ms, why);
		return;
	}
	client_avoid(c, &c->peer);
	if (c->state == CLIENT_HELLO && c->at + 1u < c->choice.count) {
		c->at++;
		client_start_hello(c, now_ms, wall_ms);
		return;
	}
	if (c->state == CLIENT_ONLINE)
		client_begin_again(c, now_ms, why, 0, CLIENT_BACKOFF_MIN_MS);
	else
		client_back_off(c, now_ms, why, 0);
}

void client_recv(struct client *c, uint64_t now_ms, uint64_t wall_ms, const struct addr *from,
		 uint8_t *data, size_t len)
{
	if (!packet_length_ok(data, len) || !addr_equal(from, &c->peer)) {
		c->stats.bad_packets++;
		return;
	}
	switch (data[0]) {
	case PACKET_COOKIE:
	case PACKET_RESP:
	case PACKET_ANSWER:
		client_on_hello(c, now_ms, wall_ms, data, len);
		break;
	case PACKET_DATA:
	case PACKET_RESET:
	case PACKET_HEARTBEAT_ACK:
	case PACKET_HEARTBEAT_MORE:
	case PACKET_HEARTBEAT_MOVED:
		client_on_packet(c, now_ms, data, len);
		break;
	default: /* what only clients send */
		c->stats.bad_packets++;
		break;
	}
}

/* ---- timers ---- */

static void repeat_hello(struct client *c, uint64_t now_ms, uint64_t wall_ms, unsigned most)
{
	if (++c->tries >= most) {
		client_next_peer(c, now_ms, wall_ms, CLOSE_TIMEOUT);
		return;
	}
	c->deadline_ms = now_ms + ((uint64_t)TRY_MS << c->tries);
	c->handler.send(c->ctx, &c->peer, c->hello, c->state == CLIENT_ASKING ? ASK_BYTES : INIT_BYTES);
}

static void repeat_login(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	if (c->tries >= LOGIN_TRIES) {
		client_next_peer(c, now_ms, wall_ms, CLOSE_TIMEOUT);
		return;
	}
	c->deadline_ms = now_ms + ((uint64_t)TRY_MS << c->tries++);
	client_send_login(c);
}

bool client_keys_old(const struct client *c, uint64_t now_ms)
{
	return c->next_number >= CLIENT_RENEW_NUMBER || c->received.next >= CLIENT_RENEW_NUMBER ||
	       now_ms - c->born_ms >= CLIENT_RENEW_MS;
}

/* Keys have served long enough: shake hands anew with the same broker. What is
 * not acknowledged is fetched again there, and not shown twice. */
static bool renew(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	if (!client_keys_old(c, now_ms))
		return false;
	c->stats.renewed++;
	client_start_hello(c, now_ms, wall_ms);
	return true;
}

/* The timer ran out so long ago that the broker must have given this session up:
 * the computer slept. Nobody would answer a heartbeat, from another address not
 * even with a RESET that counts; so shake hands anew at once. */
static bool overslept(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	if (now_ms - c->deadline_ms < 1000u * CLIENT_OVERSLEPT_BEATS * c->heartbeat_s)
		return false;
	c->stats.renewed++;
	client_start_hello(c, now_ms, wall_ms);
	return true;
}

static void beat(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	unsigned most = c->beat_urgent ? BEAT_TRIES_URGENT : BEAT_TRIES;
	uint64_t first = c->beat_urgent ? TRY_MS / 2 : 2 * TRY_MS;
	if (c->tries >= most) {
		client_next_peer(c, now_ms, wall_ms, CLOSE_TIMEOUT);
		return;
	}
	client_send_beat(c, now_ms);
	c->deadline_ms = now_ms + (first << c->tries++);
}

void client_tick(struct client *c, uint64_t now_ms, uint64_t wall_ms)
{
	if (c->state == CLIENT_ONLINE && c->offer_ms && now_ms >= c->offer_ms) {
		client_offer(c, now_ms);
		client_flush(c, now_ms);
	}
	client_requests_send(c, now_ms);
	if (now_ms < c->deadline_ms)
		return;
	switch (c->state) {
	case CLIENT_STOPPED:
		break;
	case CLIENT_WAITING:
		begin(c, now_ms, wall_ms);
		break;
	case CLIENT_ASKING:
		repeat_hello(c, now_ms, wall_ms, ASK_TRIES);
		break;
	case CLIENT_HELLO:
		repeat_hello(c, now_ms, wall_ms, HELLO_TRIES);
		break;
	case CLIENT_LOGIN:
		repeat_login(c, now_ms, wall_ms);
		break;
	case CLIENT_ONLINE:
		if (!renew(c, now_ms, wall_ms) && !overslept(c, now_ms, wall_ms))
			beat(c, now_ms, wall_ms);
		break;
	}
}

uint64_t client_deadline(const struct client *c)
{
	uint64_t at = client_requests_deadline(c);
	if (c->state == CLIENT_ONLINE && c->offer_ms && c->offer_ms < at)
		at = c->offer_ms;
	return at < c->deadline_ms ? at : c->deadline_ms;
}

void client_hint_unreachable(struct client *c, uint64_t now_ms)
{
	if (c->state == CLIENT_ONLINE && !c->beat_urgent) {
		c->beat_urgent = c->beat_soon = true;
		c->tries = 0;
		c->deadline_ms = now_ms;
	} else if (c->state == CLIENT_HELLO && c->choice.count > c->at + 1u) {
		c->tries = HELLO_TRIES; /* the next broker; this one is tried again later */
		c->deadline_ms = now_ms;
	}
}

enum client_state client_state(const struct client *c) { return c->state; }

struct addr client_broker(const struct client *c)
{
	bool talks = c->state == CLIENT_HELLO || c->state == CLIENT_LOGIN || c->state == CLIENT_ONLINE;
	return talks ? c->peer : (struct addr){0};
}

uint64_t client_owner(const struct client *c) { return c->owner; }
const struct client_stats *client_stats(const struct client *c) { return &c->stats; }

void client_seed_seen(struct client *c, const struct ulid *id)
{
	if (client_has_seen(c) && !seen_has(c->seen, id))
		seen_add(c->seen, id);
}
