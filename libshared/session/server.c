/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's engine: sessions, their states and timers. Timers: each outbox's
 * retransmission (a heap); half-open, login, silence and linger (a sweep that
 * passes over all sessions every two seconds). */
#include "session/server.h"

#include "session/server_state.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum {
	SWEEP_MS = 100,
	SWEEP_PARTS = SERVER_BAD_MS / SWEEP_MS, /* the whole table in SERVER_BAD_MS */
	SWEEP_LEAST = 1024,
	LOGIN_MS = 15000,      /* the broker's own answer to a login takes longer: refuse */
	LOGIN_RETRY_MS = 2000,
	PATH_PIECES = 256,     /* a busy outbox is reported after so many */
	OUTBOX_KEPT_MS = 2000, /* an empty one, with what it learned of the way */
};

int server_new(struct server **out, const struct server_config *config,
	       const struct server_handler *handler, void *ctx, uint64_t now_ms)
{
	static const char label[] = "restante reset 1";
	struct server *s = calloc(1, sizeof *s);
	uint64_t seed;
	if (!s)
		return RS_ENOMEM;
	s->config = *config;
	s->handler = *handler;
	s->ctx = ctx;
	s->start_ms = s->sweep_ms = now_ms;
	list_init(&s->ready);
	config->gate.random(&seed, sizeof seed);
	config->gate.random(s->path_key, sizeof s->path_key);
	hmac_sha256(config->key.priv, sizeof config->key.priv, label, sizeof label - 1, s->reset_key);
	int err = gate_init(&s->gate, &config->gate, now_ms);
	if (!err)
		err = table_init(&s->table, config->sessions_max);
	if (!err)
		err = halfopen_init(&s->half, SERVER_HALF_OPEN_MAX, seed);
	if (err) {
		server_free(s);
		return err;
	}
	*out = s;
	return RS_OK;
}

/* Not of one whose client is silent: that tells of the client. */
static void report_path(struct server *s, const struct session *x)
{
	struct outbox *o = x->outbox;
	struct server_path p = {rtt_smoothed_ms(&o->rtt), o->sent, o->again};
	if (!s->config.on_path || o->rtt.smoothed_x8 == 0 || o->rtt.backoff > 0 || o->sent == 0)
		return;
	o->sent = o->again = 0;
	s->config.on_path(s->ctx, &x->addr, &p);
}

static void free_outbox(struct server *s, struct session *x)
{
	if (!x->outbox)
		return;
	report_path(s, x);
	heap_remove(&s->timers, &x->outbox->timer);
	outbox_deinit(x->outbox);
	free(x->outbox);
	x->outbox = NULL;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	s->config.on_path = NULL;
	for (uint32_t i = 0; i < s->table.size; i++)
		free_outbox(s, table_at(&s->table, i));
	table_deinit(&s->table);
	halfopen_deinit(&s->half);
	gate_deinit(&s->gate);
	heap_deinit(&s->timers);
	explicit_bzero(s, sizeof *s);
	free(s);
}

static uint32_t tenths(const struct server *s, uint64_t now_ms)
{
	return (uint32_t)((now_ms - s->start_ms) / 100);
}

void server_set_state(struct server *s, struct session *x, enum session_state to, uint64_t now_ms)
{
	if (x->state == SESSION_HALF_OPEN && x->half)
		halfopen_free(&s->half, x->half - 1);
	if (x->state == SESSION_ONLINE)
		s->stats.online--;
	if (to == SESSION_ONLINE)
		s->stats.online++;
	if (to != SESSION_HALF_OPEN && x->state == SESSION_HALF_OPEN)
		x->user = NULL; /* the place that `half` shared */
	x->state = (uint8_t)to;
	x->heard_ds = tenths(s, now_ms);
}

void server_drop(struct server *s, struct session *x, uint64_t now_ms)
{
	server_set_state(s, x, SESSION_FREE, now_ms);
	free_outbox(s, x);
	table_put(&s->table, x);
}

void server_make_ready(struct server *s, struct outbox *o)
{
	if (list_empty(&o->ready))
		list_append(&s->ready, &o->ready);
}

