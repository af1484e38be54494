/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/plan-internal.h"

/* --- sending --- */

/* Octets a unit takes in a message, without compression: deletions, prerequisites, records. */
static size_t unit_size(const struct unit *unit, enum plan_action action)
{
        size_t fixed = unit->owner_length + 10U, n = 2;
        struct rrset_item item;
        uint32_t position = 0;
        size_t size = 0;

        if (action == PLAN_FIRST)
                n += 4;
        size += n * fixed;
        while (rrset_next(&unit->wanted, &position, &item))
                size += fixed + item.length;
        position = 0;
        while (unit->kind == UNIT_PTR && rrset_next(&unit->row_set, &position, &item))
                size += fixed + item.length;
        return size;
}

/* What a verification expects: of a doubtful row its set, else what was published. */
static const struct rrset *expected(const struct unit *unit)
{
        return unit->row == ROW_DOUBTFUL ? &unit->row_set : &unit->published;
}

static bool take_unit(struct plan_batch *batch, struct unit *unit, enum plan_action action)
{
        if (action != PLAN_QUERY &&
            rrset_replace(&unit->sending, action == PLAN_VERIFY ? expected(unit) : &unit->wanted) < 0)
                return false;
        unit_leave_queue(unit);
        unit_leave_group(unit);
        unit->in_flight = true;
        unit->sending_generation = unit->generation;
        batch->units[batch->n_units++] = unit;
        return true;
}

static struct plan_batch *batch_new(struct plan *plan, unsigned lane, enum plan_action action, unsigned n)
{
        struct plan_batch *batch = malloc(sizeof(*batch) + n * sizeof(batch->units[0]));

        if (batch)
                *batch = (struct plan_batch){ .plan = plan, .action = action, .lane = lane };
        return batch;
}

static void batch_sent(struct plan_batch *batch)
{
        batch->plan->n_in_flight++;
        batch->plan->lanes[batch->lane].n_in_flight++;
}

static struct plan_batch *next_group(struct plan *plan, unsigned index)
{
        struct plan_lane *lane = &plan->lanes[index];
        struct unit_group *group;

        while ((group = TAILQ_FIRST(&lane->groups))) {
                struct plan_batch *batch = batch_new(plan, index, PLAN_REPLACE, group->n_units);
                int action = -1;

                if (!batch)
                        return NULL;
                TAILQ_REMOVE(&lane->groups, group, by_lane);
                for (unsigned i = 0; i < group->n_units; i++) {
                        struct unit *unit = group->units[i];

                        if (!unit)
                                continue;
                        unit->group = NULL;
                        if (action < 0)
                                action = unit_action(unit);
                        /* One that changed in the meantime goes its own way. */
                        if (action < 0 || unit_action(unit) != action ||
                            !take_unit(batch, unit, (enum plan_action) action))
                                unit_route(unit);
                }
                free(group);
                if (batch->n_units > 0) {
                        batch->action = (enum plan_action) action;
                        return batch;
                }
                free(batch);
        }
        return NULL;
}

static struct plan_batch *next_queued(struct plan *plan, unsigned index, enum plan_action action)
{
        struct unit_list *queue = &plan->lanes[index].queues[action];
        struct plan_batch *batch;
        size_t size = 0;
        struct unit *unit;

        if (TAILQ_EMPTY(queue))
                return NULL;
        batch = batch_new(plan, index, action, plan->options.max_units);
        if (!batch)
                return NULL;
        while (batch->n_units < plan->options.max_units && (unit = TAILQ_FIRST(queue))) {
                size += unit_size(unit, action);
                if (batch->n_units > 0 && size > plan->options.max_bytes)
                        break;
                if (!take_unit(batch, unit, action))
                        break;
        }
        if (batch->n_units > 0)
                return batch;
        free(batch);
        return NULL;
}

static void retry_due(struct plan *plan, usec_t now_usec)
{
        struct heap_node *node;

        while ((node = heap_first(&plan->retries)) && node->key <= now_usec) {
                struct unit *unit = container_of(node, struct unit, retry);

                heap_remove(&plan->retries, node);
                unit_route(unit);
        }
}

struct plan_batch *plan_next(struct plan *plan, usec_t now_usec)
{
        retry_due(plan, now_usec);
        for (unsigned i = 0; i < plan->n_lanes; i++)
                if (plan->lanes[i].backoff_until_usec <= now_usec)
                        plan->lanes[i].backoff_until_usec = 0;
        if (plan->stopped || plan->n_in_flight >= plan->options.max_in_flight)
                return NULL;

        /* Lanes in turn, and in a lane what is established before what is new: a flood of claims must not
         * keep back the end of a lease. */
        for (unsigned i = 0; i < plan->n_lanes; i++) {
                unsigned index = (plan->next_lane + i) % plan->n_lanes;
                static const enum plan_action order[] = { PLAN_REPLACE, PLAN_QUERY, PLAN_VERIFY, PLAN_FIRST };
                struct plan_batch *batch;

                if (plan->lanes[index].backoff_until_usec > now_usec)
                        continue;
                batch = next_group(plan, index);
                for (unsigned j = 0; !batch && j < ELEMENTSOF(order); j++)
                        batch = next_queued(plan, index, order[j]);
                if (!batch)
                        continue;
                plan->next_lane = index + 1;
                batch_sent(batch);
                return batch;
        }
        return NULL;
}

usec_t plan_deadline(const struct plan *plan)
{
        const struct heap_node *retry = heap_first(&plan->retries);
        usec_t deadline = retry ? retry->key : USEC_INFINITY;

        for (unsigned i = 0; i < plan->n_lanes; i++) {
                const struct plan_lane *lane = &plan->lanes[i];
                bool work = !TAILQ_EMPTY(&lane->groups);

                for (unsigned j = 0; j < _PLAN_ACTIONS; j++)
                        work |= !TAILQ_EMPTY(&lane->queues[j]);
                if (work && lane->backoff_until_usec > 0)
                        deadline = MIN(deadline, lane->backoff_until_usec);
        }
        return deadline;
}
