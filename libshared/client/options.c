/* SPDX-License-Identifier: Apache-2.0 */
#include "client/options.h"

#include "base/bytes.h"
#include "base/items.h"
#include "crypto/random.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct fault {
	char *text;
	size_t cap;
};

static int says(const struct fault *f, const char *fmt, ...) RS_PRINTF(2, 3);
static int says(const struct fault *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (f->cap > 0)
		vsnprintf(f->text, f->cap, fmt, ap);
	va_end(ap);
	return RS_EINVAL;
}

static int take_keys(const char *list, uint8_t keys[CLIENT_KEYS_MAX][32], uint8_t *count,
		     const struct fault *f)
{
	char item[ITEM_MAX];
	if (!list || !*list)
		return says(f, "balancer_keys is missing: the balancer's public key, 64 hexadecimal digits");
	for (*count = 0; items_next(&list, item); (*count)++) {
		if (*count == CLIENT_KEYS_MAX)
			return says(f, "balancer_keys: too many; at most %d", CLIENT_KEYS_MAX);
		if (hex_decode(item, keys[*count], 32))
			return says(f, "balancer_keys: \"%s\" is not a key of 64 hexadecimal digits", item);
	}
	return RS_OK;
}

static int take_balancers(const struct restante_options *o, struct client_config *c, const struct fault *f)
{
	struct client_balancer *first = &c->balancer[0];
	const char *list = o->balancers;
	char item[ITEM_MAX];
	if (!list || !*list)
		return says(f, "balancers is missing: \"ip:port\" or several, comma separated");
	int err = take_keys(o->balancer_keys, first->key, &first->key_count, f);
	if (err)
		return err;
	for (size_t n = 0; items_next(&list, item); n++) {
		if (n == CLIENT_BALANCERS_MAX)
			return says(f, "balancers: too many; at most %d", CLIENT_BALANCERS_MAX);
		c->balancer[n] = *first;
		if (addr_parse(item, &c->balancer[n].address) || addr_port(&c->balancer[n].address) == 0)
			return says(f, "balancers: \"%s\" is not an address; write ip:port, "
				    "for example 127.0.0.1:7300 or [::1]:7300", item);
		c->balancer_count = n + 1;
	}
	return RS_OK;
}

static int take_user(const struct restante_options *o, struct client_config *c, const struct fault *f)
{
	if (!o->user)
		return says(f, "user is missing");
	const char *wrong = name_fault(o->user, strlen(o->user));
	if (wrong)
		return says(f, "user %s; it must be " NAME_RULE, wrong);
	c->user = o->user;
	return RS_OK;
}

static int take_session(const struct restante_options *o, struct client_config *c, const struct fault *f)
{
	size_t len = o->session ? strlen(o->session) : 0;
	if (len == 0)
		return says(f, "session is missing: the session id of this user");
	if (len > SESSION_ID_MAX)
		return says(f, "session is too long; at most %d bytes", SESSION_ID_MAX);
	for (size_t i = 0; i < len; i++)
		if (o->session[i] <= ' ' || o->session[i] > '~')
			return says(f, "session must be printable ASCII without spaces");
	c->session = o->session;
	return RS_OK;
}

/* A program that was built with another version of the header: what it does not
 * know is as if it were zero; what we do not know must be. */
static int take_size(const struct restante_options *given, struct restante_options *known,
		     const struct fault *f)
{
	const size_t first = offsetof(struct restante_options, ctx) + sizeof given->ctx;
	if (given->size < first || given->size > 4096)
		return says(f, "options must begin as RESTANTE_OPTIONS_INIT");
	for (size_t i = sizeof *known; i < given->size; i++)
		if (((const unsigned char *)given)[i])
			return says(f, "an option is set that this version of the library does not know");
	memset(known, 0, sizeof *known);
	memcpy(known, given, given->size < sizeof *known ? given->size : sizeof *known);
	return RS_OK;
}

int options_take(const struct restante_options *given, struct restante_options *known,
		 struct client_config *config, char *error, size_t error_len)
{
	const struct fault f = {error, error_len};
	*config = (struct client_config){.random = random_bytes};
	int err = given ? take_size(given, known, &f) : says(&f, "there are no options");
	if (!err)
		err = take_balancers(known, config, &f);
	if (!err)
		err = take_user(known, config, &f);
	if (!err)
		err = take_session(known, config, &f);
	if (err)
		return err;
	if (!known->on_message)
		return says(&f, "on_message is missing");
	if (known->heartbeat_s > UINT16_MAX)
		return says(&f, "heartbeat_s is %u; at most %u", known->heartbeat_s, UINT16_MAX);
	if (known->seen_file && !*known->seen_file)
		return says(&f, "seen_file is empty; NULL means none");
	config->heartbeat_s = (uint16_t)known->heartbeat_s;
	if (known->device)
		memcpy(config->device, known->device, DEVICE_BYTES);
	return RS_OK;
}
