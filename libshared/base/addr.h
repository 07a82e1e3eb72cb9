/* SPDX-License-Identifier: Apache-2.0 */
/* An IP address and port, IPv4 as ::ffff:a.b.c.d: 18 bytes, as on the wire. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_TEXT_MAX 56 /* "[ipv6]:port" and a NUL */

#define ADDR_SOURCE 16

struct addr {
	uint8_t ip[16];
	uint8_t port[2]; /* big-endian */
};

/* "127.0.0.1:7200" or "[::1]:7200"; no names, no lookups. */
RS_MUST_CHECK int addr_parse(const char *text, struct addr *out);
/* The same, or an address by itself (IPv6 with brackets or without): port 0. */
RS_MUST_CHECK int addr_parse_host(const char *text, struct addr *out);
/* Writes the same form; returns out. */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);
bool addr_equal(const struct addr *a, const struct addr *b);
uint16_t addr_port(const struct addr *a);
bool addr_is_v4(const struct addr *a);
/* What an address counts as where something is limited per address: an IPv4
 * address by itself, an IPv6 address by its /64, since one host has a whole one;
 * the port never. */
void addr_source(const struct addr *a, uint8_t out[ADDR_SOURCE]);

/* To and from sockaddr; to_sockaddr gives AF_INET for v4-mapped addresses. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);
RS_MUST_CHECK int addr_from_sockaddr(const struct sockaddr_storage *ss, struct addr *out);

#endif
