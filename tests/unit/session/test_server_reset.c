/* SPDX-License-Identifier: Apache-2.0 */
/* RESETs of a broker that was restarted: they end the sessions of those who were
 * there, and help nobody to end another's. */
#include "support/engine_pair.h"

#include <criterion/criterion.h>

/* A client is online, and the broker has forgotten it. */
static struct engine_pair *forgotten(void)
{
	struct engine_pair *p = pair_online(NULL);
	p->hold = true;
	pair_restart_server(p);
	return p;
}

/* The broker's RESET for the heartbeat of client 0, as if it came from there. */
static struct datagram reset_for(struct engine_pair *p, const struct addr *from)
{
	client_send_beat(p->client[0].client, p->now_ms);
	struct datagram beat = p->last[TO_SERVER][PACKET_HEARTBEAT];
	unsigned before = p->sent;
	beat.from = *from;
	pair_hand(p, &beat);
	cr_assert_eq(p->sent, before + 1);
	struct datagram reset = p->wire[p->wire_count - 1];
	cr_assert_eq(reset.data[0], PACKET_RESET);
	cr_assert(addr_equal(&reset.to, from));
	return reset;
}

Test(server_reset, a_stranger_is_not_told_the_token_of_another)
{
	struct engine_pair *p = forgotten();
	struct addr stranger[2] = {p->client[0].addr, p->client[0].addr};
	stranger[0].ip[15] ^= 1;   /* another host, */
	stranger[1].port[1] ^= 1;  /* another port of the same */
	for (unsigned i = 0; i < 2; i++) {
		struct datagram d = reset_for(p, &stranger[i]);
		d.to = p->client[0].addr;
		pair_hand(p, &d);
		cr_expect_eq(p->client[0].state, CLIENT_ONLINE, "stranger %u", i);
	}
	struct datagram own = reset_for(p, &p->client[0].addr);
	pair_hand(p, &own);
	cr_expect_eq(p->client[0].state, CLIENT_WAITING);
	pair_free(p);
}

Test(server_reset, the_token_of_one_session_does_not_end_another)
{
	struct engine_pair *p = forgotten();
	client_send_beat(p->client[0].client, p->now_ms);
	struct datagram other = p->last[TO_SERVER][PACKET_HEARTBEAT];
	other.data[4] ^= 1; /* its conn */
	pair_hand(p, &other);
	struct datagram reset = p->last[TO_CLIENT][PACKET_RESET];
	cr_assert_eq(reset.len, RESET_BYTES);
	reset.data[4] ^= 1;
	pair_hand(p, &reset);
	cr_expect_eq(p->client[0].state, CLIENT_ONLINE);
	pair_free(p);
}
