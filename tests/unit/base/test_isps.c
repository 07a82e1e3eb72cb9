/* SPDX-License-Identifier: Apache-2.0 */
#include "base/isps.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct isp_set s;
static const char *fault;

Test(isps, there_and_back)
{
	static const char *const texts[] = {
		"", "norda=203.0.113.7:7200", "norda=203.0.113.7:7200,sudor=[2001:db8::7]:7200", "a=b=1.2.3.4:5"};
	char text[ISPS_TEXT_MAX];
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		cr_assert_eq(isps_parse(texts[i], &s, &fault), 0, "%s", texts[i]);
		cr_expect_str_eq(isps_format(&s, text), texts[i]);
	}
	cr_assert_eq(isps_parse(" norda = 1.2.3.4:5", &s, &fault), RS_EINVAL, "a name has no space");
	cr_assert_eq(isps_parse("norda=1.2.3.4:5 , sudor=1.2.3.4:6", &s, &fault), 0);
	cr_expect_eq(s.count, 2);
	cr_expect_eq(addr_port(isps_find(&s, "sudor")), 6);
	cr_expect_null(isps_find(&s, "tele"));
}

Test(isps, what_is_wrong)
{
	static const char *const cases[][2] = {
		{"norda", "wants ISP=ip:port"}, {"=1.2.3.4:5", "wants ISP=ip:port"}, {"norda=1.2.3.4", "wants ISP=ip:port"},
		{"norda=1.2.3.4:5,", "wants ISP=ip:port"}, {"a{b}=1.2.3.4:5", "wants ISP=ip:port"},
		{"norda=1.2.3.4:5,norda=1.2.3.4:6", "names an ISP twice"},
		{"a=1.1.1.1:1,b=1.1.1.1:1,c=1.1.1.1:1,d=1.1.1.1:1,e=1.1.1.1:1,f=1.1.1.1:1,g=1.1.1.1:1,h=1.1.1.1:1,"
		 "i=1.1.1.1:1", "too many"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		s.count = 77;
		cr_expect_eq(isps_parse(cases[i][0], &s, &fault), RS_EINVAL, "%s", cases[i][0]);
		cr_expect(strstr(fault, cases[i][1]), "%s: %s", cases[i][0], fault);
		cr_expect_eq(s.count, 77, "it is as it was");
	}
}

Test(isps, the_longest_text_fits)
{
	char text[ISPS_TEXT_MAX] = "", again[ISPS_TEXT_MAX];
	size_t at = 0;
	for (int i = 0; i < ISPS_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof text - at,
				       "%s%063d%d=[1111:2222:3333:4444:5555:6666:7777:8888]:65535", i ? "," : "", 0, i);
	cr_assert_lt(at, sizeof text);
	cr_assert_eq(isps_parse(text, &s, &fault), 0, "%s", fault);
	cr_expect_str_eq(isps_format(&s, again), text);
}
