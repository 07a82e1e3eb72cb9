/* SPDX-License-Identifier: Apache-2.0 */
#include "app/member.h"

#include "base/bytes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ADDR_TEXT_MAX <= sizeof((struct member_fields *)0)->text[0], "an address fits");
_Static_assert(REGISTRY_FAULT_MAX <= sizeof((struct member_fields *)0)->text[0], "a fault fits");
_Static_assert(NAME_MAX_BYTES < sizeof((struct member_fields *)0)->text[0], "a name fits");

/* The place for the value of a new field; its length is set in the end. */
static char *add(struct member_fields *out, const char *name)
{
	char *text = out->text[out->count / 2];
	out->at[out->count++] = RDS_STR(name);
	out->at[out->count++].data = text;
	return text;
}

static void add_number(struct member_fields *out, const char *name, uint64_t v)
{
	snprintf(add(out, name), sizeof out->text[0], "%" PRIu64, v);
}

static void add_addr(struct member_fields *out, const char *name, const struct addr *a)
{
	static const struct addr none;
	if (!addr_equal(a, &none))
		addr_format(a, add(out, name));
}

static void add_isps(struct member_fields *out, const struct isp_set *isps)
{
	if (!isps->count)
		return;
	add(out, "isps");
	out->at[out->count - 1].data = isps_format(isps, out->isps);
}

static void add_key(struct member_fields *out, const uint8_t key[32])
{
	static const uint8_t none[32];
	if (memcmp(key, none, sizeof none) != 0)
		hex_encode(key, sizeof none, add(out, "key"));
}

void member_write(const struct member *m, bool counts, struct member_fields *out)
{
	out->count = 0;
	add_number(out, "boot", m->boot);
	add_addr(out, "address", &m->address);
	add_addr(out, "link", &m->link);
	add_addr(out, "http", &m->http);
	add_key(out, m->key);
	if (m->zone[0])
		snprintf(add(out, "zone"), sizeof out->text[0], "%s", m->zone);
	add_isps(out, &m->isps);
	if (counts) {
		add_number(out, "sessions", m->sessions);
		add_number(out, "capacity", m->capacity);
		snprintf(add(out, "draining"), sizeof out->text[0], "%s", m->draining ? "yes" : "no");
	}
	snprintf(add(out, "ready"), sizeof out->text[0], "%s", m->fault[0] ? m->fault : "yes");
	for (size_t i = 0; i < out->count / 2; i++)
		out->at[2 * i + 1].len = strlen(out->at[2 * i + 1].data);
}

static bool read_number(const char *text, uint64_t max, uint64_t *out)
{
	if (*text < '0' || *text > '9')
		return false;
	char *end;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && !*end && *out <= max;
}

static bool read_count(const char *text, uint32_t *out)
{
	uint64_t v;
	if (!read_number(text, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool read_zone(const char *text, size_t len, char out[NAME_MAX_BYTES + 1])
{
	if (name_fault(text, len))
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

static bool read_yes_no(const char *text, bool *out)
{
	*out = strcmp(text, "yes") == 0;
	return *out || strcmp(text, "no") == 0;
}

/* In the words of that daemon; of a later version they may be longer. */
static bool read_ready(const char *text, char out[REGISTRY_FAULT_MAX])
{
	memset(out, 0, REGISTRY_FAULT_MAX);
	snprintf(out, REGISTRY_FAULT_MAX, "%s", strcmp(text, "yes") == 0 ? "" : text);
	return true;
}

/* Fields of later versions are passed over. */
static bool read_field(const char *name, const char *text, size_t len, struct member *out)
{
	const char *fault;
	if (strcmp(name, "boot") == 0)
		return read_number(text, UINT64_MAX, &out->boot);
	if (strcmp(name, "address") == 0)
		return addr_parse(text, &out->address) == RS_OK;
	if (strcmp(name, "link") == 0)
		return addr_parse(text, &out->link) == RS_OK;
	if (strcmp(name, "http") == 0)
		return addr_parse(text, &out->http) == RS_OK;
	if (strcmp(name, "isps") == 0)
		return isps_parse(text, &out->isps, &fault) == RS_OK;
	if (strcmp(name, "key") == 0)
		return hex_decode(text, out->key, sizeof out->key) == RS_OK;
	if (strcmp(name, "zone") == 0)
		return read_zone(text, len, out->zone);
	if (strcmp(name, "sessions") == 0)
		return read_count(text, &out->sessions);
	if (strcmp(name, "capacity") == 0)
		return read_count(text, &out->capacity);
	if (strcmp(name, "draining") == 0)
		return read_yes_no(text, &out->draining);
	if (strcmp(name, "ready") == 0)
		return read_ready(text, out->fault);
	return true;
}

int member_read(const struct redisReply *hash, struct member *out, const char **field)
{
	for (size_t i = 0; i + 1 < reply_count(hash); i += 2) {
		size_t name_len, len;
		const char *name = reply_str(reply_at(hash, i), &name_len);
		const char *text = reply_str(reply_at(hash, i + 1), &len);
		*field = name ? name : "?";
		/* A NUL inside would hide what follows it. */
		if (!name || !text || strlen(text) != len || !read_field(name, text, len, out))
			return RS_EINVAL;
	}
	return RS_OK;
}
