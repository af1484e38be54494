/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/plan-internal.h"

/* So many units rejected one after the other, none accepted between: it is not them, it is the server. */
#define LONE_REJECTIONS_MAX 3
/* Clocks are set and messages signed anew so often in a row. */
#define LATE_MAX 3

/* --- back-off --- */

/* Up to a quarter shorter or longer, so that many do not come back at once. */
usec_t plan_backoff_usec(struct plan *plan, unsigned failures)
{
        usec_t base = BACKOFF_MIN_USEC << MIN(failures, 9U);

        base = MIN(base, BACKOFF_MAX_USEC);
        plan->random = plan->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return base - base / 4 + (plan->random >> 33) % (base / 2 + 1);
}

void plan_fail_lane(struct plan *plan, unsigned index, const char *reason, usec_t now_usec)
{
        struct plan_lane *lane = &plan->lanes[index];
        bool began = !lane->error;
        struct plan_waiter *waiter;

        /* Messages of one failure end one after the other: they are one failure. */
        if (lane->backoff_until_usec > now_usec)
                return;
        lane->backoff_until_usec = now_usec + plan_backoff_usec(plan, lane->failures++);
        lane->lone_rejections = 0;
        free(lane->error);
        lane->error = strdup(reason ?: "unknown error");
        if (began)
                plan->ops->lane_changed(plan->userdata, index);
        while ((waiter = LIST_FIRST(&lane->waiters))) {
                waiter_unlink(waiter);
                plan->ops->waited(plan->userdata, waiter, WAIT_FAILED, lane->error ?: "out of memory");
        }
}

void plan_succeed_lane(struct plan *plan, unsigned index)
{
        struct plan_lane *lane = &plan->lanes[index];
        bool was_failing = lane->error;

        lane->backoff_until_usec = 0;
        lane->failures = 0;
        lane->lone_rejections = 0;
        free(lane->error);
        lane->error = NULL;
        if (was_failing)
                plan->ops->lane_changed(plan->userdata, index);
}

void plan_reachable(struct plan *plan)
{
        for (unsigned i = 0; i < plan->n_lanes; i++)
                if (plan->lanes[i].error)
                        plan_succeed_lane(plan, i);
}

void plan_unreachable(struct plan *plan, const char *reason, usec_t now_usec)
{
        for (unsigned i = 0; i < plan->n_lanes; i++)
                plan_fail_lane(plan, i, reason, now_usec);
}

/* --- verdicts on a unit --- */

void unit_reject(struct unit *unit, const char *reason, usec_t now_usec)
{
        struct plan *plan = unit->plan;
        unsigned lane = unit->lane;
        bool first = unit->attempts == 0;

        unit_set_error(unit, reason);
        unit_hold(unit, now_usec + plan_backoff_usec(plan, unit->attempts++));
        unit_end_waiters(unit, unit->generation, WAIT_FAILED, unit->error ?: "out of memory");
        /* The same one again says nothing new about the server. */
        if (first && ++plan->lanes[lane].lone_rejections >= LONE_REJECTIONS_MAX)
                plan_fail_lane(plan, lane, reason, now_usec);
}

void unit_refuse(struct unit *unit, struct unit_part *refused, const char *reason)
{
        struct plan *plan = unit->plan;
        bool any = false;

        FOREACH_PART (part, unit) {
                if ((refused && part != refused) || rrset_is_empty(&part->wanted) || part->accepted)
                        continue;
                part->refused = any = true;
                part->seen = false;
        }
        if (!any)
                return;
        unit_set_error(unit, reason);
        unit_count_refused(unit);
        /* A shared RR that is not granted refuses nothing: whoever waits, waits for no more. */
        if (unit_mode(unit) == UNIT_SHARED) {
                unit_tell(unit);
                return;
        }
        /* What follows from it is on its way before anybody is told. */
        plan->ops->refused(plan->userdata, unit, refused ? refused->type : 0, reason);
        unit_end_waiters(unit, unit->generation, WAIT_REFUSED, reason);
}

/* --- what the end of an update means --- */

/* The step under way has ended. What may have a twin, or was not answered, is in doubt from now on. */
static void end_step(struct unit_part *part, const struct plan_batch *batch, bool answered)
{
        if (batch->sent && (!answered || batch->twin || batch->plan->forwarded))
                part_doubt(part, batch);
        part->in_message = false;
}

