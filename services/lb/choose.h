/* SPDX-License-Identifier: Apache-2.0 */
/* The rule by which a client is told brokers; all of it is here.
 *
 * Passed over are brokers that are silent, draining or full. Each of the others gets
 * points, less is better; a point stands for a millisecond of the way there and back:
 *
 *   rtt    what the broker measured of clients of this ISP, ms
 *   loss   of a thousand packets to them, those that had to be sent again
 *   zone   60 when the zone of the client is known and the broker's is another
 *   isp    20 when the ISP of the client is known and the broker has no address in it
 *   full   5 for each thousandth of its capacity beyond 900 that is in use
 *   lag    each millisecond beyond 100 that its loop is late
 *
 * What was measured counts instead of what zone and ISP let expect. A broker without
 * figures counts as the best of those with them, plus zone and isp: so it is tried,
 * and then there are figures.
 *
 * GOOD are all within CHOOSE_MARGIN of the best. Among these the load decides, by two
 * random choices: two are drawn, and the one with the lesser share of its capacity in
 * use (clients sent there since its last report included; then the one with fewer
 * packets a second) is told first. So an emptier broker gets more, but not everybody
 * at once. The further places are drawn in the same way; FAR ones follow, by points,
 * and at the end those that the client has just found dead (AVOIDED), so that one with
 * a wrong idea is not left with nothing.
 *
 * A client whose ISP is known is told the broker's address there, if it has one. */
#ifndef LB_CHOOSE_H
#define LB_CHOOSE_H

#include "table.h"

#include "base/buf.h"
#include "base/prefixes.h"
#include "crypto/x25519.h"
#include "wire/packet.h"

#define CHOOSE_RETRY_MS 1000 /* "no broker now, ask again after": the client adds jitter */
#define CHOOSE_MARGIN 20
#define CHOOSE_ZONE 60
#define CHOOSE_ISP 20
#define CHOOSE_FULL_ABOVE 900 /* thousandths of its capacity */
#define CHOOSE_FULL 5
#define CHOOSE_LAG_ABOVE_MS 100

enum verdict { CHOOSE_GOOD, CHOOSE_FAR, CHOOSE_AVOIDED, CHOOSE_FULL_UP, CHOOSE_DRAINING, CHOOSE_SILENT };

struct points {
	uint32_t rtt, loss, zone, isp, full, lag;
};

/* What the rule says of one broker for one client. */
struct candidate {
	struct entry *entry;
	struct addr told;       /* the address for this client */
	enum verdict verdict;
	bool measured;          /* rtt and loss are this broker's own */
	struct points points;
	uint32_t sum;           /* of the points */
	uint32_t load;          /* millionths of its capacity in use */
};

struct chooser {
	struct table *table;
	const struct prefixes *prefixes; /* NULL: none */
	random_fn *random;
};

void choose_brokers(const struct chooser *c, const struct addr *from, const struct ask_payload *ask,
		    uint64_t now_ms, struct answer_payload *out);
/* All brokers, those that may be told first; their number. `place` is the client's,
 * NULL if it is not known. */
size_t choose_judge(const struct chooser *c, const struct place *place, const struct ask_payload *ask,
		    uint64_t now_ms, struct candidate out[TABLE_MAX]);
/* The same for a person, as lines of text. RS_ENOMEM. */
RS_MUST_CHECK int choose_explain(const struct chooser *c, const struct addr *from, uint64_t now_ms,
				 struct buf *out);

#endif
