/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_turn.h"

#include <poll.h>

int bench_turn(struct sender *s, struct swarm *clients, uint64_t more, int wait_ms)
{
	struct pipe *pipe = &s->pipe;
	int err = pipe_fill(pipe, pipe->made - pipe->done + more);
	if (err)
		return sender_say(s, err);
	struct pollfd w[2] = {{pipe->fd, (short)(POLLIN | (buf_len(&pipe->out) ? POLLOUT : 0)), 0},
			      {bench_udp_fd(clients->udp), POLLIN, 0}};
	if (pipe_is_done(pipe))
		w[0].fd = -1;
	if (poll(w, 2, 0) == 0 && !swarm_ticks_wait(clients))
		poll(w, 2, wait_ms);
	if (w[0].revents)
		err = sender_say(s, pipe_drain(pipe));
	if (w[1].revents)
		swarm_receive(clients, 0);
	swarm_tick(clients);
	return err;
}