static void acknowledge(struct unit *unit, const struct plan_batch *batch)
{
        bool read_back = false, certain = true;

        unit->plan->was_accepted = true;
        FOREACH_PART (part, unit) {
                bool accepted;

                if (!part->in_message)
                        continue;
                end_step(part, batch, true);
                part->known = part->after;
                accepted = !rrset_is_empty(&part->values[part->known]);
                read_back |= accepted && !part->accepted && unit->plan->options.read_back;
                part->changed |= part->accepted != accepted;
                part->accepted = accepted;
                part_trim(part);
        }
        unit->attempts = unit->n_refutals = unit->n_late = unit->crowd = 0;
        unit->refuted_alone = unit->found_alias = false;
        unit_set_error(unit, NULL);
        FOREACH_PART (part, unit)
                certain &= part->refused || (part->known >= 0 && part_is_harmless(part));
        if (read_back && unit_mode(unit) == UNIT_EXCLUSIVE) {
                unit->read_back = true;
                if (unit->complete)
                        unit->published_generation = unit->sending_generation;
                unit_look_at(unit, LOOK_EXPECT);
        } else if (unit->complete && certain)
                unit_end_waiters(unit, unit->sending_generation, WAIT_PUBLISHED, NULL);
        unit_route(unit);
}

/* A prerequisite failed, of this unit or of another in the message: it is looked what is there. */
static void refute(struct unit *unit, const struct plan_batch *batch)
{
        bool in_doubt = false;

        FOREACH_PART (part, unit) {
                in_doubt |= part->n_doubts > 0;
                if (!part->in_message)
                        continue;
                end_step(part, batch, true);
                part->again |= part->again_then;
                /* Nothing of ours has ever come there: whatever is there, is not. */
                if (!part->accepted && part->n_doubts == 0)
                        part_trim(part);
                part->known = VALUE_UNKNOWN;
        }
        /* While something is in doubt that is reason enough; else it is counted, where more was asked than
         * what is looked for now. */
        if (in_doubt || !unit->guard)
                unit->n_refutals = 0;
        else
                unit->n_refutals++;
        unit->refuted_alone = unit->n_refutals > 0 && batch->n_units == 1;
        unit->crowd = unit->n_refutals > 1;
        unit_look_at(unit, LOOK_QUERY);
        unit_route(unit);
}

/* The message has ended without being acknowledged. */
static void end_steps(struct unit *unit, const struct plan_batch *batch, bool answered, bool keeps)
{
        FOREACH_PART (part, unit) {
                if (!part->in_message)
                        continue;
                end_step(part, batch, answered);
                part->again |= part->again_then;
                if (batch->sent && !keeps)
                        part->known = VALUE_UNKNOWN;
        }
}

static bool is_address_type(uint16_t type)
{
        return type == DNS_TYPE_A || type == DNS_TYPE_AAAA;
}

/* Alone in its message, and with records of other types in it: it is for these that the server would not have
 * it (its policy grants types one by one), so that the addresses go on without them. False: there are none.
 */
static bool refuse_types(struct unit *unit, const char *reason)
{
        bool any = false;

        FOREACH_PART (part, unit) {
                if (unit_mode(unit) == UNIT_SHARED || is_address_type(part->type) || part->refused ||
                    part->accepted || rrset_is_empty(&part->wanted))
                        continue;
                unit_refuse(unit, part, reason);
                any = true;
        }
        return any;
}

/* The server would not have this message: its halves are tried apart, one to its end before the other, so
 * that a server that rejects everything is known after a few messages. */
static void reject(struct unit *unit, const struct plan_batch *batch, const char *reason, usec_t now_usec)
{
        if (batch->n_units > 1) {
                unit->crowd = batch->n_units / 2;
                unit_route_first(unit);
        } else
                unit_reject(unit, reason, now_usec);
}

/* Smaller ones are tried, and what is alone in its message by the other transport: that one may be closed, so
 * that both have their turn. */
void unit_suspect_size(struct unit *unit, const struct plan_batch *batch)
{
        if (!unit->plan->options.datagrams)
                return;
        unit->crowd = MAX(batch->n_units / 2, 1U);
        unit->stream = batch->n_units == 1 && !batch->stream;
}

static void finish_update(struct unit *unit, const struct plan_batch *batch, enum plan_outcome outcome,
                          const char *reason, usec_t now_usec)
{
        switch (outcome) {
        case PLAN_ACKNOWLEDGED:
                acknowledge(unit, batch);
                return;
        case PLAN_PREREQUISITE:
                refute(unit, batch);
                return;
        case PLAN_REJECTED:
                end_steps(unit, batch, true, true);
                if (batch->n_units == 1 && refuse_types(unit, reason))
                        unit_route_first(unit);
                else
                        reject(unit, batch, reason, now_usec);
                return;
        case PLAN_FAILED:
                end_steps(unit, batch, false, false);
                reject(unit, batch, reason, now_usec);
                return;
        case PLAN_LATE:
                end_steps(unit, batch, true, true);
                unit->n_late++;
                break;
        case PLAN_AGAIN:
                end_steps(unit, batch, false, true);
                break;
        case PLAN_UNSENT:
                assert(!batch->sent);
                end_steps(unit, batch, true, true);
                break;
        case PLAN_LOST:
                unit_suspect_size(unit, batch);
                end_steps(unit, batch, false, false);
                break;
        case PLAN_DENIED:
                end_steps(unit, batch, false, false);
                break;
        }
        unit_route_first(unit);
}

