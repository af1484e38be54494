/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/plan-internal.h"

/* --- what a message says --- */

/* What may not be at a name that is published for the first time; a TXT may be. */
static const uint16_t exclusive_guards[] = { DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_CNAME, DNS_TYPE_NS };
static const uint16_t shared_guards[] = { DNS_TYPE_PTR, DNS_TYPE_CNAME };

static bool is_sent_type(const struct unit *unit, uint16_t type)
{
        FOREACH_PART (part, unit)
                if (part->in_message && part->type == type)
                        return true;
        return false;
}

/* The n-th prerequisite that something is not there, beside those of the parts; 0: there is none any more. */
static uint16_t next_guard(const struct unit *unit, unsigned *n)
{
        bool shared = unit_mode(unit) == UNIT_SHARED;
        const uint16_t *guards = shared ? shared_guards : exclusive_guards;
        size_t n_guards = shared ? ELEMENTSOF(shared_guards) : ELEMENTSOF(exclusive_guards);

        while (unit->guard && *n < n_guards) {
                uint16_t type = guards[(*n)++];
                bool address = type == DNS_TYPE_A || type == DNS_TYPE_AAAA;

                if (shared && unit->beside && type == DNS_TYPE_PTR)
                        continue;
                /* Where nothing is protected, no addresses are in the way. */
                if (!shared &&
                    (is_sent_type(unit, type) || (address && !unit->plan->options.protect_foreign)))
                        continue;
                return type;
        }
        return 0;
}

static bool next_sent(const struct unit *unit, const struct unit_part **part, struct plan_item *ret)
{
        for (*part = *part ? (*part)->next : unit->parts; *part; *part = (*part)->next) {
                if (!(*part)->in_message)
                        continue;
                *ret = (struct plan_item){
                        .type = (*part)->type,
                        .before = (*part)->before >= 0 ? &(*part)->values[(*part)->before] : NULL,
                        .after = &(*part)->values[(*part)->after],
                        .part = *part,
                };
                return true;
        }
        return false;
}

/* Of a shared lane, the set as a whole is asked for. */
static bool next_looked(const struct unit *unit, const struct unit_part **part, struct plan_item *ret)
{
        for (*part = *part ? (*part)->next : unit->parts; *part; *part = (*part)->next) {
                const struct unit_part *same = unit->parts;

                if (!part_is_looked_at(*part))
                        continue;
                while (same != *part && (same->type != (*part)->type || !part_is_looked_at(same)))
                        same = same->next;
                if (same != *part)
                        continue;
                *ret = (struct plan_item){ .type = (*part)->type,
                                           .part = *part,
                                           .view = rrset_of_type(&unit->sending, (*part)->type) };
                ret->before = &ret->view;
                return true;
        }
        return false;
}

bool plan_item_next(const struct unit *unit, struct plan_position *position, struct plan_item *ret)
{
        static const struct rrset nothing = {};
        uint16_t type;

        if (position->part || position->n_guards == 0) {
                bool more = unit->look != LOOK_NOT ? next_looked(unit, &position->part, ret)
                                                   : next_sent(unit, &position->part, ret);

                if (more)
                        return true;
        }
        type = unit->look != LOOK_NOT ? 0 : next_guard(unit, &position->n_guards);
        if (type == 0)
                return false;
        *ret = (struct plan_item){ .type = type, .before = &nothing };
        return true;
}

/* --- taking units --- */

/* 0: nothing is to be sent after all. */
static int take_update(struct unit *unit, enum plan_action action)
{
        int n = 0, r = 0;

        FOREACH_PART (part, unit) {
                if (part_need(part) != NEED_SEND)
                        continue;
                r = part_prepare(part);
                if (r == -ENOSPC)
                        part->full = true;
                if (r < 0)
                        continue;
                part->before = unit_mode(unit) == UNIT_SHARED ? VALUE_ANY : part->known;
                part->after = (int8_t) part_find_value(part, &part->wanted);
                part->in_message = true;
                part->again_then = part->again;
                part->again = false;
                n++;
        }
        unit->guard = action == PLAN_FIRST && !unit_is_accepted(unit);
        unit->complete = true;
        FOREACH_PART (part, unit)
                unit->complete &= part->in_message || part_in_sync(part);
        return n > 0 ? n : r == -ENOMEM ? r : 0;
}

/* 0: it is none of this message. */
static int take_unit(struct plan_batch *batch, struct unit *unit)
{
        int r = 1;

        unit_leave_queue(unit);
        switch (batch->action) {
        case PLAN_FIRST:
        case PLAN_REPLACE:
                r = take_update(unit, batch->action);
                break;
        case PLAN_VERIFY:
                r = look_prepare(unit) < 0 ? -ENOMEM : 1;
                break;
        case PLAN_QUERY:
        case PLAN_PROBE:
        case _PLAN_ACTIONS:
                break;
        }
        if (r < 0) {
                unit_hold(unit, batch->plan->now_usec + BACKOFF_MIN_USEC);
                return 0;
        }
        if (r == 0) {
                unit_route(unit);
                return 0;
        }
        unit->in_flight = true;
        batch->stream |= unit->stream;
        unit->sending_generation = unit->generation;
        batch->units[batch->n_units++] = unit;
        return 1;
}

static struct plan_batch *batch_new(struct plan *plan, unsigned lane, enum plan_action action, unsigned n)
{
        struct plan_batch *batch = malloc(sizeof(*batch) + n * sizeof(batch->units[0]));

