/* SPDX-License-Identifier: Apache-2.0 */
#include "rds/request.h"

#include <stdlib.h>
#include <string.h>

static size_t digits(size_t v)
{
	size_t n = 1;
	for (; v >= 10; v /= 10)
		n++;
	return n;
}

static size_t bulk_size(size_t len) { return 1 + digits(len) + 2 + len + 2; }

static char *put_count(char *p, char mark, size_t v)
{
	size_t n = digits(v);
	*p++ = mark;
	for (char *d = p + n; d > p; v /= 10)
		*--d = (char)('0' + v % 10);
	p += n;
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static char *put_bulk(char *p, const struct rds_arg *arg)
{
	p = put_count(p, '$', arg->len);
	if (arg->len)
		memcpy(p, arg->data, arg->len);
	p += arg->len;
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

struct request *request_new(const struct rds_arg *lead, size_t lead_count,
			    const struct rds_arg *argv, size_t argc)
{
	size_t len = 1 + digits(lead_count + argc) + 2;
	for (size_t i = 0; i < lead_count; i++)
		len += bulk_size(lead[i].len);
	for (size_t i = 0; i < argc; i++)
		len += bulk_size(argv[i].len);
	struct request *q = malloc(sizeof *q + len);
	if (!q)
		return NULL;
	char *p = put_count(q->wire, '*', lead_count + argc);
	for (size_t i = 0; i < lead_count; i++)
		p = put_bulk(p, &lead[i]);
	for (size_t i = 0; i < argc; i++)
		p = put_bulk(p, &argv[i]);
	q->len = len;
	q->resends = 0;
	return q;
}

void request_answer(struct request *q, int err, const struct redisReply *reply)
{
	if (q->fn)
		q->fn(q->ctx, err, reply);
	free(q);
}

void request_push(struct request_queue *queue, struct request *q)
{
	q->next = NULL;
	if (queue->tail)
		queue->tail->next = q;
	else
		queue->head = q;
	queue->tail = q;
	queue->count++;
}

struct request *request_pop(struct request_queue *queue)
{
	struct request *q = queue->head;
	if (!q)
		return NULL;
	queue->head = q->next;
	if (!queue->head)
		queue->tail = NULL;
	queue->count--;
	return q;
}
