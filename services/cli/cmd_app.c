/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "app.h"
#include "say.h"

#include "base/bytes.h"
#include "crypto/random.h"

#include <stdio.h>
#include <string.h>

enum { APP_KEY_BYTES = 32, GRACE_DEFAULT_S = 3600 };

/* A new key, which Redis takes before it is printed. */
static int give_key(const struct settings *s, const char *name, const struct app_options *o, bool is_new)
{
	uint8_t raw[APP_KEY_BYTES];
	char app_key[2 * APP_KEY_BYTES + 1], hash[APP_KEY_HASH];
	random_bytes(raw, sizeof raw);
	hex_encode(raw, sizeof raw, app_key);
	sha256_hex(app_key, strlen(app_key), hash);
	int err = is_new ? app_create(s, name, hash, o)
			 : app_rotate(s, name, hash, o->grace_s < 0 ? GRACE_DEFAULT_S : o->grace_s);
	if (!err)
		printf("%s\n", app_key);
	explicit_bzero(raw, sizeof raw);
	explicit_bzero(app_key, sizeof app_key);
	return err;
}

static int create(const struct settings *s, const char *name, const struct app_options *o)
{
	return give_key(s, name, o, true);
}

static int rotate(const struct settings *s, const char *name, const struct app_options *o)
{
	return give_key(s, name, o, false);
}

static int list(const struct settings *s, const char *name, const struct app_options *o)
{
	(void)name, (void)o;
	return app_list(s);
}

static int take_away(const struct settings *s, const char *name, const struct app_options *o)
{
	(void)o;
	return app_remove(s, name);
}

static const struct verb {
	const char *name, *wants;
	bool limits, grace; /* the options it has */
	int (*run)(const struct settings *s, const char *name, const struct app_options *o);
} verbs[] = {
	{"create", "NAME", true, false, create},
	{"ls", "", false, false, list},
	{"set", "NAME", true, false, app_set},
	{"rotate", "NAME", false, true, rotate},
	{"rm", "NAME", false, false, take_away},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const struct verb *find_verb(const char *word, const char *words[VERBS + 1])
{
	const struct verb *found = NULL;
	for (size_t i = 0; i < VERBS; i++) {
		words[i] = verbs[i].name;
		if (strcmp(word, verbs[i].name) == 0)
			found = &verbs[i];
	}
	words[VERBS] = NULL;
	return found;
}

/* What is wrong with the use of that verb was said: false. */
static bool is_good_use(const struct verb *v, int argc, char **argv, const struct app_options *o)
{
	bool named = *v->wants != '\0';
	if (argc != (named ? 3 : 2))
		return option_usage(&cmd_app, named ? "%s wants: NAME" : "%s takes no arguments", v->name), false;
	if (named && !option_name_ok("app", argv[2]))
		return false;
	if (!v->limits && app_has_limits(o))
		return option_usage(&cmd_app, "%s takes no limits", v->name), false;
	if (!v->grace && o->grace_s >= 0)
		return option_usage(&cmd_app, "%s takes no --grace", v->name), false;
	if (v->run == app_set && !app_has_limits(o))
		return option_usage(&cmd_app, "set wants a limit, such as --rate 10"), false;
	return app_check_limits(o) == RS_OK;
}

static int run(const struct settings *s, int argc, char **argv)
{
	struct app_options o = {.grace_s = -1};
	const char *words[VERBS + 1];
	if (option_parse(&cmd_app, &argc, argv, &o))
		return EXIT_USAGE;
	if (argc < 2)
		return option_usage(&cmd_app, "wants: create, ls, set, rotate or rm");
	const struct verb *v = find_verb(argv[1], words);
	if (!v)
		return option_unknown_word(&cmd_app, words, argv[1]);
	if (!is_good_use(v, argc, argv, &o))
		return EXIT_USAGE;
	return v->run(s, argv[2], &o) ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_app = {
	.name = "app",
	.usage = "create NAME [LIMIT]...\nls\nset NAME LIMIT...\nrotate NAME [--grace SECONDS]\nrm NAME",
	.summary = "make, list, limit and remove Apps",
	.text = "create makes the App NAME and a random key for it. Redis holds the key's SHA-256 only: the\n"
		"key is printed this once. Keep it in a file of mode 0600, for app_key_file:\n\n"
		"  (umask 077; restante app create chat > chat.key)\n\n"
		"ls prints one line an App: its name, when it was made, and its limits as name=value, those\n"
		"that were given to it.\n"
		"set changes limits; the value none takes one away. The DCs know it within 5 seconds, also\n"
		"for connections that are open.\n"
		"rotate makes a new key and prints it. The former one is good for --grace seconds more.\n"
		"Connections that are open stay; to end those, too, remove the App and make it anew.\n"
		"rm removes the App: the DCs know it within 5 seconds, refuse what its connections send, and\n"
		"close them 10 seconds later. Messages that it sent stay in their queues.\n\n"
		"Standard output: of create and rotate the key, 64 hexadecimal digits; of ls the list.\n\n"
		"Exit codes: " EXIT_HELP ".\n"
		"create, and the App exists: 1; it is left as it is. set, rotate, rm, and there is none: 1.",
	.options = app_options,
	.run = run,
};
