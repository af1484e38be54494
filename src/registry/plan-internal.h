/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the plan share, and nobody else sees. */

#include "registry/plan.h"

#define BACKOFF_MIN_USEC (1 * USEC_PER_SEC)
#define BACKOFF_MAX_USEC (5 * USEC_PER_MINUTE)

/* Units whose message was rejected, to be tried in smaller messages until the guilty one is alone. */
struct unit_group {
        TAILQ_ENTRY(unit_group) by_lane;
        unsigned n_units;
        struct unit *units[]; /* NULL: left the group */
};

RB_PROTOTYPE(unit_tree, unit, by_owner, compare_unit)

static inline struct plan_lane *unit_lane(const struct unit *unit)
{
        return &unit->plan->lanes[unit->lane];
}

/* plan.c */
void waiter_unlink(struct plan_waiter *waiter);
void unit_leave_queue(struct unit *unit);
void unit_leave_group(struct unit *unit);
void unit_end_waiters(struct unit *unit, uint32_t generation, enum wait_outcome outcome, const char *reason);
void unit_set_error(struct unit *unit, const char *reason);
void unit_set_refused(struct unit *unit, bool refused);
void unit_write_row(struct unit *unit, enum row_state row, bool wait);
void unit_delete_row(struct unit *unit);
int rrset_replace(struct rrset *to, const struct rrset *from); /* 0 or -ENOMEM, nothing changed */
/* What the unit would be sent as now, were it not in a group; -1: nothing. */
int unit_action(const struct unit *unit);
/* Puts the unit where its next step is made; may destroy it. */
void unit_route(struct unit *unit);

/* plan-answer.c */
usec_t plan_backoff_usec(struct plan *plan, unsigned failures);
