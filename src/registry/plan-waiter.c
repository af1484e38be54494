/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who waits for a unit, and when what they wait for is so. */

#include "registry/plan-internal.h"

void waiter_unlink(struct plan_waiter *waiter)
{
        LIST_REMOVE(waiter, by_unit);
        LIST_REMOVE(waiter, by_lane);
        waiter->unit = NULL;
}

void unit_end_waiters(struct unit *unit, uint32_t generation, enum wait_outcome outcome, const char *reason)
{
        struct plan *plan = unit->plan;
        struct plan_waiter_list ended;
        struct plan_waiter *waiter, *next;

        /* Whoever is told may cancel others: those to be told are in a list of their own, which they leave
         * by that. */
        LIST_INIT(&ended);
        LIST_FOREACH_SAFE (waiter, &unit->waiters, by_unit, next) {
                if ((int32_t) (waiter->generation - generation) > 0)
                        continue;
                LIST_REMOVE(waiter, by_unit);
                LIST_INSERT_HEAD(&ended, waiter, by_unit);
        }
        while ((waiter = LIST_FIRST(&ended))) {
                waiter_unlink(waiter);
                plan->ops->waited(plan->userdata, waiter, outcome, reason);
        }
}

void plan_wait(struct unit *unit, struct plan_waiter *waiter)
{
        waiter->unit = unit;
        waiter->generation = unit->generation;
        LIST_INSERT_HEAD(&unit->waiters, waiter, by_unit);
        LIST_INSERT_HEAD(&unit_lane(unit)->waiters, waiter, by_lane);
}

void plan_waiter_cancel(struct plan_waiter *waiter)
{
        if (waiter->unit)
                waiter_unlink(waiter);
}

bool unit_in_sync(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (!part_in_sync(part) || part->refused)
                        return false;
        return true;
}

bool unit_is_uncertain(const struct unit *unit)
{
        if (!unit_in_sync(unit))
                return false;
        FOREACH_PART (part, unit)
                if (!part_is_harmless(part))
                        return true;
        return false;
}

bool unit_is_published(const struct unit *unit)
{
        return unit_in_sync(unit) && !unit_is_uncertain(unit) && !unit->read_back;
}

bool unit_is_done(const struct unit *unit)
{
        if (unit_mode(unit) == UNIT_EXCLUSIVE)
                return unit_is_published(unit);
        FOREACH_PART (part, unit)
                if (!part->refused && (!part_in_sync(part) || !part_is_harmless(part)))
                        return false;
        return true;
}

void unit_tell(struct unit *unit)
{
        if (unit_is_done(unit))
                unit_end_waiters(unit, unit->generation, WAIT_PUBLISHED, NULL);
}

const char *unit_trouble(const struct unit *unit, usec_t now_usec)
{
        const struct plan_lane *lane = unit_lane(unit);

        if (unit->rejected || heap_contains(&unit->retry))
                return unit->error ?: "the server refused this name";
        if (lane->backoff_until_usec > now_usec)
                return lane->error ?: "the server is not reachable";
        return NULL;
}
