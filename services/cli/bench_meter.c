/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_meter.h"

#include "page.h"
#include "say.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_ABOVE = 80 };

static bool find(const char *page, const char *name, double *out)
{
	char line[80];
	int len = snprintf(line, sizeof line, "\nrestante_%s ", name);
	const char *at = strstr(page, line);
	if (at)
		*out = strtod(at + len, NULL);
	return at != NULL;
}

static int take(const char *page, struct reading *r)
{
	bool all = find(page, "resident_bytes", &r->resident_bytes) && find(page, "cpu_seconds_total", &r->cpu_s) &&
		   find(page, "mb_online", &r->online) && find(page, "mb_heartbeats_total", &r->heartbeats) &&
		   find(page, "mb_handshakes_total", &r->handshakes) &&
		   find(page, "mb_messages_pushed_total", &r->pushed) &&
		   find(page, "mb_messages_acked_total", &r->acked);
	return all ? RS_OK : RS_EREMOTE;
}

int meter_find(const char *given, const struct addr *broker, struct addr *out)
{
	*out = *broker;
	be_put(out->port, addr_port(broker) + PORT_ABOVE, 2);
	if (!given || addr_parse(given, out) == RS_OK)
		return RS_OK;
	say("--metrics must be an address and a port, such as 127.0.0.1:7280");
	return RS_EINVAL;
}

int meter_read(const struct addr *at, struct reading *out)
{
	char text[ADDR_TEXT_MAX];
	const char *why;
	struct buf page = {0};
	int code = 0;
	*out = (struct reading){0};
	int err = page_get(at, "/metrics", &code, &page, &why);
	if (err)
		say("the broker's metrics at %s cannot be reached: %s; is --metrics its listen_http?",
		    addr_format(at, text), why);
	if (!err) {
		err = take((const char *)buf_head(&page), out);
		if (err)
			say("the page http://%s/metrics is not that of a broker", addr_format(at, text));
	}
	buf_deinit(&page);
	return err;
}
