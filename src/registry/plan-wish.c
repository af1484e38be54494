/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is wanted of units: changes, the rows of the last life, looking and publishing again. */

#include "registry/plan-internal.h"

/* --- wishes --- */

/* Parts for all that is in a set. Those that are new have nothing, and nothing is wanted of them. */
static int add_parts(struct unit *unit, const struct rrset *set)
{
        struct rrset_item item;
        uint32_t position = 0;

        while (rrset_next(set, &position, &item))
                if (!part_find(unit, &item) &&
                    !part_new(unit, item.type, unit_mode(unit) == UNIT_SHARED ? &item : NULL))
                        return -ENOMEM;
        return 0;
}

/* All parts as they are in the set, in the store and at the upstream. */
static int assume(struct unit *unit, const struct rrset *published)
{
        int r = add_parts(unit, published);

        FOREACH_PART (part, unit) {
                struct rrset view = part_view(part, published);

                if (r < 0)
                        return r;
                if (rrset_is_empty(&view))
                        continue;
                r = rrset_copy(&part->values[0], &view);
                part->stored = part->accepted = true;
        }
        return r;
}

/* What the parts are to be, all or none. */
static int set_wanted(struct unit *unit, const struct rrset *wanted)
{
        _cleanup_free_ struct rrset *copies = NULL;
        unsigned n_parts = 0, n = 0;
        int r = add_parts(unit, wanted);

        FOREACH_PART (part, unit)
                n_parts++;
        copies = reallocarray(NULL, n_parts + 1, sizeof(*copies));
        if (r < 0 || !copies)
                return -ENOMEM;
        FOREACH_PART (part, unit) {
                struct rrset view = part_view(part, wanted);

                r = rrset_copy(&copies[n], &view);
                if (r < 0)
                        break;
                n++;
        }
        if (r < 0) {
                while (n > 0)
                        rrset_clear(&copies[--n]);
                return r;
        }
        n = 0;
        FOREACH_PART (part, unit) {
                rrset_clear(&part->wanted);
                part->wanted = copies[n++];
        }
        return 0;
}

static int wish(struct unit *unit, const struct rrset *wanted)
{
        int r = set_wanted(unit, wanted);

        if (r < 0)
                return r;
        unit->generation++;
        /* Whatever was said against the unit was said against another wish. */
        FOREACH_PART (part, unit) {
                part->refused = part->full = false;
                if (part->known == VALUE_OTHER && !rrset_is_empty(&part->wanted))
                        part->known = part->stored ? VALUE_UNKNOWN : 0;
        }
        unit_count_refused(unit);
        heap_remove(&unit->plan->retries, &unit->retry);
        unit->attempts = unit->n_refutals = 0;
        unit_set_error(unit, NULL);
        unit_route(unit);
        return 0;
}

static bool is_wanted(const struct unit *unit, const struct rrset *wanted)
{
        struct rrset_item item;
        uint32_t position = 0;

        while (rrset_next(wanted, &position, &item))
                if (!part_find(unit, &item))
                        return false;
        FOREACH_PART (part, unit) {
                struct rrset view = part_view(part, wanted);

                if (!rrset_equal(&part->wanted, &view))
                        return false;
        }
        return true;
}

int plan_change(struct plan *plan, unsigned lane, const struct dns_name *owner, const struct rrset *before,
                const struct rrset *wanted)
{
        struct unit *unit = plan_find(plan, lane, owner);
        bool is_new = !unit;
        int r = 0;

        if (unit ? is_wanted(unit, wanted) : rrset_equal(before, wanted))
                return 0;
        if (!unit) {
                unit = unit_new(plan, lane, owner);
                if (!unit)
                        return -ENOMEM;
                r = assume(unit, before);
        }
        if (r >= 0)
                r = wish(unit, wanted);
        if (r < 0 && is_new)
                unit_destroy(unit);
        return r;
}

/* --- start --- */

void plan_load_begin(struct plan *plan)
{
        plan->loading = true;
}

/* Rows come in the order of their owners: when another one's come, a unit that is as wanted is forgotten, so
 * that not all are in memory at once. One whose row is keyed otherwise than its lane is may have more. */
