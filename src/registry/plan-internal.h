/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the plan share, and nobody else sees. */

#include "registry/plan.h"

#define BACKOFF_MIN_USEC (1 * USEC_PER_SEC)
#define BACKOFF_MAX_USEC (5 * USEC_PER_MINUTE)
/* How long an unsigned message counts as one that may still be applied. */
#define UNBOUNDED_SEC 86400U

RB_PROTOTYPE(unit_tree, unit, by_owner, compare_unit)

static inline struct plan_lane *unit_lane(const struct unit *unit)
{
        return &unit->plan->lanes[unit->lane];
}

/* What a part needs next, in the order in which a unit sees to it. */
enum part_need {
        NEED_NOTHING,
        NEED_BARRIER, /* it is as wanted, or refused, but not settled */
        NEED_TRIM,    /* settled: the row says more than is so */
        NEED_SEND,
        NEED_ROW, /* to be durable before it is sent */
        NEED_LOOK,
        NEED_WRITE, /* is being written */
};

/* --- plan-part.c --- */
struct unit_part *part_new(struct unit *unit, uint16_t type, const struct rrset_item *rr);
void part_free(struct unit_part *part);
struct unit_part *part_find(const struct unit *unit, const struct rrset_item *item);
int part_find_value(const struct unit_part *part, const struct rrset *value); /* index or -1 */
/* Index, -ENOMEM, -ENOSPC (the list is full). */
int part_add_value(struct unit_part *part, const struct rrset *value);
/* The part of a set that is this part's business, as a view. */
struct rrset part_view(const struct unit_part *part, const struct rrset *set);
bool part_in_sync(const struct unit_part *part);
bool part_is_harmless(const struct unit_part *part);
enum part_need part_need(const struct unit_part *part);
/* Makes room for what the next message may leave behind. 0, -ENOMEM, -ENOSPC. */
int part_prepare(struct unit_part *part);
/* The step under way is in doubt from now on. */
void part_doubt(struct unit_part *part, const struct plan_batch *batch);
void part_doubt_start(struct unit_part *part);
/* An answer to a barrier that was sent with this batch. */
void part_settle(struct unit_part *part, const struct plan_batch *batch, usec_t now_usec);
/* Without doubt, what is known is all that the row has to say. */
void part_trim(struct unit_part *part);
usec_t part_due(const struct unit_part *part); /* when all its doubts are; USEC_INFINITY: none */
/* Begin a write of the row; how it ends is told to unit_row_written(). 0 or -errno. */
int part_store(struct unit_part *part);
int part_load(struct unit_part *part, const struct unit_row *row);
int rrset_replace(struct rrset *to, const struct rrset *from); /* 0 or -ENOMEM, nothing changed */

/* --- plan.c --- */
struct unit *unit_new(struct plan *plan, unsigned lane, const struct dns_name *owner); /* NULL: no memory */
void unit_destroy(struct unit *unit);
void unit_leave_queue(struct unit *unit);
void unit_count_refused(struct unit *unit);
void unit_count_settling(struct unit *unit, bool settling);
void unit_set_error(struct unit *unit, const char *reason);
bool unit_is_accepted(const struct unit *unit);
bool unit_wants_anything(const struct unit *unit);
/* plan_ops.adopts(). */
bool part_may_adopt(const struct unit_part *part);

/* --- plan-waiter.c --- */
void waiter_unlink(struct plan_waiter *waiter);
void unit_end_waiters(struct unit *unit, uint32_t generation, enum wait_outcome outcome, const char *reason);
/* Tells those who wait for what is there now. */
void unit_tell(struct unit *unit);
bool unit_in_sync(const struct unit *unit);

/* --- plan-route.c --- */
/* Puts the unit where its next step is made; may destroy it. */
void unit_route(struct unit *unit);
/* The same, before all others. */
void unit_route_first(struct unit *unit);
void unit_hold(struct unit *unit, usec_t until_usec);
void unit_row_written(struct unit_part *part, int error);

/* --- plan-answer.c --- */
usec_t plan_backoff_usec(struct plan *plan, unsigned failures);
void plan_fail_lane(struct plan *plan, unsigned index, const char *reason, usec_t now_usec);
void plan_succeed_lane(struct plan *plan, unsigned index);
/* The server has something against this unit alone. */
void unit_reject(struct unit *unit, const char *reason, usec_t now_usec);
/* Foreign data. "part" NULL: at the name as a whole. */
void unit_refuse(struct unit *unit, struct unit_part *refused, const char *reason);

/* A message with this unit was lost, perhaps as it was too large. */
void unit_suspect_size(struct unit *unit, const struct plan_batch *batch);

/* --- plan-look.c --- */
/* Begins to look: with what is expected, or at once with a query. */
void unit_look_at(struct unit *unit, enum unit_look look);
/* The parts that the look under way is about. */
bool part_is_looked_at(const struct unit_part *part);
/* Makes unit->sending of what is expected. 0 or -ENOMEM. */
int look_prepare(struct unit *unit);
void look_finish(struct unit *unit, const struct plan_batch *batch, enum plan_outcome outcome,
                 const char *reason, usec_t now_usec);
void look_answer(struct unit *unit, const struct plan_batch *batch, const struct rrset *found, bool alias,
                 usec_t now_usec);