/* Seals `len` bytes of frames at packet + PACKET_HEADER and sends them. */
static void send_packet(struct server *s, struct session *x, const struct addr *to, uint8_t *packet,
			size_t len)
{
	int total = keys_seal(&x->keys, x->conn, x->next_number, packet, len);
	if (total < 0)
		return;
	x->next_number++;
	s->stats.data_out++;
	s->handler.send(s->ctx, to, packet, (size_t)total);
}

void server_send_frame(struct server *s, struct session *x, const struct addr *to,
		       const struct frame *f)
{
	uint8_t packet[PACKET_MAX];
	struct writer w = writer_over(packet + PACKET_HEADER, PACKET_FRAMES_MAX);
	frame_write(&w, f);
	if (!w.failed)
		send_packet(s, x, to, packet, writer_len(&w));
}

void server_bad_packet(struct server *s, uint64_t now_ms, const struct addr *from)
{
	s->stats.bad_packets++;
	gate_bad(&s->gate, now_ms, from);
}

/* ---- what comes in ---- */

static void on_heartbeat(struct server *s, struct session *x, const struct addr *from, bool newest,
			 uint64_t number)
{
	uint8_t answer[HEARTBEAT_BYTES];
	bool waits = x->more || (x->outbox && x->outbox->count > 0);
	enum packet_type type = waits ? PACKET_HEARTBEAT_MORE : PACKET_HEARTBEAT_ACK;
	s->stats.heartbeats++;
	if (!addr_equal(from, &x->addr)) {
		if (!newest)
			return;
		type = PACKET_HEARTBEAT_MOVED;
	}
	keys_write_beat(&x->keys, type, x->conn, number, answer);
	s->handler.send(s->ctx, from, answer, sizeof answer);
	if (x->outbox && x->outbox->stalled) {
		outbox_on_life(x->outbox);
		server_make_ready(s, x->outbox);
	}
}

/* Authenticates; returns the length of the frames (0 for a heartbeat) or an error. */
static int authenticate(const struct session *x, uint64_t number, uint8_t *data, size_t len)
{
	if (data[0] == PACKET_HEARTBEAT)
		return keys_check_beat(&x->keys, number, data) ? 0 : RS_EAUTH;
	return keys_open(&x->keys, number, data, len);
}

/* Whether a packet for this session is worth its decryption. From the address that
 * is proven it always is: nobody silences a client by forging in its name. */
static bool is_worth_trying(const struct session *x, const struct addr *from)
{
	return x->bad < SERVER_BAD_MAX || addr_equal(from, &x->addr);
}

static void on_session_packet(struct server *s, uint64_t now_ms, const struct addr *from,
			      uint8_t *data, size_t len)
{
	struct packet_header h = packet_read_header(data);
	struct session *x = table_find(&s->table, h.conn);
	if (!x) {
		server_send_reset(s, now_ms, from, h.conn);
		return;
	}
	if (!is_worth_trying(x, from)) {
		s->stats.shed++;
		return;
	}
	uint64_t number = packet_full_number(x->received.next, h.number);
	if (!replay_is_new(&x->received, number)) {
		s->stats.replays++;
		return;
	}
	int frames_len = authenticate(x, number, data, len);
	if (frames_len < 0) {
		if (!addr_equal(from, &x->addr))
			x->bad += x->bad < UINT8_MAX;
		server_bad_packet(s, now_ms, from);
		return;
	}
	bool newest = number >= x->received.next;
	replay_mark(&x->received, number);
	if (number >= SERVER_NUMBER_MAX) { /* it should have renewed its keys long ago */
		server_close_session(s, x->conn, now_ms, CLOSE_SHUTDOWN);
		return;
	}
	if (x->state == SESSION_ONLINE)
		x->heard_ds = tenths(s, now_ms);
	if (data[0] == PACKET_HEARTBEAT) {
		if (x->state == SESSION_ONLINE)
			on_heartbeat(s, x, from, newest, number);
		else if (x->state == SESSION_CLOSED && addr_equal(from, &x->addr))
			server_send_closed(s, x);
		return;
	}
	s->stats.data_in++;
	if (x->outbox)
		outbox_on_life(x->outbox);
	server_on_frames(s, x, now_ms, from, newest, len, data + PACKET_HEADER, (size_t)frames_len);
}

