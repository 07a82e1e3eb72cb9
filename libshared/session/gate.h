/* SPDX-License-Identifier: Apache-2.0 */
/* Who may shake hands: in front of the key agreement of INIT and ASK, which is
 * what costs. In this order:
 *
 *   - above most_per_s, or while it is shut, nobody gets in: the client asks again;
 *   - under load (more than free_per_s agreements in this second, more than half of
 *     what this slice of it may have, or a caller in need) the cookie is required. It
 *     proves the address, which then pays for its handshakes, and dearly for one that
 *     does not verify; an address that is not proven pays nothing, so that nobody can
 *     be made to pay for another;
 *   - an address whose budget of bad packets is spent needs the cookie always.
 *
 * The engines use it; others only read its statistics and shut it. */
#ifndef SESSION_GATE_H
#define SESSION_GATE_H

#include "base/budget.h"
#include "session/cookie.h"

#define GATE_FREE_PER_S 1000    /* agreements in a second without cookie */
#define GATE_MOST_PER_S 5000    /* in all */
#define GATE_ADDRESSES 4096     /* remembered in each budget */
#define GATE_BAD_BURST 256      /* bad packets of an address ... */
#define GATE_BAD_PER_MINUTE 600
#define GATE_BAD_COST 20        /* handshakes that a proven address pays for a bad one */
#define GATE_SLICE_MS 100       /* most_per_s is given out in slices of a second */

struct gate_config {
	uint32_t most_per_s;              /* 0: as above */
	uint32_t free_per_s;              /* 0: as above */
	uint32_t bad_burst;               /* 0: as above */
	uint32_t address_per_s;           /* handshakes of a proven address, ten seconds' worth at once; 0: no limit */
	random_fn *random;
};

struct gate_stats {
	uint64_t cookies_sent, cookies_bad; /* asked for; wrong or old */
	uint64_t refused_address;           /* proven, but too many handshakes */
	uint64_t shed;                      /* over most_per_s, or shut */
};

struct gate {
	struct gate_config config;
	struct cookie_jar jar;
	struct budget bad, hellos;
	uint64_t second_ms;   /* start of the second that `in_second` counts */
	uint64_t slice_ms;    /* and of the slice of it that `in_slice` counts */
	uint32_t in_second, in_slice, slice_most;
	bool shut;
	bool paid;            /* the handshake let in last was, with a cookie and under load */
	struct gate_stats stats;
};

enum gate_verdict { GATE_PASS, GATE_ASK_COOKIE, GATE_DROP };

RS_MUST_CHECK int gate_init(struct gate *g, const struct gate_config *config, uint64_t now_ms);
void gate_deinit(struct gate *g);
/* hello: an INIT or ASK whose length and header are right. need_cookie: the caller
 * wants one. With GATE_ASK_COOKIE, `cookie` is the whole packet to be sent. */
enum gate_verdict gate_check(struct gate *g, uint64_t now_ms, const struct addr *from,
			     const uint8_t *hello, bool need_cookie, uint8_t cookie[COOKIE_BYTES]);
/* The same, and sends the cookie. False: the hello was dealt with. */
typedef void gate_send_fn(void *ctx, const struct addr *to, const uint8_t *data, size_t len);
bool gate_lets_in(struct gate *g, uint64_t now_ms, const struct addr *from, const uint8_t *hello,
		  bool need_cookie, gate_send_fn *answer, void *ctx);
/* The handshake that was let in did not verify. */
void gate_bad_hello(struct gate *g, uint64_t now_ms, const struct addr *from);
/* A packet from there made no sense or was not authentic. */
void gate_bad(struct gate *g, uint64_t now_ms, const struct addr *from);
/* Its budget of bad packets is spent. */
bool gate_distrusts(const struct gate *g, uint64_t now_ms, const struct addr *from);

#endif
