/* SPDX-License-Identifier: Apache-2.0 */
/* The prefixes are sorted and flattened: `edge[i]` is an address from which on the
 * answer is `at[i]`, up to the next edge. With n prefixes there are at most 2n + 1
 * of them. Nesting needs no care when looking up, only when building. */
#include "base/prefixes.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IP = 16, V4_BITS = 96, DEPTH_MAX = 130, NOWHERE = UINT16_MAX, WORD_MAX = 100, PLACES_STEP = 64 };

struct edge {
	uint8_t ip[IP];
};

struct prefixes {
	struct edge *edge;
	uint16_t *at;       /* index into place, or NOWHERE */
	size_t edges, lines;
	struct place *place;
	size_t places;
};

struct prefix {
	uint8_t ip[IP];
	uint8_t bits;       /* of 128: an IPv4 /24 has 120 */
	uint16_t place;
	uint32_t line;
};

/* What building needs and the table does not. */
struct build {
	struct prefixes *p;
	struct prefix *prefix;
	size_t count, cap;
	uint16_t slot[2 * PREFIXES_PLACES_MAX]; /* of a hash table of places: index + 1 */
	char *fault;
	size_t line;
};

static int wrong(struct build *b, int err, const char *fmt, ...) RS_PRINTF(3, 4);
static int wrong(struct build *b, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(b->fault, PREFIXES_FAULT_MAX, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- a line ---- */

struct word {
	const char *text;
	size_t len;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The next word before `end` or a '#'; its length is 0 if there is none. */
static struct word next_word(const char **at, const char *end)
{
	while (*at < end && is_blank(**at))
		++*at;
	struct word w = {*at, 0};
	while (*at < end && !is_blank(**at) && !(w.len == 0 && **at == '#')) {
		++*at;
		w.len++;
	}
	return w;
}

static bool read_bits(const char *text, unsigned most, unsigned *out)
{
	char *end;
	if (*text < '0' || *text > '9' || strlen(text) > 3)
		return false;
	unsigned long v = strtoul(text, &end, 10);
	*out = (unsigned)v;
	return !*end && v <= most;
}

static uint8_t mask_of(unsigned bits, unsigned byte)
{
	if (bits >= 8 * (byte + 1))
		return 0xff;
	return bits <= 8 * byte ? 0 : (uint8_t)(0xff00u >> (bits - 8 * byte));
}

static const uint8_t v4_head[12] = {[10] = 0xff, [11] = 0xff};

static int read_prefix(struct build *b, struct word w, struct prefix *out)
{
	char text[WORD_MAX];
	unsigned bits;
	snprintf(text, sizeof text, "%.*s", (int)(w.len < WORD_MAX ? w.len : WORD_MAX), w.text);
	char *slash = strchr(text, '/');
	if (!slash || memchr(w.text, '\0', w.len))
		return wrong(b, RS_EINVAL, "\"%s\" is not a prefix; write ADDRESS/LENGTH, for example 203.0.113.0/24", text);
	*slash = '\0';
	bool v4 = !strchr(text, ':');
	memset(out->ip, 0, IP);
	if (v4)
		memcpy(out->ip, v4_head, sizeof v4_head);
	if (inet_pton(v4 ? AF_INET : AF_INET6, text, v4 ? out->ip + 12 : out->ip) != 1)
		return wrong(b, RS_EINVAL, "\"%s\" is not an IPv4 or IPv6 address", text);
	if (!read_bits(slash + 1, v4 ? 32 : 128, &bits))
		return wrong(b, RS_EINVAL, "\"%s\" is not a prefix length; it is 0 to %d here", slash + 1, v4 ? 32 : 128);
	if (!v4 && bits >= V4_BITS && memcmp(out->ip, v4_head, sizeof v4_head) == 0)
		return wrong(b, RS_EINVAL, "%s/%u stands for IPv4; write it as such", text, bits);
	out->bits = (uint8_t)(v4 ? V4_BITS + bits : bits);
	for (unsigned i = 0; i < IP; i++)
		if (out->ip[i] & ~mask_of(out->bits, i))
			return wrong(b, RS_EINVAL, "%s/%u has bits set beyond its length", text, bits);
	return RS_OK;
}

static int read_name(struct build *b, const char *what, struct word w, char out[NAME_MAX_BYTES + 1])
{
	const char *fault = w.len ? name_fault(w.text, w.len) : NULL;
	if (fault)
		return wrong(b, RS_EINVAL, "the %s %s; it must be " NAME_RULE, what, fault);
	memcpy(out, w.text, w.len);
	return RS_OK;
}

/* ---- places, each once ---- */

static uint32_t hash_of(const struct place *x)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < sizeof *x; i++)
		h = (h ^ ((const uint8_t *)x)[i]) * 16777619u;
	return h;
}

static int intern(struct build *b, const struct place *x, uint16_t *out)
{
	struct prefixes *p = b->p;
	uint32_t i = hash_of(x) % (2 * PREFIXES_PLACES_MAX);
	for (; b->slot[i]; i = (i + 1) % (2 * PREFIXES_PLACES_MAX))
		if (memcmp(&p->place[b->slot[i] - 1], x, sizeof *x) == 0) {
			*out = (uint16_t)(b->slot[i] - 1);
			return RS_OK;
		}
	if (p->places == PREFIXES_PLACES_MAX)
		return wrong(b, RS_ELIMIT, "too many ISPs and zones; at most %d pairs", PREFIXES_PLACES_MAX);
	if (p->places % PLACES_STEP == 0) {
		struct place *more = realloc(p->place, (p->places + PLACES_STEP) * sizeof *more);
		if (!more)
			return wrong(b, RS_ENOMEM, "out of memory");
		p->place = more;
	}
	*out = (uint16_t)p->places;
	p->place[p->places++] = *x;
	b->slot[i] = (uint16_t)p->places;
	return RS_OK;
}

static int add(struct build *b, const struct prefix *x)
{
	if (b->count == PREFIXES_MAX)
		return wrong(b, RS_ELIMIT, "too many prefixes; at most %d", PREFIXES_MAX);
	if (b->count == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 256;
		struct prefix *more = realloc(b->prefix, cap * sizeof *more);
		if (!more)
			return wrong(b, RS_ENOMEM, "out of memory");
		b->prefix = more;
		b->cap = cap;
	}
	b->prefix[b->count++] = *x;
	return RS_OK;
}

static int read_line(struct build *b, const char *at, const char *end)
{
	struct prefix x = {.line = (uint32_t)b->line};
	struct place place = {0};
	struct word prefix = next_word(&at, end), isp = next_word(&at, end), zone = next_word(&at, end);
	if (prefix.len == 0)
		return RS_OK;
	int err = read_prefix(b, prefix, &x);
	if (!err && isp.len == 0)
		err = wrong(b, RS_EINVAL, "the ISP is missing; a line is PREFIX ISP [ZONE]");
	if (!err)
		err = read_name(b, "ISP", isp, place.isp);
	if (!err)
		err = read_name(b, "zone", zone, place.zone);
	if (!err && next_word(&at, end).len)
		err = wrong(b, RS_EINVAL, "there is more behind the zone; a line is PREFIX ISP [ZONE]");
	if (!err)
		err = intern(b, &place, &x.place);
	return err ? err : add(b, &x);
}

static int read_lines(struct build *b, const char *text, size_t len)
{
	const char *end = text + len;
	int err = RS_OK;
	for (b->line = 1; text < end && !err; b->line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		if (!stop)
			stop = end;
		err = read_line(b, text, stop);
		text = stop < end ? stop + 1 : end;
	}
	b->line--;
	return err;
}

/* ---- flattening ---- */

static int by_start(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;
	int c = memcmp(x->ip, y->ip, IP);
	if (c == 0 && x->bits != y->bits)
		c = x->bits < y->bits ? -1 : 1; /* what contains comes before what it contains */
	return c ? c : (x->line < y->line ? -1 : x->line > y->line);
}

static int refuse_twins(struct build *b)
{
	for (size_t i = 1; i < b->count; i++) {
		const struct prefix *x = &b->prefix[i - 1], *y = &b->prefix[i];
		if (x->bits != y->bits || memcmp(x->ip, y->ip, IP) != 0)
			continue;
		b->line = y->line;
		return wrong(b, RS_EINVAL, "this prefix stands in line %u already", x->line);
	}
	return RS_OK;
}

static bool contains(const struct prefix *x, const uint8_t ip[IP])
{
	for (unsigned i = 0; i < IP; i++)
		if ((x->ip[i] ^ ip[i]) & mask_of(x->bits, i))
			return false;
	return true;
}

static void put_edge(struct prefixes *p, const uint8_t ip[IP], uint16_t place)
{
	if (p->edges && memcmp(p->edge[p->edges - 1].ip, ip, IP) == 0)
		p->edges--; /* nothing lies before this one */
	memcpy(p->edge[p->edges].ip, ip, IP);
	p->at[p->edges++] = place;
}

/* Behind the end of `x` what is around it counts again. */
static void put_end(struct prefixes *p, const struct prefix *x, uint16_t around)
{
	uint8_t ip[IP];
	unsigned carry = 1;
	for (int i = IP - 1; i >= 0; i--) {
		carry += x->ip[i] | (uint8_t)~mask_of(x->bits, (unsigned)i);
		ip[i] = (uint8_t)carry;
		carry >>= 8;
	}
	if (!carry) /* else it reaches to the last address of all */
		put_edge(p, ip, around);
}

static void flatten(struct build *b)
{
	const struct prefix *open[DEPTH_MAX]; /* each inside the one before */
	size_t depth = 0;
	for (size_t i = 0; i <= b->count; i++) {
		const struct prefix *x = i < b->count ? &b->prefix[i] : NULL;
		while (depth && !(x && contains(open[depth - 1], x->ip))) {
			depth--;
			put_end(b->p, open[depth], depth ? open[depth - 1]->place : NOWHERE);
		}
		if (!x)
			return;
		put_edge(b->p, x->ip, x->place);
		open[depth++] = x;
	}
}

/* An IPv6 prefix around the addresses that stand for IPv4 ends where these begin. */
static int add_v4_root(struct build *b)
{
	struct prefix root = {.bits = V4_BITS, .place = NOWHERE};
	memcpy(root.ip, v4_head, sizeof v4_head);
	for (size_t i = 0; i < b->count; i++)
		if (b->prefix[i].bits == V4_BITS && memcmp(b->prefix[i].ip, root.ip, IP) == 0)
			return RS_OK; /* 0.0.0.0/0 */
	return add(b, &root);
}

static int build(struct build *b)
{
	b->p->lines = b->count;
	int err = b->count ? add_v4_root(b) : RS_OK;
	if (err || b->count == 0)
		return err;
	qsort(b->prefix, b->count, sizeof *b->prefix, by_start);
	err = refuse_twins(b);
	if (err)
		return err;
	b->p->edge = malloc((2 * b->count) * sizeof *b->p->edge);
	b->p->at = malloc((2 * b->count) * sizeof *b->p->at);
	if (!b->p->edge || !b->p->at)
		return wrong(b, RS_ENOMEM, "out of memory");
	flatten(b);
	return RS_OK;
}

int prefixes_parse(struct prefixes **out, const char *text, size_t len, size_t *line,
		   char fault[PREFIXES_FAULT_MAX])
{
	struct build *b = calloc(1, sizeof *b);
	struct prefixes *p = calloc(1, sizeof *p);
	*line = 0;
	snprintf(fault, PREFIXES_FAULT_MAX, "out of memory");
	int err = RS_ENOMEM;
	if (b && p) {
		b->p = p;
		b->fault = fault;
		err = read_lines(b, text, len);
		if (!err)
			err = build(b);
		*line = b->line;
		free(b->prefix);
	}
	free(b);
	if (err) {
		prefixes_free(p);
		return err;
	}
	*out = p;
	return RS_OK;
}

void prefixes_free(struct prefixes *p)
{
	if (!p)
		return;
	free(p->edge);
	free(p->at);
	free(p->place);
	free(p);
}

const struct place *prefixes_find(const struct prefixes *p, const struct addr *a)
{
	size_t low = 0, high = p ? p->edges : 0; /* the answer lies before `high` */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(p->edge[middle].ip, a->ip, IP) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 || p->at[low - 1] == NOWHERE ? NULL : &p->place[p->at[low - 1]];
}

size_t prefixes_count(const struct prefixes *p) { return p ? p->lines : 0; }
