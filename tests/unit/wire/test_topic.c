/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/topic.h"

#include <criterion/criterion.h>
#include <string.h>

#define NAME_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct fault_case {
	const char *text;
	const char *topic, *filter; /* what is wrong with it as one; NULL: nothing */
};

static const struct fault_case faults[] = {
	{"a", NULL, NULL},
	{"news/sport/ski", NULL, NULL},
	{"/", NULL, NULL},
	{"//a", NULL, NULL},
	{"a/", NULL, NULL},
	{"$sys/a", NULL, NULL},
	{"1/2/3/4/5/6/7/8", NULL, NULL},
	{"1/2/3/4/5/6/7/8/9", "has more than 8 levels", "has more than 8 levels"},
	{"1/2/3/4/5/6/7/8/", "has more than 8 levels", "has more than 8 levels"},
	{NAME_64, NULL, NULL},
	{NAME_64 "a", "is longer than 64 bytes", "is longer than 64 bytes"},
	{"", "is empty", "is empty"},
	{"a b", "contains a space", "contains a space"},
	{"a{", "contains a brace", "contains a brace"},
	{"+", "contains + or #, which are for filters", NULL},
	{"#", "contains + or #, which are for filters", NULL},
	{"a/+/b", "contains + or #, which are for filters", NULL},
	{"+/+/#", "contains + or #, which are for filters", NULL},
	{"a/b+", "contains + or #, which are for filters", "has a + or # that is not a whole level"},
	{"a/b#", "contains + or #, which are for filters", "has a + or # that is not a whole level"},
	{"++", "contains + or #, which are for filters", "has a + or # that is not a whole level"},
	{"#/a", "contains + or #, which are for filters", "has a # that is not the last level"},
	{"a/#/", "contains + or #, which are for filters", "has a # that is not the last level"},
};

static void expect_fault(const char *got, const char *wanted, const char *text)
{
	cr_expect(wanted ? got && strcmp(got, wanted) == 0 : !got, "%s: %s", text, got ? got : "is good");
}

Test(topic, faults)
{
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		const struct fault_case *c = &faults[i];
		expect_fault(topic_fault(c->text, strlen(c->text)), c->topic, c->text);
		expect_fault(topic_filter_fault(c->text, strlen(c->text)), c->filter, c->text);
	}
}

struct match_case {
	const char *filter, *topic;
	bool matches;
};

static const struct match_case matches[] = {
	{"a", "a", true},
	{"a", "b", false},
	{"a", "A", false},
	{"a", "a/b", false},
	{"a/b", "a", false},
	{"a/+", "a/b", true},
	{"a/+", "a", false},
	{"a/+", "a/", true},
	{"a/+", "a/b/c", false},
	{"+", "a", true},
	{"+", "/a", false},
	{"+/+", "/a", true},
	{"/+", "/a", true},
	{"+/b", "a/b", true},
	{"a/+/c", "a/b/c", true},
	{"a/+/c", "a/b/d", false},
	{"a/#", "a", true},
	{"a/#", "a/b", true},
	{"a/#", "a/b/c/d", true},
	{"a/#", "b", false},
	{"a/#", "ab", false},
	{"a/+/#", "a/b", true},
	{"a/+/#", "a", false},
	{"#", "a", true},
	{"#", "a/b/c/d/e/f/g/h", true},
	{"#", "/", true},
	{"#", "$sys/a", false},
	{"+/a", "$sys/a", false},
	{"$sys/#", "$sys/a", true},
	{"$sys/+", "$sys/a", true},
	{"a/b/", "a/b", false},
	{"ab", "a", false},
	{"a", "ab", false},
};

Test(topic, matching)
{
	for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
		const struct match_case *c = &matches[i];
		cr_expect_eq(topic_matches(c->filter, strlen(c->filter), c->topic, strlen(c->topic)), c->matches,
			     "%s and %s", c->filter, c->topic);
	}
}

struct found {
	const char *topic;
	size_t count;
	char filter[TOPIC_FILTERS_MAX][NAME_MAX_BYTES + 1];
};

static bool keep(void *ctx, const char *filter, size_t len)
{
	struct found *f = ctx;
	cr_assert_lt(f->count, TOPIC_FILTERS_MAX);
	cr_expect_null(topic_filter_fault(filter, len), "%.*s", (int)len, filter);
	cr_expect(topic_matches(filter, len, f->topic, strlen(f->topic)), "%.*s", (int)len, filter);
	memcpy(f->filter[f->count], filter, len);
	f->filter[f->count++][len] = '\0';
	return true;
}

static const struct found *find(const char *topic)
{
	static struct found f;
	memset(&f, 0, sizeof f);
	f.topic = topic;
	topic_each_filter(topic, strlen(topic), keep, &f);
	for (size_t i = 0; i < f.count; i++)
		for (size_t k = 0; k < i; k++)
			cr_expect_str_neq(f.filter[i], f.filter[k]);
	return &f;
}

static bool has(const struct found *f, const char *filter)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->filter[i], filter) == 0)
			return true;
	return false;
}

Test(topic, all_filters_of_a_topic)
{
	static const char *const of_two[] = {"#", "a/#", "+/#", "a/b", "+/b", "a/+", "+/+", "a/b/#", "+/b/#", "a/+/#", "+/+/#"};
	const struct found *f = find("a/b");
	cr_expect_eq(f->count, sizeof of_two / sizeof *of_two);
	for (size_t i = 0; i < sizeof of_two / sizeof *of_two; i++)
		cr_expect(has(f, of_two[i]), "%s", of_two[i]);
	f = find("a");
	cr_expect(f->count == 5 && has(f, "a") && has(f, "+") && has(f, "#") && has(f, "a/#") && has(f, "+/#"));
	f = find("$a");
	cr_expect(f->count == 2 && has(f, "$a") && has(f, "$a/#"));
	cr_expect_eq(find("1/2/3/4/5/6/7/8")->count, 256 + 255);
	f = find(NAME_64);
	cr_expect(f->count == 4 && !has(f, NAME_64 "/#"), "a filter is no longer than a name");
	f = find("/");
	cr_expect(f->count == 11 && has(f, "/+") && has(f, "//#") && has(f, "/#"));
}

/* Each case of the table above says the same of the enumeration. */
Test(topic, the_enumeration_is_whole)
{
	for (size_t i = 0; i < sizeof matches / sizeof *matches; i++)
		cr_expect_eq(has(find(matches[i].topic), matches[i].filter), matches[i].matches, "%s and %s",
			     matches[i].filter, matches[i].topic);
}

static bool stop_at_third(void *ctx, const char *filter, size_t len)
{
	unsigned *calls = ctx;
	(void)filter, (void)len;
	return ++*calls < 3;
}

Test(topic, the_enumeration_stops_when_told)
{
	static const char *const topics[] = {"a", "a/b", "1/2/3/4/5/6/7/8"};
	for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
		unsigned calls = 0;
		topic_each_filter(topics[i], strlen(topics[i]), stop_at_third, &calls);
		cr_expect_eq(calls, 3, "%s: %u", topics[i], calls);
	}
}
