/* SPDX-License-Identifier: Apache-2.0 */
/* What a program gives to librestante, and what a person types after a command:
 * options, addresses, keys, names. */
#include "fuzz.h"

#include "base/items.h"
#include "base/name.h"
#include "cli/option.h"
#include "client/options.h"

#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 6 };

void fuzz_start(void) {}

static int on_message(void *ctx, const struct restante_message *m)
{
	(void)ctx, (void)m;
	return 0;
}

static void check_config(const struct client_config *c)
{
	fuzz_check(c->balancer_count >= 1 && c->balancer_count <= CLIENT_BALANCERS_MAX, "%zu balancers",
		   c->balancer_count);
	for (size_t i = 0; i < c->balancer_count; i++)
		fuzz_check(addr_port(&c->balancer[i].address) != 0 && c->balancer[i].key_count >= 1 &&
				   c->balancer[i].key_count <= CLIENT_KEYS_MAX, "a bad balancer");
	fuzz_check(!name_fault(c->user, strlen(c->user)), "a user that is no name");
	fuzz_check(strlen(c->session) > 0 && strlen(c->session) <= SESSION_ID_MAX, "a bad session id");
}

/* As a program has them that was built with a later version. */
struct newer {
	struct restante_options o;
	uint64_t more;
	uint8_t room[64]; /* what stands behind is not read, whatever `size` says */
};

static void try_library(struct fuzz *in)
{
	struct restante_options o = RESTANTE_OPTIONS_INIT, known;
	struct client_config config;
	char error[100] = "";
	uint8_t how = fuzz_byte(in);
	char *text[4];
	for (unsigned i = 0; i < 4; i++)
		text[i] = fuzz_text(in);
	o.balancers = how & 1 ? NULL : text[0];
	o.balancer_keys = how & 2 ? "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" : text[1];
	o.user = how & 4 ? "alice" : text[2];
	o.session = how & 8 ? "session" : text[3];
	o.on_message = how & 16 ? NULL : on_message;
	o.heartbeat_s = (unsigned)fuzz_number(in, 3);
	o.seen_file = how & 32 ? text[3] : NULL;
	o.device = how & 4 ? (const uint8_t *)"0123456789abcdef" : NULL;
	struct newer newer = {.o = o, .more = fuzz_byte(in) & 1};
	if (how & 64)
		newer.o.size = fuzz_byte(in) % (sizeof newer + 1);
	int err = options_take(&newer.o, &known, &config, error, how & 128 ? 0 : sizeof error);
	fuzz_check(err == RS_OK || err == RS_EINVAL, "options_take() says %d", err);
	if (err)
		fuzz_check(how & 128 || error[0], "no word of what is wrong");
	else
		check_config(&config);
	for (unsigned i = 0; i < 4; i++)
		free(text[i]);
}

static void try_addr(struct fuzz *in)
{
	struct addr a, same;
	struct sockaddr_storage ss;
	char text[ADDR_TEXT_MAX], item[ITEM_MAX];
	char *list = fuzz_text(in);
	for (const char *at = list; items_next(&at, item);) {
		if (addr_parse_host(item, &a) == RS_OK)
			fuzz_check(addr_parse_host(addr_format(&a, text), &same) == RS_OK && addr_equal(&a, &same),
				   "%s is another host", text);
		if (addr_parse(item, &a))
			continue;
		fuzz_check(addr_parse(addr_format(&a, text), &same) == RS_OK && addr_equal(&a, &same),
			   "%s is another address", text);
		addr_to_sockaddr(&a, &ss);
		fuzz_check(addr_from_sockaddr(&ss, &same) == RS_OK && addr_equal(&a, &same), "%s is another to the kernel",
			   text);
	}
	free(list);
}

struct chosen {
	bool flag;
	const char *text, *name;
	int64_t number;
};

static void try_command(struct fuzz *in)
{
	static const struct option options[] = {
		{.name = "flag", .letter = 'f', .kind = OPTION_FLAG, .offset = offsetof(struct chosen, flag), .doc = "d"},
		{.name = "text", .letter = 't', .kind = OPTION_TEXT, .offset = offsetof(struct chosen, text), .value = "T",
		 .doc = "d"},
		{.name = "name", .kind = OPTION_NAME, .offset = offsetof(struct chosen, name), .value = "N", .doc = "d"},
		{.name = "number", .letter = 'n', .kind = OPTION_NUMBER, .offset = offsetof(struct chosen, number),
		 .value = "N", .doc = "d", .min = -5, .max = 99},
		{.name = NULL},
	};
	static const char *const words[] = {"list", "peek", "create", NULL};
	static const struct command command = {.name = "fuzz", .options = options};
	char *argv[ARGUMENTS_MAX + 2] = {fuzz_copy("fuzz", 5)}, *kept[ARGUMENTS_MAX + 1] = {argv[0]};
	struct chosen c = {.number = 0};
	int argc = 1, before;
	size_t len;
	for (unsigned n = fuzz_byte(in) % ARGUMENTS_MAX; n > 0; n--, argc++)
		kept[argc] = argv[argc] = fuzz_text(in);
	before = argc;
	fuzz_capture();
	if (option_parse(&command, &argc, argv, &c) == RS_OK) {
		fuzz_check(argc >= 1 && argc <= before && !argv[argc], "%d arguments of %d", argc, before);
		fuzz_check(c.number >= -5 && c.number <= 99, "a number out of its range");
		fuzz_check(!c.name || !name_fault(c.name, strlen(c.name)), "a name that is none");
	}
	option_unknown_word(&command, words, kept[before - 1]);
	const char *said = fuzz_captured(&len);
	fuzz_check_printable(said, len);
	for (int i = 0; i < before; i++)
		free(kept[i]);
}

void fuzz_one(struct fuzz *in)
{
	switch (fuzz_byte(in) % 3) {
	case 0: try_library(in); break;
	case 1: try_addr(in); break;
	case 2: try_command(in); break;
	}
}