        if (batch)
                *batch = (struct plan_batch){
                        .plan = plan, .action = action, .lane = lane, .fudge_sec = plan->fudge_sec
                };
        return batch;
}

/* A unit that is suspected is with few others. */
static bool fits(const struct plan_batch *batch, const struct unit *unit, unsigned *crowd)
{
        unsigned smaller = unit->crowd > 0 ? MIN(*crowd, unit->crowd) : *crowd;

        if (batch->n_units >= smaller)
                return false;
        *crowd = smaller;
        return true;
}

static struct plan_batch *next_queued(struct plan *plan, unsigned index, enum plan_action action)
{
        struct plan_lane *lane = &plan->lanes[index];
        struct unit_list *queue = &lane->queues[action];
        unsigned crowd = plan->options.max_units;
        struct plan_batch *batch;
        struct unit *unit;

        if (TAILQ_EMPTY(queue))
                return NULL;
        batch = batch_new(plan, index, action, plan->options.max_units);
        if (!batch) {
                /* Memory is out: not at once again. */
                lane->backoff_until_usec = plan->now_usec + BACKOFF_MIN_USEC;
                return NULL;
        }
        while ((unit = TAILQ_FIRST(queue)) && fits(batch, unit, &crowd))
                (void) take_unit(batch, unit); /* none of this message: it is elsewhere by now */
        if (batch->n_units > 0)
                return batch;
        free(batch);
        return NULL;
}

static void timers_due(struct plan *plan, usec_t now_usec)
{
        struct heap_node *node;

        while ((node = heap_first(&plan->retries)) && node->key <= now_usec) {
                struct unit *unit = container_of(node, struct unit, retry);

                heap_remove(&plan->retries, node);
                unit_route(unit);
        }
        while ((node = heap_first(&plan->settles)) && node->key <= now_usec)
                unit_route(container_of(node, struct unit, settle)); /* it leaves the heap by that */
}

/* Lanes in turn, and in a lane what is established before what is new: a flood of claims must not keep back
 * the end of a lease. Neither do looks keep back the claims, nor they the looks. */
static struct plan_batch *next_of_lane(struct plan *plan, unsigned index)
{
        static const enum plan_action orders[2][_PLAN_ACTIONS] = {
                { PLAN_REPLACE, PLAN_QUERY, PLAN_VERIFY, PLAN_PROBE, PLAN_FIRST },
                { PLAN_REPLACE, PLAN_PROBE, PLAN_FIRST, PLAN_QUERY, PLAN_VERIFY },
        };
        struct plan_lane *lane = &plan->lanes[index];
        const enum plan_action *order = orders[lane->looks_last];
        struct plan_batch *batch = NULL;

        for (unsigned i = 0; !batch && i < _PLAN_ACTIONS; i++)
                batch = next_queued(plan, index, order[i]);
        if (batch && batch->action != PLAN_REPLACE)
                lane->looks_last = batch->action == PLAN_QUERY || batch->action == PLAN_VERIFY;
        return batch;
}

struct plan_batch *plan_next(struct plan *plan, usec_t now_usec)
{
        plan->now_usec = now_usec;
        timers_due(plan, now_usec);
        for (unsigned i = 0; i < plan->n_lanes; i++)
                if (plan->lanes[i].backoff_until_usec <= now_usec)
                        plan->lanes[i].backoff_until_usec = 0;
        if (plan->stopped || plan->n_in_flight >= plan->options.max_in_flight)
                return NULL;
        for (unsigned i = 0; i < plan->n_lanes; i++) {
                unsigned index = (plan->next_lane + i) % plan->n_lanes;
                struct plan_batch *batch;

                if (plan->lanes[index].backoff_until_usec > 0)
                        continue;
                batch = next_of_lane(plan, index);
                if (!batch)
                        continue;
                plan->next_lane = index + 1;
                plan->n_in_flight++;
                plan->lanes[index].n_in_flight++;
                return batch;
        }
        return NULL;
}

/* A message of this unit will not be sent: as if it had never been taken. */
static void give_back(struct unit *unit)
{
        unit->in_flight = false;
        FOREACH_PART (part, unit) {
                part->again |= part->in_message && part->again_then;
                part->in_message = false;
        }
        unit_route_first(unit);
}

void plan_trim(struct plan_batch *batch, unsigned n)
{
        assert(n > 0 && !batch->sent);
        while (batch->n_units > n)
                give_back(batch->units[--batch->n_units]);
}

void plan_sent(struct plan_batch *batch, uint64_t signed_sec, uint16_t fudge_sec, uint8_t server,
               usec_t now_usec)
{
        assert(!batch->plan->options.bounded || fudge_sec <= batch->fudge_sec);
        batch->sent = true;
        batch->signed_sec = signed_sec;
        batch->signed_fudge_sec = fudge_sec;
        batch->server = server;
        batch->sent_usec = now_usec;
}

usec_t plan_deadline(const struct plan *plan)
{
        const struct heap_node *retry = heap_first(&plan->retries), *settle = heap_first(&plan->settles);
        usec_t deadline = MIN(retry ? retry->key : USEC_INFINITY, settle ? settle->key : USEC_INFINITY);

        for (unsigned i = 0; i < plan->n_lanes; i++) {
                const struct plan_lane *lane = &plan->lanes[i];
                bool work = false;

                for (unsigned j = 0; j < _PLAN_ACTIONS; j++)
                        work |= !TAILQ_EMPTY(&lane->queues[j]);
                if (work && lane->backoff_until_usec > 0)
                        deadline = MIN(deadline, lane->backoff_until_usec);
        }
        return deadline;
}
