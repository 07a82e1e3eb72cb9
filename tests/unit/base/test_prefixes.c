/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prefixes.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct prefixes *table;
static void drop(void)
{
	prefixes_free(table);
	table = NULL;
}
TestSuite(prefixes, .fini = drop);

static void parse(const char *text)
{
	size_t line;
	char fault[PREFIXES_FAULT_MAX];
	drop();
	cr_assert_eq(prefixes_parse(&table, text, strlen(text), &line, fault), 0, "line %zu: %s", line, fault);
}

static struct addr addr(const char *ip)
{
	char text[64];
	struct addr a;
	snprintf(text, sizeof text, strchr(ip, ':') ? "[%s]:1" : "%s:1", ip);
	cr_assert_eq(addr_parse(text, &a), 0, "%s", ip);
	return a;
}

/* "isp/zone" or "-" */
static const char *find(const char *ip)
{
	static char out[2 * NAME_MAX_BYTES + 2];
	struct addr a = addr(ip);
	const struct place *p = prefixes_find(table, &a);
	snprintf(out, sizeof out, "%s/%s", p ? p->isp : "", p ? p->zone : "");
	return p ? out : "-";
}

Test(prefixes, the_longest_one_wins)
{
	parse("# who is who\n"
	      "10.0.0.0/8 big\n"
	      "10.1.0.0/16 small eu1   # inside\r\n"
	      "\n"
	      "\t10.1.2.0/24  big eu2\n"
	      "10.1.2.3/32 one\n"
	      "2001:db8::/32 six eu1\n"
	      "2001:db8::1/128 host");
	static const char *const cases[][2] = {
		{"9.255.255.255", "-"}, {"10.0.0.0", "big/"}, {"10.0.255.255", "big/"}, {"10.1.0.0", "small/eu1"},
		{"10.1.1.255", "small/eu1"}, {"10.1.2.0", "big/eu2"}, {"10.1.2.2", "big/eu2"}, {"10.1.2.3", "one/"},
		{"10.1.2.4", "big/eu2"}, {"10.1.3.0", "small/eu1"}, {"10.2.0.0", "big/"}, {"10.255.255.255", "big/"},
		{"11.0.0.0", "-"}, {"2001:db8::", "six/eu1"}, {"2001:db8::1", "host/"}, {"2001:db8::2", "six/eu1"},
		{"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "six/eu1"}, {"2001:db9::", "-"}, {"::", "-"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		cr_expect_str_eq(find(cases[i][0]), cases[i][1], "%s: %s", cases[i][0], find(cases[i][0]));
	cr_expect_eq(prefixes_count(table), 6);
}

Test(prefixes, all_addresses_of_one_kind_say_nothing_of_the_other)
{
	parse("::/0 six\n");
	cr_expect_str_eq(find("1.2.3.4"), "-");
	cr_expect_str_eq(find("::1"), "six/");
	cr_expect_str_eq(find("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "six/");
	cr_expect_str_eq(find("::fffe:ffff:ffff"), "six/");
	cr_expect_str_eq(find("::1:0:0:0"), "six/");
	parse("0.0.0.0/0 four\n::/0 six\n255.255.255.255/32 last");
	cr_expect_str_eq(find("0.0.0.0"), "four/");
	cr_expect_str_eq(find("255.255.255.254"), "four/");
	cr_expect_str_eq(find("255.255.255.255"), "last/");
	cr_expect_str_eq(find("::1:0:0:0"), "six/");
}

Test(prefixes, none_at_all)
{
	parse("");
	cr_expect_str_eq(find("1.2.3.4"), "-");
	parse("# nothing\n\n   \n");
	cr_expect_str_eq(find("1.2.3.4"), "-");
	cr_expect_eq(prefixes_count(table), 0);
	drop();
	cr_expect_str_eq(find("1.2.3.4"), "-", "NULL is a table without lines");
}

Test(prefixes, what_is_wrong_is_said_with_its_line)
{
	static const struct {
		const char *text, *fault;
		size_t line;
	} cases[] = {
		{"10.0.0.0/8 a\n10.0.0.0 b\n", "\"10.0.0.0\" is not a prefix", 2},
		{"\n\nten/8 a", "\"ten\" is not an IPv4 or IPv6 address", 3},
		{"10.0.0.0/33 a", "\"33\" is not a prefix length; it is 0 to 32 here", 1},
		{"2001:db8::/129 a", "\"129\" is not a prefix length; it is 0 to 128 here", 1},
		{"10.0.0.0/ a", "\"\" is not a prefix length", 1},
		{"10.0.0.0/+8 a", "\"+8\" is not a prefix length", 1},
		{"10.0.0.1/8 a", "10.0.0.1/8 has bits set beyond its length", 1},
		{"2001:db8::1/32 a", "2001:db8::1/32 has bits set beyond its length", 1},
		{"::ffff:10.0.0.0/104 a", "stands for IPv4", 1},
		{"10.0.0.0/8", "the ISP is missing", 1},
		{"10.0.0.0/8 # a", "the ISP is missing", 1},
		{"10.0.0.0/8 {a}", "the ISP contains a brace", 1},
		{"10.0.0.0/8 a b\x01", "the zone contains a control character", 1},
		{"10.0.0.0/8 a b c", "there is more behind the zone", 1},
		{"10.0.0.0/8 a\n11.0.0.0/8 b\n10.0.0.0/8 c\n", "this prefix stands in line 1 already", 3},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t line;
		char fault[PREFIXES_FAULT_MAX];
		cr_expect_eq(prefixes_parse(&table, cases[i].text, strlen(cases[i].text), &line, fault), RS_EINVAL,
			     "%s", cases[i].text);
		cr_expect_eq(line, cases[i].line, "%s: line %zu", cases[i].text, line);
		cr_expect(strstr(fault, cases[i].fault), "%s: %s", cases[i].text, fault);
	}
	size_t line;
	char fault[PREFIXES_FAULT_MAX];
	cr_expect_eq(prefixes_parse(&table, "10.0.0.0/8\0x a", 14, &line, fault), RS_EINVAL, "a NUL hides nothing");
}

Test(prefixes, too_many_isps)
{
	size_t cap = 64 * (PREFIXES_PLACES_MAX + 1), at = 0, line;
	char *text = malloc(cap), fault[PREFIXES_FAULT_MAX];
	for (unsigned i = 0; i <= PREFIXES_PLACES_MAX; i++)
		at += (size_t)snprintf(text + at, cap - at, "10.%u.%u.0/24 isp%u\n", i >> 8, i & 255, i);
	cr_expect_eq(prefixes_parse(&table, text, at, &line, fault), RS_ELIMIT);
	cr_expect_eq(line, PREFIXES_PLACES_MAX + 1);
	free(text);
}

/* ---- against a linear search ---- */

enum { RANDOM_PREFIXES = 10000, LOOKUPS = 3000, TIMED = 200000 };

static struct {
	struct addr at;
	unsigned bits, isp;
} line_of[RANDOM_PREFIXES];

static uint32_t state = 1;
static uint32_t draw(void) /* xorshift: the same table in each run */
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void draw_ip(struct addr *a)
{
	bool v4 = draw() % 2;
	*a = (struct addr){0};
	for (unsigned i = 0; i < 16; i++)
		a->ip[i] = (uint8_t)(v4 ? (i < 10 ? 0 : i < 12 ? 0xff : draw() % 4) : (i < 2 ? 0x20 : draw() % 4));
}

static bool has_prefix(const struct addr *a, size_t n)
{
	for (unsigned i = 0; i < line_of[n].bits; i++)
		if ((a->ip[i / 8] ^ line_of[n].at.ip[i / 8]) & (0x80 >> i % 8))
			return false;
	return addr_is_v4(a) == addr_is_v4(&line_of[n].at);
}

static bool is_new(size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (line_of[i].bits == line_of[n].bits && addr_equal(&line_of[i].at, &line_of[n].at))
			return false;
	return true;
}

static void draw_table(void)
{
	size_t cap = RANDOM_PREFIXES * 80, at = 0;
	char *text = malloc(cap), shown[ADDR_TEXT_MAX];
	for (size_t n = 0; n < RANDOM_PREFIXES;) {
		draw_ip(&line_of[n].at);
		bool v4 = addr_is_v4(&line_of[n].at);
		unsigned bits = v4 ? 104 + draw() % 25 : 20 + draw() % 109;
		for (unsigned i = bits; i < 128; i++)
			line_of[n].at.ip[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
		line_of[n].bits = bits;
		line_of[n].isp = draw() % 500;
		if (!is_new(n))
			continue;
		const char *ip = addr_format(&line_of[n].at, shown);
		size_t len = strcspn(ip, v4 ? ":" : "]");
		at += (size_t)snprintf(text + at, cap - at, "%.*s/%u isp%u\n", (int)(v4 ? len : len - 1),
				       v4 ? ip : ip + 1, v4 ? bits - 96 : bits, line_of[n].isp);
		n++;
	}
	parse(text);
	free(text);
}

Test(prefixes, ten_thousand_of_them_against_a_linear_search)
{
	draw_table();
	cr_assert_eq(prefixes_count(table), RANDOM_PREFIXES);
	unsigned found = 0;
	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct addr a;
		int best = -1;
		char isp[16] = "";
		draw_ip(&a);
		if (i % 3 == 0)
			a = line_of[draw() % RANDOM_PREFIXES].at; /* an edge */
		for (unsigned k = 2; k < 16 && i % 3 == 1; k++) /* likely in none */
			a.ip[k] ^= k < 12 && addr_is_v4(&a) ? 0 : (uint8_t)draw();
		for (size_t n = 0; n < RANDOM_PREFIXES; n++)
			if (has_prefix(&a, n) && (best < 0 || line_of[n].bits > line_of[best].bits))
				best = (int)n;
		if (best >= 0)
			snprintf(isp, sizeof isp, "isp%u", line_of[best].isp);
		const struct place *p = prefixes_find(table, &a);
		cr_assert_str_eq(p ? p->isp : "", isp);
		found += p != NULL;
	}
	cr_assert(found > LOOKUPS / 4 && found < LOOKUPS, "%u", found);
}

/* Says a figure, and judges nothing: the machine may be busy. */
Test(prefixes, how_long_a_lookup_takes)
{
	static struct addr a[1024];
	unsigned found = 0;
	draw_table();
	for (size_t i = 0; i < 1024; i++)
		draw_ip(&a[i]);
	uint64_t before = clock_mono_us();
	for (unsigned i = 0; i < TIMED; i++)
		found += prefixes_find(table, &a[i % 1024]) != NULL;
	uint64_t us = clock_mono_us() - before;
	fprintf(stderr, "a look-up among %d prefixes: %.0f ns (%u found)\n", RANDOM_PREFIXES,
		(double)us * 1000 / TIMED, found);
}
