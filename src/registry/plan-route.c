/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a unit's next step is: in which queue it waits, or until when. */

#include "registry/plan-internal.h"

void unit_hold(struct unit *unit, usec_t until_usec)
{
        unit_leave_queue(unit);
        /* There is room for every unit. */
        (void) heap_put(&unit->plan->retries, &unit->retry, until_usec);
}

static void enqueue(struct unit *unit, enum plan_action action, bool first)
{
        struct unit_list *queue = &unit_lane(unit)->queues[action];

        if (unit->queue == queue)
                return;
        unit_leave_queue(unit);
        if (first)
                TAILQ_INSERT_HEAD(queue, unit, by_queue);
        else
                TAILQ_INSERT_TAIL(queue, unit, by_queue);
        unit->queue = queue;
}

/* Before anything is sent its row: a crash must not leave records that nobody knows of. */
static int write_row(struct unit_part *part)
{
        int i = part_add_value(part, &part->wanted);

        /* Values that were listed and never sent go first. */
        if (i == -ENOSPC && part->n_doubts == 0) {
                part_trim(part);
                i = part_add_value(part, &part->wanted);
        }
        if (i == -ENOSPC) {
                part->full = true;
                return 0;
        }
        return i < 0 ? i : part_store(part);
}

static void write_rows(struct unit *unit, enum part_need need)
{
        int r = 0;

        unit_leave_queue(unit);
        FOREACH_PART (part, unit) {
                int k = 0;

                if (part_need(part) != need)
                        continue;
                if (need == NEED_TRIM) {
                        part_trim(part);
                        k = part_store(part);
                } else
                        k = write_row(part);
                r = r < 0 ? r : k;
        }
        /* Memory is out: what is written goes on, the rest is tried again. */
        if (r < 0)
                unit_hold(unit, unit->plan->now_usec + BACKOFF_MIN_USEC);
}

static enum part_need unit_need(const struct unit *unit)
{
        enum part_need most = NEED_NOTHING;

        FOREACH_PART (part, unit)
                most = MAX(most, part_need(part));
        return most;
}

static bool must_probe(const struct unit *unit)
{
        return unit->plan->options.probe && !unit->probed && !unit_is_accepted(unit) &&
               unit_wants_anything(unit);
}

/* Something like ours may be there before ours is. Once ours was sent without an answer the two cannot be
 * told apart, so it is looked first. */
static bool must_look_first(const struct unit_part *part)
{
        const struct plan_options *options = &part->unit->plan->options;

        return options->look_first && options->protect_foreign && !part->seen && !part->accepted &&
               !part->stored && part->known >= 0 && rrset_is_empty(&part->values[part->known]) &&
               !rrset_is_empty(&part->wanted);
}

/* Where what is there is adopted, it is all of it: addresses of a type that is not ours are in the way as
 * well. 0 or -ENOMEM. */
static int add_adopted(struct unit *unit)
{
        static const uint16_t types[] = { DNS_TYPE_A, DNS_TYPE_AAAA };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                const struct rrset_item any = { .type = types[i] };

                if (!part_find(unit, &any) && !part_new(unit, types[i], NULL))
                        return -ENOMEM;
        }
        return 0;
}

static bool is_untouched(const struct unit_part *part)
{
        return !part->stored && !part->accepted && part->known >= 0 &&
               rrset_is_empty(&part->values[part->known]);
}

/* 1: there is something to be looked at first; 0; -ENOMEM. */
static int look_first(struct unit *unit)
{
        bool any = false, adopts;

        FOREACH_PART (part, unit)
                any |= must_look_first(part);
        if (!any)
                return 0;
        adopts = unit_mode(unit) == UNIT_EXCLUSIVE && part_may_adopt(unit->parts);
        if (adopts && add_adopted(unit) < 0)
                return -ENOMEM;
        FOREACH_PART (part, unit) {
                if (!must_look_first(part) && !(adopts && is_untouched(part)))
                        continue;
                /* Until a look has ended nothing is known, and nothing is sent. */
                part->known = VALUE_UNKNOWN;
                part->seen = true;
        }
        return 1;
}

