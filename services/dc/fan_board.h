/* SPDX-License-Identifier: Apache-2.0 */
/* The fan-outs that this DC carries out. They share fan_in_flight requests to Redis,
 * one recipient of each in turn, so that neither single messages nor each other wait
 * long. Each second the board renews their leases and looks for those of DCs that are
 * gone. */
#ifndef DC_FAN_BOARD_H
#define DC_FAN_BOARD_H

#include "fan.h"

#define FAN_BOARD_MAX 256 /* fan-outs at a time; more wait in Redis for whoever has room */

RS_MUST_CHECK int fan_board_new(struct fan_board **out, struct dc *dc);
/* It may be another server, or one that was started anew. */
void fan_board_redis_is_back(struct fan_board *b);
/* Gives the fan-outs away that nobody waits for, and takes no more. */
void fan_board_stop(struct fan_board *b);
/* After Redis, which may still answer for them. */
void fan_board_free(struct fan_board *b);
void fan_board_metrics(const struct fan_board *b, struct metrics *m);

bool fan_board_has_room(const struct fan_board *b);
/* Takes one over, made and in FAN_READING or beyond. */
void fan_board_add(struct fan_board *b, struct fan *f);
/* A claim is under way; it came to this, NULL: to nothing. */
void fan_board_claims(struct fan_board *b);
void fan_board_claimed(struct fan_board *b, struct fan *f);
/* At the end of this turn of the loop: serves whom there is room for. */
void fan_board_turn(struct fan_board *b);
void fan_board_count(struct fan_board *b, enum fan_outcome outcome);

#endif
