/* SPDX-License-Identifier: Apache-2.0 */
/* One message of a link: decoded, encoded again to the same bytes. */
#include "fuzz.h"

#include "wire/link.h"

#include <stdlib.h>
#include <string.h>

static uint8_t again[1024 * 1024];

void fuzz_start(void) {}

static void read_records(struct link_batch b)
{
	size_t len;
	struct record r;
	for (unsigned i = 0; i < b.count; i++) {
		const uint8_t *record = link_next_record(&b.records, &len);
		fuzz_check(record != NULL && len <= RECORD_MAX, "a record of a batch is missing");
		if (record_parse(record, len, &r) == RS_OK)
			fuzz_check(r.body_len <= len, "a body is longer than its record");
	}
	fuzz_check(reader_done(&b.records), "a batch holds more than its records");
}

/* The lists of a LOAD, written anew. */
static void read_load(struct link_load l)
{
	static uint8_t lists[1024 * 1024];
	struct reader isps = l.isps, paths = l.paths;
	struct writer w = writer_over(lists, sizeof lists);
	for (unsigned i = 0; i < l.isp_count; i++) {
		struct link_isp isp = link_next_isp(&isps);
		link_add_isp(&w, &isp);
	}
	fuzz_check(reader_done(&isps) && writer_len(&w) == reader_left(&l.isps) &&
			   memcmp(lists, l.isps.at, writer_len(&w)) == 0, "other addresses of ISPs");
	w = writer_over(lists, sizeof lists);
	for (unsigned i = 0; i < l.path_count; i++) {
		struct link_path path = link_next_path(&paths);
		link_add_path(&w, &path);
	}
	fuzz_check(reader_done(&paths) && writer_len(&w) == reader_left(&l.paths) &&
			   memcmp(lists, l.paths.at, writer_len(&w)) == 0, "other paths");
}

void fuzz_one(struct fuzz *in)
{
	struct piece p = fuzz_rest(in);
	uint8_t *data = fuzz_copy(p.data, p.len);
	struct link_message m;
	if (link_decode(data, p.len, &m) == RS_OK) {
		if (m.type == LINK_BATCH)
			read_records(m.batch);
		if (m.type == LINK_LOAD)
			read_load(m.load);
		int len = link_encode(&m, again, sizeof again);
		fuzz_check(len == (int)p.len && memcmp(again, data, p.len) == 0, "type %d is another when encoded again (%d)",
			   m.type, len);
		fuzz_check(link_encode(&m, again, p.len - 1) == RS_ELIMIT, "type %d in too little room", m.type);
	}
	free(data);
}