void server_recv(struct server *s, uint64_t now_ms, uint64_t wall_ms, const struct addr *from,
		 uint8_t *data, size_t len)
{
	if (!packet_length_ok(data, len)) {
		server_bad_packet(s, now_ms, from);
		return;
	}
	switch (data[0]) {
	case PACKET_INIT:
		server_on_init(s, now_ms, wall_ms, from, data);
		break;
	case PACKET_HEARTBEAT:
	case PACKET_DATA:
		on_session_packet(s, now_ms, from, data, len);
		break;
	default: /* what only brokers and balancers send */
		server_bad_packet(s, now_ms, from);
		break;
	}
}

/* ---- what goes out ---- */

/* What the window allows, but no more than a burst at a time, also when many
 * acknowledgements come at once and each lets a few packets go. */
static void send_burst(struct server *s, struct session *x, uint64_t now_ms, uint64_t wall_ms)
{
	struct outbox *o = x->outbox;
	if (now_ms < o->pace_ms)
		return;
	o->pace_ms = 0;
	if (now_ms != o->sent_ms)
		o->burst = 0;
	for (; o->burst < OUTBOX_BURST; o->burst++) {
		uint8_t packet[PACKET_MAX];
		struct writer w = writer_over(packet + PACKET_HEADER, PACKET_FRAMES_MAX);
		if (!outbox_fill(o, &w, x->next_number, now_ms, wall_ms))
			return;
		send_packet(s, x, &x->addr, packet, writer_len(&w));
	}
	outbox_pace(o, now_ms);
}

static void send_pieces(struct server *s, struct session *x, uint64_t now_ms, uint64_t wall_ms)
{
	struct outbox *o = x->outbox;
	if (x->next_number >= SERVER_NUMBER_MAX) {
		server_close_session(s, x->conn, now_ms, CLOSE_SHUTDOWN);
		return;
	}
	send_burst(s, x, now_ms, wall_ms);
	uint64_t at = outbox_deadline(o);
	uint64_t next = o->pace_ms ? o->pace_ms : o->stalled ? UINT64_MAX : o->expiry_ms;
	if (next < at)
		at = next;
	if (at == UINT64_MAX)
		heap_remove(&s->timers, &o->timer);
	else if (heap_set(&s->timers, &o->timer, at))
		server_close_session(s, x->conn, now_ms, CLOSE_OVERLOADED); /* out of memory */
}

void server_flush(struct server *s, uint64_t now_ms, uint64_t wall_ms)
{
	while (!list_empty(&s->ready)) {
		struct outbox *o = LIST_ENTRY(s->ready.next, struct outbox, ready);
		list_remove(&o->ready);
		struct session *x = table_find(&s->table, o->conn);
		if (x && x->outbox == o)
			send_pieces(s, x, now_ms, wall_ms);
	}
}

static void run_timers(struct server *s, uint64_t now_ms)
{
	for (struct heap_node *n; (n = heap_first(&s->timers)) && n->key <= now_ms;) {
		struct outbox *o = LIST_ENTRY(n, struct outbox, timer);
		heap_remove(&s->timers, n);
		if (outbox_deadline(o) <= now_ms) { /* else a pause between bursts is over, or a message expires */
			outbox_on_timeout(o);
			s->stats.stalls += o->stalled;
		}
		server_make_ready(s, o);
	}
}

static uint64_t idle_limit_ms(const struct session *x)
{
	uint64_t limit = (uint64_t)x->heartbeat_s * 1000 * SERVER_IDLE_BEATS;
	return limit > SERVER_IDLE_MIN_MS ? limit : SERVER_IDLE_MIN_MS;
}

/* Until the client has surely spoken again, and heard why. */
static uint64_t linger_ms(const struct session *x)
{
	uint64_t beats = (uint64_t)x->heartbeat_s * 1000 + SERVER_LINGER_BEAT_MS;
	if (x->brief) /* whoever cannot log in must not fill the table */
		return SERVER_LINGER_REJECTED_MS;
	return beats > SERVER_LINGER_MS ? beats : SERVER_LINGER_MS;
}

