/* SPDX-License-Identifier: Apache-2.0 */
/* Round-trip time and retransmission timeout (RFC 6298), from samples that
 * name the packet they answer, so that a retransmission never confuses them. */
#ifndef SESSION_RTT_H
#define SESSION_RTT_H

#include <stdint.h>

#define RTO_FIRST_MS 500u
#define RTO_MIN_MS 100u
#define RTO_MAX_MS 8000u

struct rtt {
	uint32_t smoothed_x8; /* 8 times the smoothed ms; 0: no sample yet */
	uint32_t variance_x4; /* 4 times the mean deviation in ms */
	uint8_t backoff;       /* timeouts since the last answer */
};

void rtt_sample(struct rtt *r, uint32_t ms); /* also ends the backoff */
uint32_t rtt_timeout_ms(const struct rtt *r);
uint32_t rtt_smoothed_ms(const struct rtt *r);

#endif
