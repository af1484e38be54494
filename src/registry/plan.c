/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/plan-internal.h"

static int compare_unit(const struct unit *a, const struct unit *b)
{
        if (a->lane != b->lane)
                return a->lane < b->lane ? -1 : 1;
        if (a->owner_length != b->owner_length)
                return a->owner_length < b->owner_length ? -1 : 1;
        return memcmp(a->owner, b->owner, a->owner_length);
}

RB_GENERATE(unit_tree, unit, by_owner, compare_unit)

/* --- life --- */

struct plan *plan_new(const struct plan_options *options, const struct plan_ops *ops, void *userdata,
                      uint64_t seed)
{
        struct plan *plan = calloc(1, sizeof(*plan));

        if (!plan)
                return NULL;
        plan->options = *options;
        plan->ops = ops;
        plan->userdata = userdata;
        plan->random = seed | 1;
        RB_INIT(&plan->units);
        return plan;
}

void unit_leave_queue(struct unit *unit)
{
        if (unit->queue)
                TAILQ_REMOVE(unit->queue, unit, by_queue);
        unit->queue = NULL;
}

void unit_count_settling(struct unit *unit, bool settling)
{
        unit->plan->n_settling += (unsigned) settling - (unsigned) unit->settling;
        unit->settling = settling;
        if (!settling)
                heap_remove(&unit->plan->settles, &unit->settle);
}

void unit_count_refused(struct unit *unit)
{
        bool rejected = false;

        FOREACH_PART (part, unit)
                rejected |= part->refused;
        unit->plan->n_refused += (unsigned) rejected - (unsigned) unit->rejected;
        unit->rejected = rejected;
}

void unit_destroy(struct unit *unit)
{
        struct plan *plan = unit->plan;
        struct unit_part *part;

        unit_leave_queue(unit);
        unit_count_settling(unit, false);
        heap_remove(&plan->retries, &unit->retry);
        RB_REMOVE(unit_tree, &plan->units, unit);
        plan->n_units--;
        plan->n_refused -= unit->rejected;
        while (!LIST_EMPTY(&unit->waiters))
                waiter_unlink(LIST_FIRST(&unit->waiters));
        while ((part = unit->parts)) {
                unit->parts = part->next;
                part_free(part);
        }
        rrset_clear(&unit->sending);
        rrset_clear(&unit->found);
        free(unit->error);
        free(unit);
}

struct plan *plan_free(struct plan *plan)
{
        struct unit *unit, *next;

        if (!plan)
                return NULL;
        RB_FOREACH_SAFE (unit, unit_tree, &plan->units, next)
                unit_destroy(unit);
        for (unsigned i = 0; i < plan->n_lanes; i++)
                free(plan->lanes[i].error);
        free(plan->lanes);
        heap_clear(&plan->retries);
        heap_clear(&plan->settles);
        free(plan);
        return NULL;
}

/* Heads of queues point into themselves: they are moved, not copied. */
static void lane_move(struct plan_lane *to, struct plan_lane *from)
{
        *to = *from;
        for (unsigned i = 0; i < _PLAN_ACTIONS; i++) {
                struct unit *unit;

                TAILQ_INIT(&to->queues[i]);
                TAILQ_CONCAT(&to->queues[i], &from->queues[i], by_queue);
                TAILQ_FOREACH (unit, &to->queues[i], by_queue)
                        unit->queue = &to->queues[i];
        }
        LIST_INIT(&to->waiters);
        LIST_SWAP(&to->waiters, &from->waiters, plan_waiter, by_lane);
}

int plan_add_lane(struct plan *plan, enum unit_mode mode, const struct dns_name *zone)
{
        struct plan_lane *lanes = calloc(plan->n_lanes + 1, sizeof(*lanes)), *lane;

        if (!lanes)
                return -ENOMEM;
        for (unsigned i = 0; i < plan->n_lanes; i++)
                lane_move(&lanes[i], &plan->lanes[i]);
        free(plan->lanes);
        plan->lanes = lanes;
        lane = &lanes[plan->n_lanes];
        lane->zone = *zone;
        lane->mode = mode;
        for (unsigned i = 0; i < _PLAN_ACTIONS; i++)
                TAILQ_INIT(&lane->queues[i]);
        LIST_INIT(&lane->waiters);
        return (int) plan->n_lanes++;
}

struct dns_name unit_owner(const struct unit *unit)
{
        struct dns_name name = { .length = unit->owner_length };

        memcpy(name.wire, unit->owner, unit->owner_length);
        return name;
}

enum unit_mode unit_mode(const struct unit *unit)
{
        return unit->plan->lanes[unit->lane].mode;
}

/* A search key with the room of the longest name behind it. */
struct unit_key {
        struct unit unit;
        uint8_t owner[DNS_NAME_MAX];
};

struct unit *plan_find(const struct plan *plan, unsigned lane, const struct dns_name *owner)
{
        struct unit_key *key = &(struct unit_key){ .unit.lane = lane, .unit.owner_length = owner->length };

        memcpy((uint8_t *) key + offsetof(struct unit, owner), owner->wire, owner->length);
        return RB_FIND(unit_tree, (struct unit_tree *) &plan->units, &key->unit);
}

struct unit *unit_new(struct plan *plan, unsigned lane, const struct dns_name *owner)
{
        struct unit *unit;

        if (heap_reserve(&plan->retries, plan->n_units + 1) < 0 ||
            heap_reserve(&plan->settles, plan->n_units + 1) < 0)
                return NULL;
        unit = calloc(1, sizeof(*unit) + owner->length);
        if (!unit)
                return NULL;
        unit->plan = plan;
        unit->lane = lane;
        unit->retry = unit->settle = HEAP_NODE_INIT;
        unit->owner_length = owner->length;
        memcpy(unit->owner, owner->wire, owner->length);
        LIST_INIT(&unit->waiters);
        RB_INSERT(unit_tree, &plan->units, unit);
        plan->n_units++;
        return unit;
}

bool unit_is_accepted(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (part->accepted)
                        return true;
        return false;
}

bool unit_wants_anything(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (!rrset_is_empty(&part->wanted))
                        return true;
        return false;
}

void unit_set_error(struct unit *unit, const char *reason)
{
        free(unit->error);
        unit->error = reason ? strdup(reason) : NULL;
}
