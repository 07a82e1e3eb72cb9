/* SPDX-License-Identifier: Apache-2.0 */
/* A fan-out: one message for many users, as a DC carries it out. Its body is stored
 * once, in rs:fan:{<id>}:body; each recipient's queue gets the record without it.
 *
 *   FAN_MAKING   being written to Redis (fan_launch.h); nobody has been served
 *   FAN_READING  its next recipients are asked for (fan_list.c, fan_topic.c)
 *   FAN_SERVING  they are there: a "chunk", served as the board (fan_board.h) gives room
 *   FAN_ENDING   all are served; Redis is to hear that it is done
 *   FAN_OVER     nothing more is done; freed when nothing is under way any more
 *
 * Only fan_set_state() changes it. After each chunk Redis is told how far it has come, so
 * that another DC can go on there; what of the chunk after it was served already is
 * `duplicate` then, by the `once` of each recipient. So nobody is left out, and nobody
 * is served twice. */
#ifndef DC_FAN_H
#define DC_FAN_H

#include "app/metrics.h"
#include "base/list.h"
#include "message.h"
#include "place.h"
#include "wire/topic.h"

#define FAN_CHUNK 1000        /* recipients asked for at a time */
#define FAN_AT_MAX 48         /* the text that says how far it has come */
#define FAN_LEASE_MS 5000     /* then another DC takes it */
#define FAN_RETRY_MS 1000     /* after Redis did not do it */
#define FAN_REFUSALS_MAX 3    /* then a recipient is given up: it would hold up all behind it */
#define FAN_ID_ONCE_MS (60 * 60 * 1000) /* how long it is remembered who was served, without an id of the App's */
#define FAN_BODY_GRACE_MS 60000 /* the body is kept beyond the end of the message */

struct fan;
struct fan_board;

/* The first four are enum send_state. */
enum fan_outcome {
	FAN_STORED,
	FAN_PUSHED,
	FAN_DROPPED,
	FAN_DUPLICATE,
	FAN_FULL,
	FAN_UNAVAILABLE, /* Redis did not do it */
	FAN_UNKNOWN,     /* ... or perhaps did */
	FAN_OUTCOMES,
	FAN_REFUSED      /* Redis refused this recipient: tried again, in the end FAN_UNAVAILABLE */
};
extern const char *const fan_outcome_words[FAN_OUTCOMES];

enum fan_kind { FAN_LIST, FAN_TOPIC };
extern const char *const fan_kind_words[2];

enum fan_state { FAN_MAKING, FAN_READING, FAN_SERVING, FAN_ENDING, FAN_OVER };

/* Where recipients come from. */
struct fan_source {
	/* Asks for the next ones: fan_add() for each and fan_read(), or fan_served_all(), or
	 * fan_read_failed() follow, now or later. */
	int (*read)(struct fan *f);
	/* The chunk was served: what is read next follows it. */
	void (*advance)(struct fan *f);
	/* How far it has come, in a word without spaces, and going on from there. */
	void (*say)(const struct fan *f, char out[FAN_AT_MAX]);
	int (*resume)(struct fan *f, const char *at);
	/* Whether only those who are online are served now: they are asked for first. */
	bool (*online_only)(const struct fan *f);
};
extern const struct fan_source fan_list, fan_topic;

struct recipient {
	bool done, busy; /* served, or at least tried for the last time; being served */
	uint8_t refusals;
	uint8_t len;
	char name[NAME_MAX_BYTES];
};

/* Of FAN_LIST: names that are here, a line each; NULL: they are in Redis. */
struct fan_names {
	const char *at, *end; /* borrowed */
	size_t taken;         /* bytes of the chunk at hand */
	uint64_t attempt;     /* under which they were written to Redis, before it is made */
};

