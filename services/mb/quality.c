/* SPDX-License-Identifier: Apache-2.0 */
#include "quality.h"

#include <string.h>

enum { WEIGHT = 16, SENT_MANY = 20000 };

static struct quality_row *find(struct quality *q, const char *isp)
{
	for (size_t i = 0; i < q->count; i++)
		if (strcmp(q->row[i].isp, isp) == 0)
			return &q->row[i];
	return NULL;
}

/* With all rows in use, the one that was silent for longest makes room. */
static struct quality_row *get(struct quality *q, const char *isp)
{
	struct quality_row *r = find(q, isp);
	if (r)
		return r;
	if (q->count < LINK_PATHS_MAX) {
		r = &q->row[q->count++];
	} else {
		r = &q->row[0];
		for (size_t i = 1; i < q->count; i++)
			if (q->row[i].heard_ms < r->heard_ms)
				r = &q->row[i];
	}
	*r = (struct quality_row){0};
	memcpy(r->isp, isp, strlen(isp) + 1);
	return r;
}

void quality_sample(struct quality *q, const struct addr *to, const struct server_path *p, uint64_t now_ms)
{
	const struct place *place = prefixes_find(q->prefixes.table, to);
	if (!place || p->sent == 0)
		return;
	struct quality_row *r = get(q, place->isp);
	uint32_t ms = p->rtt_ms < QUALITY_RTT_MAX_MS ? p->rtt_ms : QUALITY_RTT_MAX_MS;
	r->rtt_x16 = r->samples ? r->rtt_x16 - r->rtt_x16 / WEIGHT + ms : ms * WEIGHT;
	r->samples += r->samples < QUALITY_SAMPLES;
	r->heard_ms = now_ms;
	if (r->sent >= SENT_MANY) {
		r->sent /= 2;
		r->again /= 2;
	}
	r->sent += p->sent < SENT_MANY ? p->sent : SENT_MANY;
	r->again += p->again < SENT_MANY ? p->again : SENT_MANY;
}

static uint16_t loss_of(const struct quality_row *r)
{
	uint64_t loss = r->sent ? (uint64_t)r->again * LINK_LOSS_MAX / r->sent : 0;
	return loss < LINK_LOSS_MAX ? (uint16_t)loss : LINK_LOSS_MAX;
}

static void forget_old(struct quality *q, uint64_t now_ms)
{
	for (size_t i = 0; i < q->count;)
		if (now_ms - q->row[i].heard_ms > QUALITY_KEPT_MS)
			q->row[i] = q->row[--q->count];
		else
			i++;
}

uint8_t quality_write(struct quality *q, uint64_t now_ms, struct writer *w)
{
	uint8_t count = 0;
	forget_old(q, now_ms);
	for (size_t i = 0; i < q->count; i++) {
		const struct quality_row *r = &q->row[i];
		if (r->samples < QUALITY_SAMPLES)
			continue;
		link_add_path(w, &(struct link_path){{r->isp, strlen(r->isp)}, (uint16_t)(r->rtt_x16 / WEIGHT), loss_of(r)});
		count++;
	}
	return count;
}

void quality_metrics(const struct quality *q, struct metrics *m)
{
	prefix_file_metrics(&q->prefixes, "mb", m);
	for (size_t i = 0; i < q->count; i++)
		metrics_labelled(m, i == 0, "gauge", "mb_isp_rtt_milliseconds", "round trip to clients of an ISP", "isp",
				 q->row[i].isp, q->row[i].rtt_x16 / (double)WEIGHT);
	for (size_t i = 0; i < q->count; i++)
		metrics_labelled(m, i == 0, "gauge", "mb_isp_loss_ratio", "part of the packets to clients of an ISP that were sent again",
				 "isp", q->row[i].isp, loss_of(&q->row[i]) / (double)LINK_LOSS_MAX);
}