/* Part of it was never accepted: a message of those, so that one that is refused delays nobody else's. */
static bool unit_is_first(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (part_need(part) == NEED_SEND && !part->accepted)
                        return true;
        return false;
}

static void enqueue_look(struct unit *unit, bool first)
{
        bool verify = unit->plan->options.verify && unit->look != LOOK_QUERY;

        enqueue(unit, verify ? PLAN_VERIFY : PLAN_QUERY, first);
}

/* As it is wanted, as far as anything is to be done for it: a barrier when it may be one, else the end. */
static void rest(struct unit *unit, enum part_need need, bool first)
{
        usec_t due_usec = 0;

        unit_leave_queue(unit);
        if (need == NEED_BARRIER) {
                FOREACH_PART (part, unit)
                        if (part->n_doubts > 0)
                                due_usec = MAX(due_usec, part_due(part));
                if (due_usec <= unit->plan->now_usec) {
                        unit_look_at(unit, LOOK_EXPECT);
                        enqueue_look(unit, first);
                        return;
                }
                unit_count_settling(unit, !unit->rejected);
                (void) heap_put(&unit->plan->settles, &unit->settle, due_usec); /* there is room for all */
                return;
        }
        if (!unit->rejected || !unit_wants_anything(unit))
                unit_destroy(unit);
}

static void route(struct unit *unit, bool first)
{
        enum part_need need;
        int r;

        unit_count_settling(unit, false);
        if (unit->in_flight || heap_contains(&unit->retry) || unit->plan->loading) {
                unit_leave_queue(unit);
                return;
        }
        need = unit_need(unit);
        if (unit->look != LOOK_NOT && need != NEED_WRITE) {
                enqueue_look(unit, first);
                return;
        }
        switch (need) {
        case NEED_WRITE:
                unit_leave_queue(unit);
                return;
        case NEED_LOOK:
                unit_look_at(unit, LOOK_EXPECT);
                enqueue_look(unit, first);
                return;
        case NEED_ROW:
        case NEED_SEND:
                if (must_probe(unit)) {
                        enqueue(unit, PLAN_PROBE, first);
                        return;
                }
                r = look_first(unit);
                if (r < 0) {
                        unit_hold(unit, unit->plan->now_usec + BACKOFF_MIN_USEC);
                        return;
                }
                if (r > 0) {
                        route(unit, first);
                        return;
                }
                if (need == NEED_ROW) {
                        write_rows(unit, NEED_ROW);
                        if (unit_need(unit) != NEED_ROW && unit_need(unit) != NEED_WRITE)
                                route(unit, first); /* the list of values is full */
                        return;
                }
                enqueue(unit, unit_is_first(unit) ? PLAN_FIRST : PLAN_REPLACE, first);
                return;
        case NEED_TRIM:
                unit_tell(unit);
                write_rows(unit, NEED_TRIM);
                return;
        case NEED_BARRIER:
        case NEED_NOTHING:
                unit_tell(unit);
                rest(unit, need, first);
                return;
        }
}

void unit_route(struct unit *unit)
{
        route(unit, false);
}

void unit_route_first(struct unit *unit)
{
        route(unit, true);
}

void unit_row_written(struct unit_part *part, int error)
{
        struct unit *unit = part->unit;
        struct plan *plan = unit->plan;

        if (error < 0) {
                part->changed |= part->writing;
                part->writing = part->deleting = false;
                /* The disk is full or broken: nothing is sent before the row stands. */
                unit_hold(unit, plan->now_usec + BACKOFF_MIN_USEC);
                if (!unit_in_sync(unit)) {
                        unit_set_error(unit, "the registrar could not store what it is about to publish");
                        unit_end_waiters(unit, unit->generation, WAIT_FAILED, unit->error);
                }
        } else {
                if (part->deleting) {
                        free(part->row_zone);
                        part->row_zone = NULL;
                        part->stored = part->changed = part->seen = false;
                }
                part->writing = part->deleting = false;
                unit_route(unit);
        }
        plan->ops->ready(plan->userdata);
}
