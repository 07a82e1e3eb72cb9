/* SPDX-License-Identifier: Apache-2.0 */
/* The shared library shows the functions of restante.h and nothing of the layers
 * that are linked into it. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

static const char *const public_names[] = {
	"restante_open",       "restante_close",      "restante_stop",       "restante_fd",
	"restante_timeout_ms", "restante_process",    "restante_state",      "restante_why",
	"restante_broker",     "restante_seen_errno", "restante_code_text",  "restante_state_text",
	"restante_version",    "restante_subscribe",  "restante_unsubscribe", "restante_set_storage",
	"restante_reply_text", "restante_error_text",
};
enum { PUBLIC_COUNT = sizeof public_names / sizeof *public_names };

static bool is_public(const char *name)
{
	for (size_t i = 0; i < PUBLIC_COUNT; i++)
		if (strcmp(public_names[i], name) == 0)
			return true;
	return false;
}

Test(symbols, only_the_functions_of_the_public_header_are_shown, .timeout = 60)
{
	char line[512], type, name[256];
	unsigned count = 0;
	FILE *nm = popen("nm -D --defined-only '" RESTANTE_BIN_DIR "/../lib/librestante.so.0'", "r");
	cr_assert_not_null(nm);
	while (fgets(line, sizeof line, nm)) {
		if (sscanf(line, "%*s %c %255s", &type, name) != 2)
			continue;
		cr_assert(is_public(name), "%s is shown", name);
		cr_assert_eq(type, 'T', "%s is a function", name);
		count++;
	}
	cr_assert_eq(pclose(nm), 0);
	cr_assert_eq(count, PUBLIC_COUNT);
}
