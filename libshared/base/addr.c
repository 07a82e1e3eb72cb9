/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int parse_port(const char *text, uint8_t out[2])
{
	if (*text < '0' || *text > '9' || strlen(text) > 5)
		return RS_EINVAL;
	char *end;
	unsigned long port = strtoul(text, &end, 10);
	if (*end || port > 65535)
		return RS_EINVAL;
	out[0] = (uint8_t)(port >> 8);
	out[1] = (uint8_t)port;
	return RS_OK;
}

int addr_parse(const char *text, struct addr *out)
{
	char host[48];
	const char *colon = strrchr(text, ':');
	if (!colon)
		return RS_EINVAL;
	size_t len = (size_t)(colon - text);
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof host)
		return RS_EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	struct addr a = {0};
	if (bracketed) {
		if (inet_pton(AF_INET6, host, a.ip) != 1)
			return RS_EINVAL;
	} else {
		memcpy(a.ip, v4_prefix, 12);
		if (inet_pton(AF_INET, host, a.ip + 12) != 1)
			return RS_EINVAL;
	}
	int err = parse_port(colon + 1, a.port);
	if (err)
		return err;
	*out = a;
	return RS_OK;
}

int addr_parse_host(const char *text, struct addr *out)
{
	char full[ADDR_TEXT_MAX + 8];
	bool bare = strchr(text, ':') != strrchr(text, ':') && text[0] != '[';
	if (strlen(text) >= ADDR_TEXT_MAX)
		return RS_EINVAL;
	if (!bare && addr_parse(text, out) == RS_OK)
		return RS_OK;
	snprintf(full, sizeof full, bare ? "[%s]:0" : "%s:0", text);
	return addr_parse(full, out);
}

bool addr_is_v4(const struct addr *a) { return memcmp(a->ip, v4_prefix, 12) == 0; }

uint16_t addr_port(const struct addr *a)
{
	return (uint16_t)((unsigned)a->port[0] << 8 | a->port[1]);
}

void addr_source(const struct addr *a, uint8_t out[ADDR_SOURCE])
{
	memcpy(out, a->ip, sizeof a->ip);
	if (!addr_is_v4(a))
		memset(out + 8, 0, 8);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";
	if (addr_is_v4(a)) {
		inet_ntop(AF_INET, a->ip + 12, host, sizeof host);
		snprintf(out, ADDR_TEXT_MAX, "%s:%u", host, addr_port(a));
	} else {
		inet_ntop(AF_INET6, a->ip, host, sizeof host);
		snprintf(out, ADDR_TEXT_MAX, "[%s]:%u", host, addr_port(a));
	}
	return out;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (addr_is_v4(a)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		memcpy(&in->sin_addr, a->ip + 12, 4);
		memcpy(&in->sin_port, a->port, 2);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	memcpy(&in6->sin6_addr, a->ip, 16);
	memcpy(&in6->sin6_port, a->port, 2);
	return sizeof *in6;
}

int addr_from_sockaddr(const struct sockaddr_storage *ss, struct addr *out)
{
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
		memcpy(out->ip, v4_prefix, 12);
		memcpy(out->ip + 12, &in->sin_addr, 4);
		memcpy(out->port, &in->sin_port, 2);
		return RS_OK;
	}
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
		memcpy(out->ip, &in6->sin6_addr, 16);
		memcpy(out->port, &in6->sin6_port, 2);
		return RS_OK;
	}
	return RS_EINVAL;
}
