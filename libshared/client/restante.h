/* SPDX-License-Identifier: Apache-2.0 */
/* librestante: receive messages from restante. One client is one user's session.
 *
 * The library owns no thread and no event loop. Wait until restante_fd() is
 * readable or restante_timeout_ms() has passed, then call restante_process(); it
 * does what is due and calls you back from inside. Everything else (asking the
 * balancer, handshake, heartbeats, acknowledgements, coming back after a failure)
 * happens by itself. A client is used by one thread at a time.
 *
 *   struct restante_options o = RESTANTE_OPTIONS_INIT;
 *   o.balancers = "127.0.0.1:7300"; o.balancer_keys = "9f3c..."; o.user = "alice";
 *   o.session = session_id; o.on_message = show;
 *   struct restante *r = restante_open(&o, error, sizeof error);
 *   while (restante_state(r) != RESTANTE_STOPPED) {
 *       struct pollfd p = {restante_fd(r), POLLIN, 0};
 *       poll(&p, 1, restante_timeout_ms(r));
 *       restante_process(r);
 *   }
 *   restante_close(r); */
#ifndef RESTANTE_H
#define RESTANTE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RESTANTE_API __attribute__((visibility("default")))
#else
#define RESTANTE_API
#endif

struct restante;

enum restante_state {
	RESTANTE_STOPPED, /* ended for good; restante_why() says the reason */
	RESTANTE_WAITING, /* pauses before it tries again */
	RESTANTE_ASKING,  /* asks a balancer */
	RESTANTE_HELLO,   /* shakes hands with a broker */
	RESTANTE_LOGIN,   /* shows its session id */
	RESTANTE_ONLINE,  /* messages come */
};

struct restante_message {
	const char *id;          /* 26 characters and a NUL; the same message has the same id always */
	const char *app;         /* who sent it, NUL-terminated */
	const char *app_id;      /* the App's own id for it, "" if none */
	int64_t sent_ms;         /* milliseconds since 1970 */
	int64_t expires_ms;
	int stored;              /* 1: it waits in the queue until acknowledged */
	const void *body;        /* any bytes; not NUL-terminated */
	size_t len;
	const char *topic;       /* to which it was sent, "" if it was sent to this user alone */
};

/* Why a request was not taken. */
enum restante_error {
	RESTANTE_ERROR_NAME = -1,    /* a filter or an App's name that cannot be one */
	RESTANTE_ERROR_MANY = -2,    /* too many requests wait for their answers */
	RESTANTE_ERROR_MEMORY = -4,
	RESTANTE_ERROR_STOPPED = -6, /* the client has stopped */
};

/* What became of a request; other codes: refused for a reason of a later version. */
enum restante_reply {
	RESTANTE_REPLY_DONE,
	RESTANTE_REPLY_INVALID,  /* no such filter, or not understood */
	RESTANTE_REPLY_TOO_MANY, /* the user has too many subscriptions */
};

/* Return 0 when you have taken the message: it is acknowledged, and will not be
 * shown again. Return anything else for "not now": it is offered again after a
 * second, and nothing behind it is shown before. All is borrowed for the call. */
typedef int restante_message_fn(void *ctx, const struct restante_message *m);
/* The state changed. code: as in docs/protocol.md "Close codes", 0 if none. */
typedef void restante_state_fn(void *ctx, enum restante_state state, unsigned code);
/* A request was answered. code: enum restante_reply. */
typedef void restante_reply_fn(void *ctx, int number, unsigned code);
/* `count` messages of this App were displaced from the user's full queue: they do
 * not come any more. */
typedef void restante_missed_fn(void *ctx, const char *app, uint64_t count);

struct restante_options {
	size_t size;                /* sizeof(struct restante_options); set by the INIT macro */
	const char *balancers;      /* "ip:port" or several, comma separated */
	const char *balancer_keys;  /* their public key, 64 hexadecimal digits; two, comma
	                             * separated, while a key is being changed */
	const char *user;
	const char *session;        /* the session id that your back end gave this user */
	const char *seen_file;      /* remembers what was shown over a restart; NULL: memory only */
	const uint8_t *device;      /* 16 bytes that name this device; NULL: zeros */
	unsigned heartbeat_s;       /* longest interval your network bears; 0: the broker says */
	restante_message_fn *on_message;
	restante_state_fn *on_state; /* may be NULL */
	void *ctx;
	restante_reply_fn *on_reply;   /* may be NULL */
	restante_missed_fn *on_missed; /* may be NULL */
};
#define RESTANTE_OPTIONS_INIT {sizeof(struct restante_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Checks the options (all are copied), opens the socket and begins. NULL: `error`
 * (error_len bytes) says what is wrong. */
RESTANTE_API struct restante *restante_open(const struct restante_options *options, char *error,
					    size_t error_len);
/* Logs out if online, and frees; calls nobody back. NULL is fine. Not from inside
 * a callback. */
RESTANTE_API void restante_close(struct restante *r);
/* Logs out; the state becomes RESTANTE_STOPPED. From a callback it takes effect when
 * that has returned: the message it took is still acknowledged, no other is shown. */
RESTANTE_API void restante_stop(struct restante *r);
/* The same from open to close; readable is level triggered. */
RESTANTE_API int restante_fd(const struct restante *r);
/* Milliseconds until restante_process() is due; -1: only when readable. poll() counts
 * no time while the computer sleeps: call restante_process() when it wakes. */
RESTANTE_API int restante_timeout_ms(const struct restante *r);
RESTANTE_API void restante_process(struct restante *r);
/* Requests. They are carried out in the order in which they are made, at once or when
 * the client is online, and each is answered once (on_reply), whatever fails in
 * between; what still waits when the client stops is dropped. A subscription and a
 * setting outlive the client: they are the user's. Each returns the request's number,
 * from 1 on, or an enum restante_error. May be called from a callback. */
RESTANTE_API int restante_subscribe(struct restante *r, const char *filter);
RESTANTE_API int restante_unsubscribe(struct restante *r, const char *filter);
/* Whether messages of this App (NULL or "*": of all) are kept while the user is away. */
RESTANTE_API int restante_set_storage(struct restante *r, const char *app, int on);
RESTANTE_API enum restante_state restante_state(const struct restante *r);
/* Why it stopped or waits: a close code, and an English phrase (static storage). */
RESTANTE_API unsigned restante_why(const struct restante *r);
/* "ip:port" of the broker in use, "" if there is none; until the next call. */
RESTANTE_API const char *restante_broker(struct restante *r);
/* 0, or the errno with which the seen_file could not be written at the last message.
 * It was shown and acknowledged all the same, and is remembered until the close. */
RESTANTE_API int restante_seen_errno(const struct restante *r);
RESTANTE_API const char *restante_code_text(unsigned code);
RESTANTE_API const char *restante_reply_text(unsigned code);
RESTANTE_API const char *restante_error_text(int error);
RESTANTE_API const char *restante_state_text(enum restante_state state);
RESTANTE_API const char *restante_version(void);

#ifdef __cplusplus
}
#endif

#endif
