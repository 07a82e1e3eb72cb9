/* SPDX-License-Identifier: Apache-2.0 */
#include "session/halfopen.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

struct hello {
	struct addr from;
	uint8_t init[INIT_BYTES];
};

static struct hello make(uint32_t n)
{
	struct hello h = {.init = {PACKET_INIT, PROTOCOL_VERSION}};
	be_put(h.from.ip + 12, n / 7, 4);
	be_put(h.from.port, n, 2);
	be_put(h.init + 4, n * 31, 4);
	be_put(h.init + HELLO_HEADER + COOKIE_LEN, n + 1, 4);
	return h;
}

static struct half *take(struct halfopen *t, uint32_t n, uint64_t since_ms, uint32_t *evicted)
{
	struct hello h = make(n);
	struct half *x = halfopen_take(t, &h.from, h.init, evicted);
	x->conn = n + 1;
	x->since_ms = since_ms;
	memset(x->resp, (int)n, sizeof x->resp);
	return x;
}

static struct half *find(struct halfopen *t, uint32_t n)
{
	struct hello h = make(n);
	return halfopen_find(t, &h.from, h.init);
}

Test(halfopen, finds_only_the_very_same_init)
{
	struct halfopen t;
	uint32_t evicted;
	cr_assert_eq(halfopen_init(&t, 64, 9), RS_OK);
	struct half *x = take(&t, 5, 0, &evicted);
	cr_expect_eq(evicted, 0);
	cr_expect_eq(t.count, 1);
	cr_expect_eq(find(&t, 5), x);
	static const struct { const char *what; size_t at; } other[] = {
		{"attempt", 4}, {"attempt", 7}, {"e", 24}, {"e", 55}};
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		struct hello h = make(5);
		h.init[other[i].at] ^= 1;
		cr_expect_null(halfopen_find(&t, &h.from, h.init), "another %s", other[i].what);
	}
	struct hello h = make(5);
	h.from.port[1] ^= 1;
	cr_expect_null(halfopen_find(&t, &h.from, h.init), "another port");
	h = make(5);
	h.from.ip[15] ^= 1;
	cr_expect_null(halfopen_find(&t, &h.from, h.init), "another address");
	halfopen_free(&t, halfopen_place(&t, x));
	cr_expect_null(find(&t, 5));
	cr_expect_eq(t.count, 0);
	halfopen_deinit(&t);
}

/* One bucket: the oldest of four gives way, and only it. */
Test(halfopen, a_full_bucket_gives_up_its_oldest)
{
	struct halfopen t;
	uint32_t evicted;
	cr_assert_eq(halfopen_init(&t, 4, 1), RS_OK);
	static const uint64_t since[] = {30, 10, 40, 20};
	for (uint32_t i = 0; i < 4; i++) {
		take(&t, i, since[i], &evicted);
		cr_expect_eq(evicted, 0);
	}
	static const uint32_t order[] = {1, 3, 0, 2};
	for (uint32_t i = 0; i < 4; i++) {
		take(&t, 10 + i, 100 + i, &evicted);
		cr_expect_eq(evicted, order[i] + 1);
		cr_expect_null(find(&t, order[i]));
		cr_expect_eq(t.count, 4);
	}
	for (uint32_t i = 0; i < 4; i++)
		cr_expect_not_null(find(&t, 10 + i));
	halfopen_free(&t, halfopen_place(&t, find(&t, 12)));
	take(&t, 20, 0, &evicted);
	cr_expect_eq(evicted, 0, "a free place is taken first");
	halfopen_deinit(&t);
}

/* A table filled twice over: the count is that of the places, each that is still
 * in is found with its own RESP, and it spreads over the buckets. */
Test(halfopen, many)
{
	enum { PLACES = 4096, MANY = 8192 };
	struct halfopen t;
	static bool out[MANY + 2];
	uint32_t evicted, lost = 0, early = 0;
	cr_assert_eq(halfopen_init(&t, PLACES, 0x1234567890abcdef), RS_OK);
	for (uint32_t i = 0; i < MANY; i++) {
		take(&t, i, i, &evicted);
		out[evicted] = true;
		lost += evicted != 0;
		if (i == PLACES / 2 - 1)
			early = lost;
		cr_assert_eq(t.count, i + 1 - lost);
	}
	cr_expect_lt(early, PLACES / 20, "half full, %u gave way already", early);
	for (uint32_t i = 0; i < MANY; i++) {
		struct half *x = find(&t, i);
		cr_assert_eq(x == NULL, out[i + 1]);
		if (x)
			cr_assert(x->conn == i + 1 && x->resp[0] == (uint8_t)i && x->resp[RESP_BYTES - 1] == (uint8_t)i);
	}
	for (uint32_t i = 0; i < MANY; i++)
		if (find(&t, i))
			halfopen_free(&t, halfopen_place(&t, find(&t, i)));
	cr_expect_eq(t.count, 0);
	halfopen_deinit(&t);
}

Test(halfopen, another_seed_puts_them_elsewhere)
{
	struct halfopen a, b;
	uint32_t evicted, same = 0;
	cr_assert_eq(halfopen_init(&a, 4096, 1), RS_OK);
	cr_assert_eq(halfopen_init(&b, 4096, 2), RS_OK);
	for (uint32_t i = 0; i < 500; i++)
		same += halfopen_place(&a, take(&a, i, i, &evicted)) / 4 == halfopen_place(&b, take(&b, i, i, &evicted)) / 4;
	cr_expect_lt(same, 20);
	halfopen_deinit(&a);
	halfopen_deinit(&b);
}
