/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a program reads at its start: keys, secrets, the ids that a client has
 * shown, prefixes. The first byte says which. */
#include "fuzz.h"

#include "app/keyfile.h"
#include "app/prefix_file.h"
#include "base/bytes.h"
#include "base/name.h"
#include "cli/settings.h"
#include "client/seen_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[256]; /* seen_file.c wants a name on a disk */

static void remove_file(void) { unlink(path); }

void fuzz_start(void)
{
	const char *dir = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/rs-fuzz-%d", dir ? dir : "/tmp", (int)getpid());
	atexit(remove_file);
}

static void try_key(struct piece p)
{
	struct keypair key, same;
	char fault[300] = "", hex[65];
	int err = keyfile_load_or_create(fuzz_file(p.data, p.len), &key, fault, sizeof fault);
	if (err) {
		fuzz_check(fault[0], "no word of what is wrong");
		return;
	}
	hex_encode(key.priv, sizeof key.priv, hex);
	fuzz_check(p.len >= 64 && strncasecmp(hex, (const char *)p.data, 64) == 0, "another key was read");
	fuzz_check(x25519_from_private(key.priv, &same) == RS_OK && memcmp(&key, &same, sizeof key) == 0,
		   "a public key that does not belong to it");
}

static void try_secret(struct piece p)
{
	char out[SECRET_MAX + 1], fault[300] = "";
	size_t len = 0;
	if (keyfile_read_secret(fuzz_file(p.data, p.len), out, sizeof out, &len, fault, sizeof fault)) {
		fuzz_check(fault[0], "no word of what is wrong");
		return;
	}
	fuzz_check(len > 0 && len <= SECRET_MAX && strlen(out) == len && memcmp(out, p.data, len) == 0,
		   "another secret was read");
	fuzz_check(!memchr(out, '\n', len), "a secret of several lines");
}

static void try_balancer_key(struct piece p)
{
	struct settings s;
	char keys[200], fault[300] = "";
	memset(&s, 0, sizeof s);
	snprintf(s.balancer_key_file, sizeof s.balancer_key_file, "%s", fuzz_file(p.data, p.len));
	if (settings_balancer_keys(&s, keys, sizeof keys, fault, sizeof fault))
		fuzz_check(fault[0], "no word of what is wrong");
	else
		fuzz_check(strlen(keys) == 64 && strncasecmp(keys, (const char *)p.data, 64) == 0, "another key was read");
}

struct ids {
	size_t count;
	struct ulid last;
};

static void each(void *ctx, const struct ulid *id)
{
	struct ids *ids = ctx;
	ids->count++;
	ids->last = *id;
}

static struct seen_file *open_seen(struct ids *ids)
{
	struct seen_file *f = NULL;
	char error[400] = "";
	*ids = (struct ids){.count = 0};
	int err = seen_file_open(&f, path, each, ids, error, sizeof error);
	fuzz_check(!err || error[0], "no word of what is wrong");
	fuzz_check(ids->count <= SEEN_MAX, "%zu ids", ids->count);
	return f;
}

static void try_seen(struct piece p)
{
	static const struct ulid id = {{1, 2, 3, 4}};
	struct ids before, after;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fuzz_check(fd >= 0 && write(fd, p.data, p.len) == (ssize_t)p.len, "no file");
	close(fd);
	struct seen_file *f = open_seen(&before);
	if (!f)
		return;
	fuzz_check(seen_file_add(f, &id) == RS_OK, "not added");
	seen_file_close(f);
	f = open_seen(&after);
	fuzz_check(f && ulid_equal(&after.last, &id), "what was added is not there");
	fuzz_check(after.count == before.count + 1 || before.count == SEEN_MAX, "%zu ids, then %zu", before.count,
		   after.count);
	seen_file_close(f);
}

static void check_prefixes(const struct prefixes *p)
{
	for (unsigned n = 0; n < 256; n++) {
		struct addr a = fuzz_addr(n);
		const struct place *place = prefixes_find(p, &a);
		fuzz_check(!place || !name_fault(place->isp, strlen(place->isp)), "an ISP that is no name");
	}
}

/* Opened, checked and read again it is the same; a wrong one changes nothing. */
static void try_prefixes(struct piece p)
{
	struct prefix_file f;
	char fault[600] = "";
	const char *file = fuzz_file(p.data, p.len);
	int err = prefix_file_open(&f, file, fault, sizeof fault);
	fuzz_check(!err || strncmp(fault, "prefixes: ", 10) == 0, "no word of what is wrong");
	fuzz_check(prefix_file_check(file, fault, sizeof fault) == err, "checked it is otherwise");
	size_t count = prefixes_count(f.table);
	fuzz_check(!err || count == 0, "a table of a wrong file");
	check_prefixes(f.table);
	fuzz_check(prefix_file_reload(&f) == !err && prefixes_count(f.table) == count, "read again it is another");
	fuzz_file("10.0.0.0", 8);
	fuzz_check(!prefix_file_reload(&f) && prefixes_count(f.table) == count, "a wrong file has changed the table");
	fuzz_check(f.reloaded == !err && f.reload_failed == 1u + !!err, "the reloads are miscounted");
	prefix_file_close(&f);
	fuzz_check(prefix_file_open(&f, "/proc/self/none", fault, sizeof fault) != RS_OK, "what is not there was read");
	fuzz_check(prefix_file_open(&f, "/proc/self", fault, sizeof fault) != RS_OK, "a folder was read");
	fuzz_check(prefix_file_open(&f, "", fault, sizeof fault) == RS_OK && !prefix_file_reload(&f), "no file was read");
}

void fuzz_one(struct fuzz *in)
{
	static void (*const tries[])(struct piece) = {try_key, try_secret, try_balancer_key, try_seen, try_prefixes};
	unsigned which = fuzz_byte(in) % 5;
	tries[which](fuzz_rest(in));
}