static void sweep_one(struct server *s, struct session *x, uint64_t now_ms)
{
	uint64_t silent_ms = (uint64_t)(tenths(s, now_ms) - x->heard_ds) * 100;
	x->bad = 0;
	switch ((enum session_state)x->state) {
	case SESSION_FREE:
		break;
	case SESSION_HALF_OPEN:
		if (silent_ms >= SERVER_HALF_OPEN_MS)
			server_drop(s, x, now_ms);
		break;
	case SESSION_LOGIN:
		if (silent_ms < LOGIN_MS)
			break;
		s->stats.login_timeouts++;
		if (server_reject(s, x->conn, now_ms, CLOSE_UNAVAILABLE, LOGIN_RETRY_MS))
			server_drop(s, x, now_ms);
		break;
	case SESSION_ONLINE:
		if (silent_ms >= idle_limit_ms(x)) {
			s->stats.timeouts++;
			server_close_session(s, x->conn, now_ms, CLOSE_TIMEOUT);
		} else if (x->outbox && x->outbox->count == 0 && now_ms - x->outbox->sent_ms >= OUTBOX_KEPT_MS) {
			free_outbox(s, x);
		} else if (x->outbox && x->outbox->sent >= PATH_PIECES) {
			report_path(s, x);
		}
		break;
	case SESSION_CLOSED:
		if (silent_ms >= linger_ms(x))
			server_drop(s, x, now_ms);
		break;
	}
}

static void sweep(struct server *s, uint64_t now_ms)
{
	if (now_ms < s->sweep_ms)
		return;
	s->sweep_ms = now_ms + SWEEP_MS;
	if (s->table.size == 0)
		return;
	uint32_t part = s->table.size / SWEEP_PARTS + 1;
	if (part < SWEEP_LEAST)
		part = SWEEP_LEAST < s->table.size ? SWEEP_LEAST : s->table.size;
	while (part-- > 0) {
		if (s->sweep_at >= s->table.size)
			s->sweep_at = 0;
		sweep_one(s, table_at(&s->table, s->sweep_at++), now_ms);
	}
}

void server_tick(struct server *s, uint64_t now_ms, uint64_t wall_ms)
{
	run_timers(s, now_ms);
	sweep(s, now_ms);
	server_flush(s, now_ms, wall_ms);
}

uint64_t server_deadline(const struct server *s)
{
	const struct heap_node *n = heap_first(&s->timers);
	return n && n->key < s->sweep_ms ? n->key : s->sweep_ms;
}

/* ---- the broker's side ---- */

static struct session *find_state(const struct server *s, uint32_t conn, enum session_state state)
{
	struct session *x = table_find(&s->table, conn);
	return x && x->state == state ? x : NULL;
}

int server_accept(struct server *s, uint32_t conn, uint64_t now_ms, uint64_t owner, void *user)
{
	struct session *x = find_state(s, conn, SESSION_LOGIN);
	if (!x)
		return RS_ENOENT;
	server_set_state(s, x, SESSION_ONLINE, now_ms);
	x->owner = owner;
	x->user = user;
	s->stats.accepted++;
	server_send_login_ok(s, x);
	return RS_OK;
}

int server_reject(struct server *s, uint32_t conn, uint64_t now_ms, enum close_code code,
		  uint32_t retry_ms)
{
	struct session *x = find_state(s, conn, SESSION_LOGIN);
	if (!x)
		return RS_ENOENT;
	server_set_state(s, x, SESSION_CLOSED, now_ms);
	x->close_code = (uint8_t)code;
	x->rejected = x->brief = true;
	x->retry_ms = retry_ms;
	s->stats.rejected++;
	server_send_closed(s, x);
	return RS_OK;
}

/* Ends it, tells the client why, and then the owner. */
static void end_session(struct server *s, struct session *x, uint64_t now_ms, enum close_code code,
			bool redirected, uint32_t spread_ms)
{
	bool online = x->state == SESSION_ONLINE;
	void *user = x->user;
	uint32_t conn = x->conn;
	server_set_state(s, x, SESSION_CLOSED, now_ms);
	free_outbox(s, x);
	x->close_code = (uint8_t)code;
	x->user = NULL;
	x->redirected = redirected;
	x->brief = !online;
	x->retry_ms = spread_ms;
	server_send_closed(s, x);
	if (online)
		s->handler.on_gone(s->ctx, conn, user, code);
}

void server_close_session(struct server *s, uint32_t conn, uint64_t now_ms, enum close_code code)
{
	struct session *x = table_find(&s->table, conn);
	if (x && x->state != SESSION_CLOSED)
		end_session(s, x, now_ms, code, false, 0);
}