static void finish_unit(struct unit *unit, const struct plan_batch *batch, enum plan_outcome outcome,
                        const char *reason, usec_t now_usec)
{
        unit->in_flight = false;
        switch (batch->action) {
        case PLAN_FIRST:
        case PLAN_REPLACE:
                finish_update(unit, batch, outcome, reason, now_usec);
                return;
        case PLAN_VERIFY:
        case PLAN_QUERY:
                look_finish(unit, batch, outcome, reason, now_usec);
                return;
        case PLAN_PROBE:
                if (outcome == PLAN_REJECTED || outcome == PLAN_FAILED)
                        reject(unit, batch, reason, now_usec);
                else
                        unit_route_first(unit);
                return;
        case _PLAN_ACTIONS:
                return;
        }
}

/* --- the end of a batch --- */

static void note_answer(struct plan_batch *batch, enum plan_outcome outcome)
{
        struct plan *plan = batch->plan;
        bool answered = outcome == PLAN_ACKNOWLEDGED || outcome == PLAN_PREREQUISITE;

        if (answered && batch->sent && plan->start_sec == 0)
                plan->start_sec = batch->signed_sec;
        if (answered)
                plan_succeed_lane(plan, batch->lane);
}

static struct unit *take_out(struct plan_batch *batch, unsigned i, usec_t now_usec)
{
        struct unit *unit = batch->units[i];

        batch->units[i] = NULL;
        batch->plan->now_usec = now_usec;
        return unit;
}

void plan_finish_unit(struct plan_batch *batch, unsigned i, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec)
{
        struct unit *unit = take_out(batch, i, now_usec);

        if (!unit)
                return;
        note_answer(batch, outcome);
        finish_unit(unit, batch, outcome, reason, now_usec);
}

void plan_answer(struct plan_batch *batch, unsigned i, const struct rrset *found, bool alias, usec_t now_usec)
{
        struct unit *unit = take_out(batch, i, now_usec);

        if (!unit)
                return;
        unit->in_flight = false;
        if (batch->plan->lanes[batch->lane].lone_rejections == 0)
                note_answer(batch, PLAN_ACKNOWLEDGED);
        look_answer(unit, batch, found, alias, now_usec);
}

void plan_probed(struct plan_batch *batch, unsigned i, const char *cut, bool absent, usec_t now_usec)
{
        struct unit *unit = take_out(batch, i, now_usec);
        /* What a secondary answers may be old. */
        bool seen = absent && !batch->plan->forwarded;

        if (!unit)
                return;
        unit->in_flight = false;
        unit->probed = !cut;
        FOREACH_PART (part, unit)
                part->seen |= seen;
        if (cut)
                unit_refuse(unit, NULL, cut);
        unit_route(unit);
}

void plan_finish_rest(struct plan_batch *batch, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec)
{
        struct plan *plan = batch->plan;
        unsigned lane = batch->lane;
        bool fails = outcome == PLAN_LOST || outcome == PLAN_UNSENT || outcome == PLAN_DENIED;

        /* From the end, as they go back before all others. */
        for (unsigned i = batch->n_units; i-- > 0;) {
                fails |= outcome == PLAN_LATE && batch->units[i] && batch->units[i]->n_late >= LATE_MAX;
                plan_finish_unit(batch, i, outcome, reason, now_usec);
        }
        plan->n_in_flight--;
        plan->lanes[lane].n_in_flight--;
        free(batch);
        if (fails)
                plan_fail_lane(plan, lane, reason, now_usec);
}

void plan_finish(struct plan_batch *batch, enum plan_outcome outcome, const char *reason, usec_t now_usec)
{
        plan_finish_rest(batch, outcome, reason, now_usec);
}

void plan_forget(struct plan *plan)
{
        struct unit *unit, *next;

        RB_FOREACH_SAFE (unit, unit_tree, &plan->units, next) {
                if (unit->in_flight || unit_is_accepted(unit) || unit_wants_anything(unit))
                        continue;
                unit->look = LOOK_NOT;
                heap_remove(&plan->retries, &unit->retry);
                FOREACH_PART (part, unit) {
                        part->n_doubts = 0;
                        part->known = VALUE_OTHER;
                        part_trim(part);
                        part->known = 0;
                }
                unit_route(unit);
        }
}