static void forget_loaded(struct plan *plan, const struct unit *next)
{
        struct unit *unit = plan->loaded;

        if (unit == next)
                return;
        plan->loaded = NULL;
        if (!unit)
                return;
        FOREACH_PART (part, unit)
                if (part_need(part) != NEED_NOTHING || part->row_zone)
                        return;
        unit_destroy(unit);
}

int plan_load(struct plan *plan, unsigned lane, const struct unit_row *row)
{
        struct rrset_item item = { .type = row->type,
                                   .rdata = row->rdata,
                                   .length = (uint16_t) row->rdata_size };
        struct unit *unit = plan_find(plan, lane, &row->owner);
        struct unit_part *part;
        int r;

        if (!unit)
                unit = unit_new(plan, lane, &row->owner);
        if (!unit)
                return -ENOMEM;
        part = part_find(unit, &item);
        if (!part)
                part = part_new(unit, row->type, plan->lanes[lane].mode == UNIT_SHARED ? &item : NULL);
        if (!part)
                return -ENOMEM;
        /* One that was made in another zone of this upstream, and that this one has taken the place of. */
        if (part->stored)
                return 0;
        r = part_load(part, row);
        if (r < 0)
                return r;
        plan->was_accepted |= part->accepted;
        forget_loaded(plan, unit);
        plan->loaded = unit;
        return 0;
}

void plan_load_done(struct plan *plan, usec_t now_usec)
{
        struct unit *unit, *next;

        plan->loading = false;
        plan->loaded = NULL;
        plan->now_usec = now_usec;
        RB_FOREACH_SAFE (unit, unit_tree, &plan->units, next)
                unit_route(unit);
}

/* --- reconciliation --- */

static int add_published(struct plan *plan, unsigned lane, const struct dns_name *owner,
                         const struct rrset *wanted, struct unit **ret)
{
        struct unit *unit = unit_new(plan, lane, owner);
        int r = unit ? assume(unit, wanted) : -ENOMEM;

        if (r >= 0)
                r = set_wanted(unit, wanted);
        if (r < 0) {
                if (unit)
                        unit_destroy(unit);
                return r;
        }
        *ret = unit;
        return 0;
}

/* What was refused may be tried again. */
static void lift(struct unit *unit)
{
        FOREACH_PART (part, unit) {
                part->refused = false;
                if (part->known == VALUE_OTHER)
                        part->known = part->stored ? VALUE_UNKNOWN : 0;
        }
        unit->n_refutals = 0;
        unit_count_refused(unit);
        unit_route(unit);
}

int plan_check(struct plan *plan, unsigned lane, const struct dns_name *owner, const struct rrset *wanted)
{
        struct unit *unit = plan_find(plan, lane, owner);
        int r;

        /* What is under way is looked at anyway. */
        if (unit && unit->rejected)
                lift(unit);
        if (unit || rrset_is_empty(wanted))
                return 0;
        r = add_published(plan, lane, owner, wanted, &unit);
        if (r < 0)
                return r;
        unit_look_at(unit, LOOK_EXPECT);
        unit_route(unit);
        return 0;
}

int plan_republish(struct plan *plan, unsigned lane, const struct dns_name *owner, const struct rrset *wanted)
{
        struct unit *unit = plan_find(plan, lane, owner);
        int r;

        if (!unit && rrset_is_empty(wanted))
                return 0;
        if (!unit) {
                r = add_published(plan, lane, owner, wanted, &unit);
                if (r < 0)
                        return r;
        }
        FOREACH_PART (part, unit)
                if (!rrset_is_empty(&part->wanted) && !part->refused)
                        part->again = true;
        unit_route(unit);
        return 0;
}

unsigned plan_pending(const struct plan *plan)
{
        return plan->n_units - plan->n_refused - plan->n_settling;
}

void plan_flush(struct plan *plan)
{
        struct heap_node *node;
        struct unit *unit, *next;

        for (unsigned i = 0; i < plan->n_lanes; i++)
                plan->lanes[i].backoff_until_usec = 0;
        while ((node = heap_first(&plan->retries))) {
                unit = container_of(node, struct unit, retry);
                heap_remove(&plan->retries, node);
                unit_route(unit);
        }
        if (plan->n_refused == 0)
                return;
        RB_FOREACH_SAFE (unit, unit_tree, &plan->units, next)
                if (unit->rejected)
                        lift(unit);
}
