/* SPDX-License-Identifier: Apache-2.0 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

static struct addr parsed(const char *text)
{
	struct addr a = {{0}, {0}};
	cr_assert_eq(addr_parse(text, &a), RS_OK, "%s", text);
	return a;
}

Test(addr, parse_and_format)
{
	static const struct {
		const char *text, *same;
		bool v4;
		uint16_t port;
	} cases[] = {
		{"127.0.0.1:7200", "127.0.0.1:7200", true, 7200},
		{"0.0.0.0:0", "0.0.0.0:0", true, 0},
		{"255.255.255.255:65535", "255.255.255.255:65535", true, 65535},
		{"10.0.0.1:00080", "10.0.0.1:80", true, 80},
		{"[::1]:7200", "[::1]:7200", false, 7200},
		{"[::]:1", "[::]:1", false, 1},
		{"[2001:db8:0:0:0:0:0:1]:256", "[2001:db8::1]:256", false, 256},
		{"[2001:DB8::ff]:255", "[2001:db8::ff]:255", false, 255},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", false, 65535},
		{"[::ffff:192.0.2.7]:5", "192.0.2.7:5", true, 5},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[ADDR_TEXT_MAX];
		struct addr a = parsed(cases[i].text);
		cr_expect_str_eq(addr_format(&a, text), cases[i].same);
		cr_expect_eq(addr_is_v4(&a), cases[i].v4, "%s", cases[i].text);
		cr_expect_eq(addr_port(&a), cases[i].port);
	}
}

Test(addr, what_is_not_an_address)
{
	static const char *const bad[] = {
		"", ":", ":80", "[]:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:99999",
		"127.0.0.1:100000", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1", "127.0.0.1:1 ",
		"127.0.0.1:0x1", "127.0.0.1:8a", "127.0.0:80", "127.0.0.256:80", "127.0.0.1.1:80",
		" 127.0.0.1:80", "localhost:80", "::1:80", "[::1]", "[::1]:", "[::1:80", "::1]:80",
		"[[::1]]:80", "[127.0.0.1]:80", "[::1%lo]:80", "[:::1]:80", "[g::1]:80",
		"[1:2:3:4:5:6:7:8:9]:80",
		"1111111111111111111111111111111111111111111111111111111111111111111111:80",
		"[1111111111111111111111111111111111111111111111111111111111111111111]:80",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct addr a = {{7}, {7}}, before = a;
		cr_expect_eq(addr_parse(bad[i], &a), RS_EINVAL, "taken: %s", bad[i]);
		cr_expect(addr_equal(&a, &before), "changed by %s", bad[i]);
	}
}

Test(addr, equal_means_address_and_port)
{
	struct addr a = parsed("192.0.2.7:5"), b = parsed("[::ffff:192.0.2.7]:5");
	struct addr port = parsed("192.0.2.7:6"), host = parsed("192.0.2.8:5");
	cr_expect(addr_equal(&a, &b));
	cr_expect_not(addr_equal(&a, &port));
	cr_expect_not(addr_equal(&a, &host));
}

Test(addr, sockaddr_v4)
{
	struct sockaddr_storage ss;
	struct addr a = parsed("192.0.2.7:513"), back = {{0}, {0}};
	cr_assert_eq(addr_to_sockaddr(&a, &ss), sizeof(struct sockaddr_in));
	const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
	cr_expect_eq(in->sin_family, AF_INET);
	cr_expect_eq(ntohs(in->sin_port), 513);
	cr_expect_eq(ntohl(in->sin_addr.s_addr), 0xc0000207);
	cr_assert_eq(addr_from_sockaddr(&ss, &back), RS_OK);
	cr_expect(addr_equal(&a, &back));
}

/* A socket that is bound to [::] reports IPv4 peers as mapped addresses. */
Test(addr, sockaddr_v6_and_mapped)
{
	struct sockaddr_storage ss;
	struct addr a = parsed("[2001:db8::9]:513"), back = {{0}, {0}};
	cr_assert_eq(addr_to_sockaddr(&a, &ss), sizeof(struct sockaddr_in6));
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	cr_expect_eq(in6->sin6_family, AF_INET6);
	cr_expect_eq(ntohs(in6->sin6_port), 513);
	cr_assert_eq(addr_from_sockaddr(&ss, &back), RS_OK);
	cr_expect(addr_equal(&a, &back));
	cr_assert_eq(inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6->sin6_addr), 1);
	cr_assert_eq(addr_from_sockaddr(&ss, &back), RS_OK);
	a = parsed("192.0.2.7:513");
	cr_expect(addr_equal(&a, &back));
}

Test(addr, other_families_are_refused)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	struct addr a;
	cr_expect_eq(addr_from_sockaddr(&ss, &a), RS_EINVAL);
}

/* IPv4 by the whole address, IPv6 by its /64; the port never. */
Test(addr, source)
{
	static const struct { const char *a, *b; bool same; } cases[] = {
		{"192.0.2.7:5", "192.0.2.7:5", true},
		{"192.0.2.7:5", "192.0.2.7:65535", true},
		{"192.0.2.7:5", "192.0.2.8:5", false},
		{"192.0.2.7:5", "193.0.2.7:5", false},
		{"[::ffff:192.0.2.7]:5", "192.0.2.7:6", true},
		{"[2001:db8:0:1::1]:5", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:6", true},
		{"[2001:db8:0:1::1]:5", "[2001:db8:0:0::1]:5", false},
		{"[2001:db8:0:1::1]:5", "[2001:db9:0:1::1]:5", false},
		{"[::]:5", "192.0.2.7:5", false},
		{"[::fffe:192.0.2.7]:5", "[::fffe:192.0.2.8]:5", true},
		{"[::fffe:192.0.2.7]:5", "192.0.2.7:5", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t a[ADDR_SOURCE], b[ADDR_SOURCE];
		struct addr of_a = parsed(cases[i].a), of_b = parsed(cases[i].b);
		memset(a, 0xaa, sizeof a);
		memset(b, 0x55, sizeof b);
		addr_source(&of_a, a);
		addr_source(&of_b, b);
		cr_expect_eq(memcmp(a, b, sizeof a) == 0, cases[i].same, "%s, %s", cases[i].a, cases[i].b);
	}
}

Test(addr, a_host_with_or_without_a_port)
{
	static const struct {
		const char *text, *is;
	} cases[] = {
		{"1.2.3.4", "1.2.3.4:0"}, {"1.2.3.4:5", "1.2.3.4:5"}, {"::1", "[::1]:0"}, {"[::1]", "[::1]:0"},
		{"[::1]:5", "[::1]:5"}, {"2001:db8::7", "[2001:db8::7]:0"}, {"1.2.3", NULL}, {"", NULL}, {"host", NULL},
		{"1.2.3.4:", NULL}, {"[::1", NULL}, {"::1]:5", NULL},
		{"1111:2222:3333:4444:5555:6666:7777:8888:1111:2222:3333:4444:5555", NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr a;
		char text[ADDR_TEXT_MAX];
		int err = addr_parse_host(cases[i].text, &a);
		cr_expect_eq(err == RS_OK, cases[i].is != NULL, "%s", cases[i].text);
		if (!err && cases[i].is)
			cr_expect_str_eq(addr_format(&a, text), cases[i].is);
	}
}
