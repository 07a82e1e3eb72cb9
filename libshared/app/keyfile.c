/* SPDX-License-Identifier: Apache-2.0 */
#include "app/keyfile.h"

#include "base/bytes.h"
#include "base/file.h"
#include "crypto/random.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEX_DIGITS (2 * X25519_BYTES)

static int says(char *fault, size_t cap, const char *path, const char *what)
{
	snprintf(fault, cap, "%s: %s", path, what);
	return RS_EINVAL;
}

static int says_errno(char *fault, size_t cap, const char *path, const char *what)
{
	int saved = errno;
	snprintf(fault, cap, "%s: %s: %s", path, what, strerror(saved));
	errno = saved;
	return saved == ENOENT ? RS_ENOENT : RS_ESYS;
}

/* Only the owner may read a secret; and a folder or a device is none. */
static int check_file(int fd, const char *path, char *fault, size_t fault_cap)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return says_errno(fault, fault_cap, path, "cannot be examined");
	if (!S_ISREG(st.st_mode))
		return says(fault, fault_cap, path, "is not a regular file");
	if (st.st_mode & 077) {
		snprintf(fault, fault_cap, "%s: others may use this file (mode %04o); run: chmod 600 %s", path,
			 (unsigned)st.st_mode & 07777, path);
		return RS_EINVAL;
	}
	return RS_OK;
}

/* At most cap bytes; *len how many. */
static int read_all(int fd, const char *path, char *out, size_t cap, size_t *len, char *fault,
		    size_t fault_cap)
{
	*len = 0;
	while (*len < cap) {
		ssize_t n = read(fd, out + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return says_errno(fault, fault_cap, path, "cannot be read");
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return RS_OK;
}

/* RS_ENOENT: there is no such file. */
static int read_file(const char *path, char *out, size_t cap, size_t *len, char *fault,
		     size_t fault_cap)
{
	/* Non-blocking, so that a FIFO in its place cannot hold up the start. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return says_errno(fault, fault_cap, path, "cannot be opened");
	int err = check_file(fd, path, fault, fault_cap);
	if (!err)
		err = read_all(fd, path, out, cap, len, fault, fault_cap);
	close(fd);
	return err;
}

int keyfile_read_secret(const char *path, char *out, size_t cap, size_t *len, char *fault,
			size_t fault_cap)
{
	char text[SECRET_MAX + 2];
	size_t held;
	int err = read_file(path, text, sizeof text, &held, fault, fault_cap);
	if (err)
		goto done;
	const char *line_end = memchr(text, '\n', held);
	size_t n = line_end ? (size_t)(line_end - text) : held;
	if (n > 0 && text[n - 1] == '\r')
		n--;
	if (n == 0)
		err = says(fault, fault_cap, path, "its first line is empty; the secret must stand there");
	else if (n > SECRET_MAX || n >= cap)
		err = says(fault, fault_cap, path, "its first line is too long for a secret");
	else if (memchr(text, '\0', n))
		err = says(fault, fault_cap, path, "contains a NUL byte; a secret is a line of text");
	if (!err) {
		memcpy(out, text, n);
		out[n] = '\0';
		*len = n;
	}
done:
	explicit_bzero(text, sizeof text);
	return err;
}

static int load(const char *path, struct keypair *out, char *fault, size_t fault_cap)
{
	char text[HEX_DIGITS + 3]; /* the line end, and one byte to see that there is more */
	uint8_t priv[X25519_BYTES];
	size_t len;
	int err = read_file(path, text, sizeof text - 1, &len, fault, fault_cap);
	if (err)
		goto done;
	while (len > HEX_DIGITS && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	text[len] = '\0';
	err = hex_decode(text, priv, sizeof priv);
	if (err)
		says(fault, fault_cap, path, "is not a key of 64 hexadecimal digits; it was left as it is");
	else if ((err = x25519_from_private(priv, out)))
		says(fault, fault_cap, path, "holds no usable X25519 key");
done:
	explicit_bzero(text, sizeof text);
	explicit_bzero(priv, sizeof priv);
	return err;
}

/* Makes the new name outlast a loss of power; without that the key would still
 * be good, so nothing is reported. */
static void sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0;
	snprintf(folder, sizeof folder, "%.*s", (int)len, path);
	int fd = open(len ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fsync(fd) < 0)
		errno = 0;
	close(fd);
}

/* A daemon that started at the same moment may have been first: its key stays
 * (EEXIST). File systems that do not know RENAME_NOREPLACE get a plain rename. */
static int take_place(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL || errno == ENOSYS ? rename(from, to) : -1;
}

/* The key as a line of hexadecimal digits, in a file that appears whole. A public
 * one takes the place of what is there; a private one (mode 0600) does not. */
static int store(const char *path, const uint8_t key[X25519_BYTES], bool public, char *fault,
		 size_t fault_cap)
{
	char temp[PATH_MAX], text[HEX_DIGITS + 2];
	if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= sizeof temp)
		return says(fault, fault_cap, path, "has too long a name");
	int fd = mkostemp(temp, O_CLOEXEC); /* with mode 0600 */
	if (fd < 0)
		return says_errno(fault, fault_cap, path, "cannot be created");
	hex_encode(key, X25519_BYTES, text);
	text[HEX_DIGITS] = '\n';
	bool ok = file_write_all(fd, text, HEX_DIGITS + 1) && (!public || fchmod(fd, 0644) == 0) && fsync(fd) == 0;
	explicit_bzero(text, sizeof text);
	int err = ok ? RS_OK : says_errno(fault, fault_cap, path, "cannot be written");
	close(fd);
	bool placed = !err && (public ? rename(temp, path) : take_place(temp, path)) == 0;
	if (!err && !placed && errno != EEXIST)
		err = says_errno(fault, fault_cap, path, "cannot be put in place");
	if (!placed)
		unlink(temp);
	sync_folder(path);
	return err;
}

int keyfile_publish(const char *path, const struct keypair *key, char *fault, size_t fault_cap)
{
	char public[PATH_MAX];
	if ((size_t)snprintf(public, sizeof public, "%s.pub", path) >= sizeof public)
		return says(fault, fault_cap, path, "has too long a name");
	return store(public, key->pub, true, fault, fault_cap);
}

int keyfile_load_or_create(const char *path, struct keypair *out, char *fault, size_t fault_cap)
{
	int err = load(path, out, fault, fault_cap);
	if (err != RS_ENOENT)
		return err;
	struct keypair made;
	err = x25519_generate(random_bytes, &made);
	if (err)
		says(fault, fault_cap, path, "no key could be generated");
	else
		err = store(path, made.priv, false, fault, fault_cap);
	if (!err)
		err = load(path, out, fault, fault_cap);
	explicit_bzero(&made, sizeof made);
	return err;
}
