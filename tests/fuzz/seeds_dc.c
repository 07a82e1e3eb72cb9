/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds for fuzz_dc.c. A step with its highest bit is what happens (see happen()), with
 * the number of the App's connection in bits 4 and 5; another is the answer to the
 * oldest question, of those that fit it the one with this number, or time goes on. */
#include "seeds.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	ASK = 0x80, TIME, BROKER, UNLINK, LINK, REDIS, LOSE, REFUSE, TAKE, BREAK, TEXT, END, AGAIN, BACK, ANSWER, ERROR,
	CONN = 0x10, YES = 0x40,
	REQUESTS = 23, SAYS = 9,
	MANY = 2, TOPIC = 4, RECEIPTS = 6, EVENTS = 8, RECEIPT = 1, PING = 19, AUTH = 21,
	REMOVED = 0x7f,
};

static void step(unsigned op, unsigned with)
{
	seed_byte(op);
	seed_byte(with);
}

static void answer_all(void) { step(ANSWER, 64); }

static void answers(unsigned which, unsigned count)
{
	while (count-- > 0)
		seed_byte(which);
}

/* Each request, with each of the answers there may be. */
static void requests(void)
{
	char what[32];
	for (unsigned r = 0; r < REQUESTS; r++) {
		bool is_stream = r >= RECEIPTS && r <= EVENTS;
		seed_begin();
		seed_byte(r & 1);
		for (unsigned n = 0; n < (is_stream ? 3 : SAYS); n++) {
			step(ASK + (is_stream ? n * CONN : 0), r);
			answers(n, 8);
			answer_all();
			step(TIME, 50);
			answer_all();
		}
		step(ASK, r);
		seed_byte(LOSE);
		step(ASK, r);
		seed_byte(ERROR);
		seed_byte(REFUSE);
		step(ASK, r);
		snprintf(what, sizeof what, "request-%02u", r);
		seed_end("dc", what);
	}
}

/* Fan-outs that another DC has left. */
static void taken_over(void)
{
	char what[32];
	for (unsigned claim = 0; claim < SAYS; claim++) {
		seed_begin();
		seed_byte(claim & 1);
		if (claim & 1)
			seed_byte(BACK | YES);
		for (unsigned n = 0; n < 6; n++) {
			seed_byte(90); /* a second */
			for (unsigned i = 0; i < 4; i++)
				seed_byte(1); /* there is one: ZRANGEBYSCORE is among these */
			answers(claim, 2);
			answers(n, 6);
			if (n == 3)
				seed_byte(BACK);
			answer_all();
		}
		snprintf(what, sizeof what, "fan-%u", claim);
		seed_end("dc", what);
	}
}

static void streams(void)
{
	seed_begin(); /* who comes and goes */
	seed_byte(0);
	step(ASK, EVENTS);
	step(BROKER, 3);
	step(BROKER, 7);
	for (unsigned n = 0; n < 3; n++) {
		seed_byte(UNLINK);
		step(TIME, 60);
		answers(n, 6);
		seed_byte(LINK);
		step(TIME, 60);
		answers(n, 6);
	}
	seed_byte(TAKE);
	step(BROKER, 0xf3); /* more than fits */
	step(BROKER, 3);
	seed_byte(TAKE | YES);
	step(ASK, PING);
	step(BROKER, 3);
	step(ASK, 0);
	seed_end("dc", "events");
	seed_begin(); /* receipts */
	seed_byte(0);
	step(ASK, RECEIPTS);
	seed_byte(1);
	step(ASK + CONN, RECEIPTS + 1);
	for (unsigned n = 0; n < 4; n++) {
		step(TIME, 6);
		answers(n & 1, 3);
		step(ASK + 2 * CONN, RECEIPT);
		answers(n, 5);
		step(TIME, 60);
		for (unsigned i = 0; i < 4; i++)
			seed_byte(n == i ? ERROR : i);
	}
	step(TIME, 6);
	seed_byte(BREAK);
	seed_byte(BREAK + CONN);
	seed_end("dc", "receipts");
	for (unsigned n = 0; n < 3; n++) { /* what is owed */
		char what[32];
		seed_begin();
		seed_byte(0);
		for (unsigned i = 0; i < 7; i++) {
			seed_byte(95);
			answers(0, 5 + n);
			answers(i, 4);
			if (n == 2)
				seed_byte(i & 1 ? LOSE : ERROR);
			answers(i + n, 3);
			answer_all();
		}
		snprintf(what, sizeof what, "owed-%u", n);
		seed_end("dc", what);
	}
}

