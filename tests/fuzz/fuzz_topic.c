/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and filters: a topic is matched by each of the filters that are looked up for
 * it, and by no other. The filter, with its length of one byte, then the topic. */
#include "fuzz.h"

#include "base/name.h"
#include "wire/topic.h"

#include <stdlib.h>
#include <string.h>

void fuzz_start(void) {}

struct look {
	const char *topic, *filter;
	unsigned count;
	bool found; /* the filter is among them */
};

static bool each(void *ctx, const char *filter, size_t len)
{
	struct look *l = ctx;
	const char *fault = topic_filter_fault(filter, len);
	l->count++;
	fuzz_check(!fault, "\"%.*s\" is looked up, and %s", (int)len, filter, fault ? fault : "");
	fuzz_check(topic_matches(filter, len, l->topic, strlen(l->topic)),
		   "\"%.*s\" is looked up for %s, and does not match", (int)len, filter, l->topic);
	if (strlen(l->filter) == len && memcmp(filter, l->filter, len) == 0)
		l->found = true;
	return true;
}

void fuzz_one(struct fuzz *in)
{
	char *filter = fuzz_text(in), *topic = fuzz_text(in);
	size_t filter_len = strlen(filter), topic_len = strlen(topic);
	const char *fault = topic_fault(topic, topic_len), *filter_fault = topic_filter_fault(filter, filter_len);
	struct look l = {.topic = topic, .filter = filter};
	fuzz_check(fault || !topic_filter_fault(topic, topic_len), "a topic that is no filter");
	if (!fault) {
		topic_each_filter(topic, topic_len, each, &l);
		fuzz_check(l.count > 0 && l.count <= TOPIC_FILTERS_MAX, "%u filters", l.count);
	}
	if (!fault && !filter_fault)
		fuzz_check(l.found == topic_matches(filter, filter_len, topic, topic_len), "%s and %s match when %s",
			   filter, topic, l.found ? "looked up only" : "compared only");
	free(filter);
	free(topic);
}