/* Of FAN_TOPIC: its filters are those of topic_each_filter(), by number. */
struct fan_filters {
	unsigned pass, index;   /* pass 1: who is online; 2: all */
	bool anew;              /* the cursor is no good any more: this filter again */
	char cursor[24], next[24];
	uint8_t absent[TOPIC_FILTERS_MAX / 8 + 1]; /* a bit for each: it has no users, or is none */
};

struct fan {
	struct list on_board;
	struct dc *dc;
	enum fan_state state;
	enum fan_kind kind;
	const struct fan_source *source;
	struct ulid id;
	uint8_t app_len, app_id_len, topic_len;
	char app[NAME_MAX_BYTES], app_id[NAME_MAX_BYTES], topic[NAME_MAX_BYTES];
	uint64_t expires_ms;
	struct app_limits limits;
	bool store;
	bool durable;           /* Redis has it as a job, leased to this DC */
	bool shared;            /* it has it, but not as this DC's: a repetition, or taken over */
	bool waits;             /* perhaps in somebody's queue: its body is needed when it is done */
	bool waited_for;        /* an App waits: who cannot be served is told, not tried again */
	uint8_t *record;        /* header line and body; what is stored ends before the body */
	size_t record_len, header_len;

	struct recipient *chunk;
	size_t chunk_len, chunk_cap;
	size_t next, chunk_left, chunk_busy; /* the next to look at; not done; busy */
	bool asked;             /* Redis was, for the next recipients; or told that it is done */
	uint64_t again_ms;      /* after a failure: not before */
	unsigned taken_over;    /* chunks that may have been served in part by another DC */
	unsigned under_way;     /* requests to Redis that will come back to it */
	uint64_t at;            /* recipients before this chunk */
	uint64_t total;
	uint64_t counts[FAN_OUTCOMES];
	union {
		struct fan_names names;
		struct fan_filters filters;
	};

	/* Who waits for it, may be NULL: what became of recipient number `at`, from 0 on; and
	 * that all are served (or, err, that it could not be done). */
	void (*on_served)(void *ctx, uint64_t at, enum fan_outcome outcome);
	void (*on_end)(void *ctx);
	void *ctx;
};

/* Empty, in FAN_MAKING. NULL: out of memory. */
struct fan *fan_new(struct dc *dc, enum fan_kind kind, const struct send *send);
/* Its record, and so its id, from what the App sent; app_id: the App's own. */
RS_MUST_CHECK int fan_set_record(struct fan *f, const struct send *send, struct text_span app_id);
/* The id is another one: the App had sent it before. */
void fan_set_id(struct fan *f, const struct ulid *id);
void fan_free(struct fan *f);
void fan_set_state(struct fan *f, enum fan_state state);
/* Nobody waits for it any more. */
void fan_forget_waiter(struct fan *f);

/* A cursor of SSCAN means nothing to another server, nor to the same one after a restart,
 * which hashes otherwise: who has it would leave people out. The filter is read again from
 * its beginning; who was served is found a duplicate. Nothing happens to a list. */
void fan_topic_begin_anew(struct fan *f);

/* For sources. */
RS_MUST_CHECK int fan_add(struct fan *f, const char *name, size_t len);
void fan_read(struct fan *f);
void fan_read_failed(struct fan *f);
void fan_served_all(struct fan *f);

/* For the board. One that is to be served now, or NULL. */
struct recipient *fan_next(struct fan *f, uint64_t now_ms);
/* It could not be asked for: it comes again. */
void fan_put_back(struct fan *f, struct recipient *r, uint64_t now_ms);
/* What became of it; outcome FAN_OUTCOMES: it is passed over (for now). */
void fan_done(struct fan *f, struct recipient *r, enum fan_outcome outcome);
/* Notes whether it may wait in a queue now, from what place() said. */
void fan_note_placed(struct fan *f, const struct placed *r);
/* What place() said, as an outcome. */
enum fan_outcome fan_outcome_of(const struct fan *f, const struct placed *r);
/* Asks for recipients, or tells Redis that it is done, if that is what comes next. */
void fan_go_on(struct fan *f, uint64_t now_ms);

#endif