int server_redirect(struct server *s, uint32_t conn, uint64_t now_ms, uint32_t spread_ms)
{
	struct session *x = find_state(s, conn, SESSION_ONLINE);
	if (!x)
		return RS_ENOENT;
	s->stats.redirected++;
	end_session(s, x, now_ms, CLOSE_SHUTDOWN, true, spread_ms);
	return RS_OK;
}

void server_shut(struct server *s, bool shut) { s->gate.shut = shut; }

static uint32_t window_bytes(const struct session *x)
{
	return (uint32_t)x->window * SESSION_WINDOW_UNIT;
}

static struct outbox *get_outbox(struct session *x)
{
	if (!x->outbox) {
		x->outbox = malloc(sizeof *x->outbox);
		if (x->outbox)
			outbox_init(x->outbox, x->conn);
	}
	return x->outbox;
}

int server_push(struct server *s, uint32_t conn, const struct record *r, uint8_t flags, uint8_t tag,
		uint64_t wall_ms)
{
	const struct outbox_entry entry = {r->id, r->expires_ms, wall_ms, tag};
	uint8_t object[OBJECT_MAX];
	struct session *x = find_state(s, conn, SESSION_ONLINE);
	if (!x)
		return RS_ENOENT;
	struct outbox *o = get_outbox(x);
	if (!o)
		return RS_ENOMEM;
	if (outbox_holds(o, &r->id))
		return RS_EEXIST;
	int len = object_encode(r, flags, object, sizeof object);
	if (len < 0)
		return len;
	int err = outbox_add(o, x->next_ref, &entry, object, (size_t)len, window_bytes(x));
	if (err)
		return err;
	x->next_ref++;
	s->stats.pushed++;
	server_make_ready(s, o);
	return RS_OK;
}

int server_withdraw(struct server *s, uint32_t conn, const struct ulid *id)
{
	struct session *x = find_state(s, conn, SESSION_ONLINE);
	int err = x && x->outbox ? outbox_withdraw(x->outbox, id) : RS_ENOENT;
	if (!err)
		server_make_ready(s, x->outbox);
	return err;
}

void server_reply(struct server *s, uint32_t conn, uint32_t number, enum reply_code code)
{
	struct frame f = {.type = FRAME_REPLY, .reply = {number, (uint16_t)code}};
	struct session *x = find_state(s, conn, SESSION_ONLINE);
	if (!x || !x->asks)
		return;
	x->asks = false;
	server_send_frame(s, x, &x->addr, &f);
}

bool server_has_room(const struct server *s, uint32_t conn)
{
	struct session *x = find_state(s, conn, SESSION_ONLINE);
	return x && (!x->outbox || outbox_has_room(x->outbox, window_bytes(x)));
}

void server_set_more(struct server *s, uint32_t conn, bool more)
{
	struct session *x = find_state(s, conn, SESSION_ONLINE);
	if (x)
		x->more = more;
}

void *server_user(const struct server *s, uint32_t conn)
{
	struct session *x = find_state(s, conn, SESSION_ONLINE);
	return x ? x->user : NULL;
}

uint64_t server_owner(const struct server *s, uint32_t conn)
{
	struct session *x = table_find(&s->table, conn);
	return x ? x->owner : 0;
}

struct addr server_address(const struct server *s, uint32_t conn)
{
	struct session *x = table_find(&s->table, conn);
	return x ? x->addr : (struct addr){0};
}

bool server_each_of(struct server *s, uint32_t *place, uint32_t places,
		    void (*fn)(void *ctx, uint32_t conn, void *user), void *ctx)
{
	for (; places > 0 && *place < s->table.size; places--, ++*place) {
		struct session *x = table_at(&s->table, *place);
		if (x->state == SESSION_ONLINE)
			fn(ctx, x->conn, x->user);
	}
	return *place < s->table.size;
}

void server_each(struct server *s, void (*fn)(void *ctx, uint32_t conn, void *user), void *ctx)
{
	uint32_t place = 0;
	server_each_of(s, &place, UINT32_MAX, fn, ctx);
}

void server_set_fallback(struct server *s, const struct frame_brokers *list) { s->fallback = *list; }

const struct server_stats *server_stats(const struct server *s)
{
	struct server *mine = (struct server *)s;
	mine->stats.sessions = s->table.used;
	mine->stats.half_open = s->half.count;
	return &mine->stats;
}

const struct gate_stats *server_gate_stats(const struct server *s) { return &s->gate.stats; }
