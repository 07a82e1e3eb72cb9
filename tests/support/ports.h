/* SPDX-License-Identifier: Apache-2.0 */
/* Ports for daemons that are killed and started again on the same ones. They lie
 * below those that the kernel gives out by itself, so that nobody can get one
 * while its owner is dead, and two tests never get the same. */
#ifndef SUPPORT_PORTS_H
#define SUPPORT_PORTS_H

#include <stdint.h>

/* A port of 127.0.0.1, free for TCP and UDP, and this process's as long as it
 * lives. A failure ends the test process with a message. */
uint16_t port_take(void);

#endif