/* A new connection, on which the App authenticates. */
static void begin_anew(void)
{
	seed_byte(BREAK);
	seed_byte(AGAIN);
	step(ASK, AUTH);
	seed_byte(0);
}

static void broken_streams(void)
{
	seed_begin();
	seed_byte(0);
	step(ASK, RECEIPTS);
	seed_byte(ERROR);
	begin_anew();
	step(ASK, RECEIPTS);
	seed_byte(BREAK);
	seed_byte(0);
	begin_anew();
	seed_byte(REFUSE);
	step(ASK, RECEIPTS);
	seed_byte(REFUSE);
	step(ASK + CONN, EVENTS);
	step(ASK + 2 * CONN, RECEIPTS + 1);
	for (unsigned i = 0; i < 8; i++) {
		step(TIME, 0xff);
		answers(REMOVED, 6);
		answer_all();
	}
	seed_end("dc", "broken");
	for (unsigned n = 0; n < 4; n++) { /* the DC stops amid of a message to many */
		char what[32];
		seed_begin();
		seed_byte(1);
		step(ASK, TOPIC);
		answers(0, 13 + n);
		snprintf(what, sizeof what, "left-%u", n);
		seed_end("dc", what);
	}
}

static void brokers(void)
{
	for (unsigned n = 0; n < 4; n++) {
		char what[32];
		seed_begin();
		seed_byte(0);
		for (unsigned i = 0; i < 3; i++) {
			step(BROKER, n & 1 ? 0x41 - 1 : 4 * i); /* FETCH */
			answers(1, 1);                           /* a body is elsewhere */
			answers(n, 3);
			step(BROKER, 1); /* ACK */
			answers(n, 2);
			step(BROKER, 2);
			answer_all();
			step(BROKER, 4 * i);
			answers(1, 1);
			seed_byte(n & 2 ? LOSE : ERROR);
			if (i == 1)
				seed_byte(UNLINK);
			step(BROKER, 0);
			step(TIME, 50);
			seed_byte(LINK);
		}
		snprintf(what, sizeof what, "broker-%u", n);
		seed_end("dc", what);
	}
}

static void connections(void)
{
	seed_begin(); /* not read */
	seed_byte(0);
	seed_byte(TAKE);
	step(ASK, 0xff);
	for (unsigned i = 0; i < 9; i++)
		step(TIME, 0xff);
	seed_end("dc", "stalled");
	seed_begin(); /* read late */
	seed_byte(0);
	seed_byte(TAKE);
	step(ASK, 0xff);
	seed_byte(TAKE | YES);
	step(ASK, PING);
	seed_end("dc", "drains");
	seed_begin(); /* no place for one more message to many */
	seed_byte(1);
	for (unsigned c = 0; c < 3; c++)
		for (unsigned i = 0; i < 2; i++) {
			step(ASK + c * CONN, MANY + 1);
			step(TIME, 50);
		}
	seed_byte(LOSE);
	answer_all();
	step(TIME, 50);
	answer_all();
	seed_end("dc", "many-at-once");
	seed_begin(); /* fan-outs that are under way */
	seed_byte(1);
	step(ASK, TOPIC);
	answer_all();
	step(ASK, MANY);
	answers(0, 6);
	seed_byte(BACK);
	for (unsigned i = 0; i < 8; i++) {
		step(TIME, 60);
		answers(i, 4);
	}
	seed_end("dc", "under-way");
	seed_begin();
	seed_byte(0);
	seed_byte(END);
	seed_byte(BREAK + CONN);
	seed_byte(AGAIN);
	seed_byte(TEXT);
	seed_piece("SEND 1\nto a\nlength 9\n\nx", 23);
	for (unsigned i = 0; i < 8; i++)
		step(TIME, 0xff);
	seed_byte(REDIS);
	seed_piece(":1\r\n", 4);
	seed_end("dc", "ends");
}

void seeds_dc(void)
{
	requests();
	taken_over();
	streams();
	broken_streams();
	brokers();
	connections();
}
