/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ulid.h"

#include "base/bytes.h"

#include <string.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct ulid ulid_make(uint64_t wall_ms, const uint8_t random[10])
{
	struct ulid id;
	be_put(id.b, wall_ms, 6);
	memcpy(id.b + 6, random, 10);
	return id;
}

/* 26 characters hold 130 bits: the first one carries the top 3 bits only. */
char *ulid_format(const struct ulid *id, char out[ULID_TEXT + 1])
{
	uint64_t hi = be_get(id->b, 8), lo = be_get(id->b + 8, 8);
	for (int i = ULID_TEXT - 1; i >= 0; i--) {
		out[i] = alphabet[lo & 31];
		lo = lo >> 5 | hi << 59;
		hi >>= 5;
	}
	out[ULID_TEXT] = '\0';
	return out;
}

int ulid_parse(const char *text, struct ulid *out)
{
	uint64_t hi = 0, lo = 0;
	for (int i = 0; i < ULID_TEXT; i++) {
		const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
		if (!at || (i == 0 && at - alphabet > 7))
			return RS_EINVAL;
		hi = hi << 5 | lo >> 59;
		lo = lo << 5 | (uint64_t)(at - alphabet);
	}
	be_put(out->b, hi, 8);
	be_put(out->b + 8, lo, 8);
	return RS_OK;
}

uint64_t ulid_time(const struct ulid *id) { return be_get(id->b, 6); }

bool ulid_equal(const struct ulid *a, const struct ulid *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

bool ulid_is_zero(const struct ulid *a)
{
	static const struct ulid zero;
	return ulid_equal(a, &zero);
}

uint64_t ulid_time_ms(const struct ulid *id) { return be_get(id->b, 6); }
