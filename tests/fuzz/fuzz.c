/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "crypto/random.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t fuzz_now_ms;
static uint64_t random_state;

/* ---- in place of base/clock.c and crypto/random.c ---- */

uint64_t clock_mono_ms(void) { return fuzz_now_ms; }
uint64_t clock_mono_us(void) { return fuzz_now_ms * 1000; }
uint64_t clock_wall_ms(void) { return fuzz_wall_ms(); }
void random_bytes(void *out, size_t len) { fuzz_random(out, len); }

uint64_t fuzz_wall_ms(void) { return FUZZ_WALL_MS + fuzz_now_ms; }

void fuzz_random(void *out, size_t len)
{
	for (uint8_t *p = out; len-- > 0; p++) {
		random_state ^= random_state << 13;
		random_state ^= random_state >> 7;
		random_state ^= random_state << 17;
		*p = (uint8_t)(random_state >> 32);
	}
}

/* ---- the input ---- */

size_t fuzz_left(const struct fuzz *in) { return (size_t)(in->end - in->at); }

uint8_t fuzz_byte(struct fuzz *in) { return in->at < in->end ? *in->at++ : 0; }

uint64_t fuzz_number(struct fuzz *in, unsigned bytes)
{
	uint64_t v = 0;
	while (bytes-- > 0)
		v = v << 8 | fuzz_byte(in);
	return v;
}

static struct piece take(struct fuzz *in, size_t len)
{
	struct piece p = {in->at, len < fuzz_left(in) ? len : fuzz_left(in)};
	in->at += p.len;
	return p;
}

struct piece fuzz_rest(struct fuzz *in) { return take(in, fuzz_left(in)); }

struct piece fuzz_piece(struct fuzz *in, size_t max)
{
	size_t len = (size_t)fuzz_number(in, 2);
	return take(in, len < max ? len : max);
}

char *fuzz_text(struct fuzz *in)
{
	struct piece p = take(in, fuzz_byte(in));
	char *text = fuzz_copy("", 1);
	text = realloc(text, p.len + 1);
	fuzz_check(text != NULL, "out of memory");
	memcpy(text, p.data, p.len);
	text[p.len] = '\0';
	return text;
}

void *fuzz_copy(const void *data, size_t len)
{
	void *copy = malloc(len ? len : 1);
	fuzz_check(copy != NULL, "out of memory");
	memcpy(copy, data, len);
	return copy;
}

/* ---- what must hold ---- */

void fuzz_check(bool good, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	if (good)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "fuzz: %s\n", text); /* stderr may have been turned away */
	abort();
}

void fuzz_check_printable(const char *text, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t cp = 0;
		n = utf8_next((const uint8_t *)text + i, len - i, &cp);
		fuzz_check(n > 0, "byte %zu of what is printed is no UTF-8", i);
		fuzz_check(cp == '\n' || !utf8_is_control(cp), "U+%04x is printed to a terminal", (unsigned)cp);
	}
}

/* ---- standard output, files ---- */

static FILE *captured, *kept_out, *kept_err;
static char *captured_text;
static size_t captured_len;

void fuzz_capture(void)
{
	free(captured_text);
	captured_text = NULL;
	captured = open_memstream(&captured_text, &captured_len);
	fuzz_check(captured != NULL, "out of memory");
	kept_out = stdout;
	kept_err = stderr;
	stdout = stderr = captured;
}

const char *fuzz_captured(size_t *len)
{
	stdout = kept_out;
	stderr = kept_err;
	fclose(captured);
	*len = captured_len;
	return captured_text;
}

const char *fuzz_file(const void *data, size_t len)
{
	static char path[32];
	static int fd = -1;
	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	fuzz_check(fd >= 0 && fchmod(fd, 0600) == 0 && ftruncate(fd, 0) == 0 &&
			   pwrite(fd, data, len, 0) == (ssize_t)len, "no file");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return path;
}

struct addr fuzz_addr(unsigned n)
{
	struct addr a = {.ip = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)n}, .port = {4000 >> 8, 4000 & 255}};
	return a;
}

/* ---- what libFuzzer calls ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

/* A length that only a broken peer would name makes malloc() fail, as in life. What was
 * freed by an input needs to be kept for that input only. */
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:detect_stack_use_after_return=1:quarantine_size_mb=8";
}

/* libconfig loses the string at which its reading of a file fails. */
const char *__lsan_default_suppressions(void) { return "leak:strbuf_append\nleak:libconfig_yylex\n"; }

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	log_setup("fuzz", LOG_ERROR + 1, LOG_LOGFMT);
	random_state = 0x5eed5eed5eedu;
	fuzz_start();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz in = {data ? data : (const uint8_t *)"", data ? data + len : (const uint8_t *)""};
	fuzz_now_ms = FUZZ_START_MS;
	random_state = 0x5eed5eed5eedu;
	fuzz_one(&in);
	return 0;
}
