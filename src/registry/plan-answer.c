/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/plan-internal.h"

/* So many units rejected one after the other, none accepted between: it is not them, it is the server. */
#define LONE_REJECTIONS_MAX 3

/* --- back-off --- */

/* Up to a quarter shorter or longer, so that many do not come back at once. */
usec_t plan_backoff_usec(struct plan *plan, unsigned failures)
{
        usec_t base = BACKOFF_MIN_USEC << MIN(failures, 9U);

        base = MIN(base, BACKOFF_MAX_USEC);
        plan->random = plan->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return base - base / 4 + (plan->random >> 33) % (base / 2 + 1);
}

static void fail_lane(struct plan *plan, unsigned index, const char *reason, usec_t now_usec)
{
        struct plan_lane *lane = &plan->lanes[index];
        struct plan_waiter *waiter;

        /* Messages of one failure end one after the other: they are one failure. */
        if (lane->backoff_until_usec > now_usec)
                return;
        lane->backoff_until_usec = now_usec + plan_backoff_usec(plan, lane->failures++);
        lane->lone_rejections = 0;
        free(lane->error);
        lane->error = strdup(reason ?: "unknown error");
        plan->ops->lane_changed(plan->userdata, index);
        while ((waiter = LIST_FIRST(&lane->waiters))) {
                waiter_unlink(waiter);
                plan->ops->waited(plan->userdata, waiter, WAIT_FAILED, lane->error);
        }
}

static void succeed_lane(struct plan *plan, unsigned index)
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
                        succeed_lane(plan, i);
}

void plan_unreachable(struct plan *plan, const char *reason, usec_t now_usec)
{
        for (unsigned i = 0; i < plan->n_lanes; i++)
                fail_lane(plan, i, reason, now_usec);
}

void plan_flush(struct plan *plan)
{
        struct heap_node *node;

        for (unsigned i = 0; i < plan->n_lanes; i++)
                plan->lanes[i].backoff_until_usec = 0;
        while ((node = heap_first(&plan->retries))) {
                struct unit *unit = container_of(node, struct unit, retry);

                heap_remove(&plan->retries, node);
                unit_route(unit);
        }
}

/* --- what the end of a message means --- */

/* Foreign data at this name. */
static void refuse(struct unit *unit, const char *reason)
{
        struct plan *plan = unit->plan;

        unit_delete_row(unit);
        if (rrset_is_empty(&unit->wanted)) {
                /* Nothing of ours is there, and nothing is to be. */
                unit_route(unit);
                return;
        }
        unit_set_error(unit, reason);
        unit_set_refused(unit, true);
        unit_leave_queue(unit);
        /* What follows from it is on its way before anybody is told. */
        plan->ops->refused(plan->userdata, unit, reason);
        unit_end_waiters(unit, unit->generation, WAIT_REFUSED, reason);
}

/* The server has something against this unit alone. */
static void reject_alone(struct unit *unit, const char *reason, usec_t now_usec)
{
        struct plan *plan = unit->plan;
        unsigned lane = unit->lane;
        bool first = unit->attempts == 0;

        unit_set_error(unit, reason);
        (void) heap_put(&plan->retries, &unit->retry, now_usec + plan_backoff_usec(plan, unit->attempts++));
        unit_end_waiters(unit, unit->generation, WAIT_FAILED, unit->error);
        /* The same one again says nothing new about the server. */
        if (first && ++plan->lanes[lane].lone_rejections >= LONE_REJECTIONS_MAX)
                fail_lane(plan, lane, reason, now_usec);
}

/* From now on the records there are ours, and known. Takes the set. */
static void set_published(struct unit *unit, struct rrset *published)
{
        bool first = unit->row != ROW_OURS;

        unit->row = ROW_OURS;
        unit->sent = unit->sent_before = false;
        rrset_clear(&unit->published);
        unit->published = *published;
        *published = (struct rrset){};
        unit->published_known = true;
        if (!rrset_is_empty(&unit->published) && (first || !rrset_equal(&unit->row_set, &unit->published)) &&
            rrset_replace(&unit->row_set, &unit->published) >= 0)
                unit_write_row(unit, ROW_OURS, false);
}

/* How late an UPDATE without an answer may be applied. */
#define LATE_USEC (3 * USEC_PER_SEC)

/* What is there is known. What got no answer may be applied after this, on a connection of before: a server
 * that has acknowledged what was sent behind it is awake, and will have come to it in a while. */
static void go_on(struct unit *unit)
{
        unit->attempts = 0;
        unit->read_back = false;
        unit_set_error(unit, NULL);
        if (unit->lost && unit_is_published(unit)) {
                unit->lost = false;
                unit->look = LOOK_VERIFY;
                unit->late_look = true;
                (void) heap_put(&unit->plan->retries, &unit->retry, unit->plan->now_usec + LATE_USEC);
        }
        unit_route(unit);
}

/* It is as it was meant to be when this generation was wanted. */
static void confirm(struct unit *unit, uint32_t generation)
{
        unit_end_waiters(unit, generation, WAIT_PUBLISHED, NULL);
        go_on(unit);
}

static void acknowledge(struct unit *unit, enum plan_action action)
{
        set_published(unit, &unit->sending);
        unit->published_generation = unit->sending_generation;
        if (unit->stale) {
                unit->stale = unit->published_known = false;
                unit_route(unit);
                return;
        }
        if (action == PLAN_FIRST && unit->plan->options.read_back && unit->kind == UNIT_FORWARD &&
            !rrset_is_empty(&unit->published)) {
                unit->read_back = true;
                unit->look = LOOK_VERIFY;
                unit_route(unit);
                return;
        }
        confirm(unit, unit->published_generation);
}

/* Of a doubtful row, this is there, so we put it there. False: memory is out. */
static bool adopt(struct unit *unit, const struct rrset *found)
{
        struct rrset copy;
        bool as_wanted = rrset_equal(found, &unit->wanted);

        if (rrset_copy(&copy, found) < 0)
                return false;
        set_published(unit, &copy);
        unit->look = LOOK_NOT;
        /* Else it is what some wish of before made, and nobody knows which: whoever waits, waits for the
         * next. */
        if (as_wanted)
                confirm(unit, unit->generation);
        else
                go_on(unit);
        return true;
}

static void verified(struct unit *unit)
{
        unit->look = LOOK_NOT;
        unit->late_look = false;
        if (unit->row == ROW_DOUBTFUL) {
                if (adopt(unit, &unit->sending))
                        return;
                unit->look = LOOK_VERIFY;
                unit_route(unit);
        } else if (unit->read_back)
                confirm(unit, unit->published_generation);
        else
                unit_route(unit);
}

static void finish_look(struct unit *unit, enum plan_outcome outcome)
{
        switch (outcome) {
        case PLAN_ACKNOWLEDGED:
                verified(unit);
                return;
        case PLAN_PREREQUISITE:
        case PLAN_REJECTED:
                unit->look = LOOK_QUERY;
                break;
        case PLAN_DENIED:
        case PLAN_UNSENT:
        case PLAN_LOST:
                break;
        }
        unit_route(unit);
}

/* Whatever was sent may have been applied, unless it surely was not. */
static void note_doubt(struct unit *unit, enum plan_action action)
{
        if (action == PLAN_FIRST)
                unit->sent = true;
        else
                unit->published_known = false;
}

static void finish_update(struct unit *unit, enum plan_action action, enum plan_outcome outcome,
                          const char *reason, usec_t now_usec)
{
        switch (outcome) {
        case PLAN_ACKNOWLEDGED:
                acknowledge(unit, action);
                return;
        case PLAN_PREREQUISITE:
                if (action == PLAN_FIRST) {
                        /* Perhaps what stands in its way is its own twin. */
                        unit->sent |= unit->plan->options.repeats;
                        unit->look = LOOK_QUERY;
                        break;
                }
                reject_alone(unit, reason, now_usec);
                return;
        case PLAN_REJECTED:
                note_doubt(unit, action);
                reject_alone(unit, reason, now_usec);
                return;
        case PLAN_LOST:
                note_doubt(unit, action);
                unit->lost = true;
                if (action == PLAN_FIRST)
                        unit->look = LOOK_VERIFY;
                break;
        case PLAN_DENIED:
                /* Said without a signature it may be said by anybody. */
                note_doubt(unit, action);
                break;
        case PLAN_UNSENT:
                break;
        }
        unit_route(unit);
}

static void finish_unit(struct unit *unit, enum plan_action action, enum plan_outcome outcome,
                        const char *reason, usec_t now_usec)
{
        unit->in_flight = false;
        switch (action) {
        case PLAN_FIRST:
        case PLAN_REPLACE:
                finish_update(unit, action, outcome, reason, now_usec);
                break;
        case PLAN_VERIFY:
                finish_look(unit, outcome);
                break;
        case PLAN_QUERY:
                if (outcome == PLAN_REJECTED)
                        reject_alone(unit, reason, now_usec);
                else
                        unit_route(unit);
                break;
        case _PLAN_ACTIONS:
                break;
        }
}

/* A rejected message of several units: its halves are tried apart, one to its end before the other, so that a
 * server that rejects everything is known after a few messages. False when memory is out. */
static bool split(struct plan_batch *batch, enum plan_outcome outcome)
{
        struct plan_lane *lane = &batch->plan->lanes[batch->lane];
        unsigned half = batch->n_units / 2;

        for (unsigned part = 2; part-- > 0;) {
                unsigned first = part * half, n = part == 0 ? half : batch->n_units - half;
                struct unit_group *group = malloc(sizeof(*group) + n * sizeof(group->units[0]));

                if (!group)
                        return false;
                group->n_units = n;
                for (unsigned i = 0; i < n; i++) {
                        struct unit *unit = batch->units[first + i];

                        group->units[i] = NULL;
                        if (!unit)
                                continue;
                        batch->units[first + i] = NULL;
                        unit->in_flight = false;
                        if (batch->action != PLAN_VERIFY &&
                            (outcome == PLAN_REJECTED || batch->plan->options.repeats))
                                note_doubt(unit, batch->action);
                        unit->group = group;
                        group->units[i] = unit;
                }
                TAILQ_INSERT_HEAD(&lane->groups, group, by_lane);
        }
        return true;
}

static void batch_done(struct plan_batch *batch)
{
        batch->plan->n_in_flight--;
        batch->plan->lanes[batch->lane].n_in_flight--;
        free(batch);
}

void plan_finish_unit(struct plan_batch *batch, unsigned i, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec)
{
        struct unit *unit = batch->units[i];

        if (!unit)
                return;
        batch->units[i] = NULL;
        batch->plan->now_usec = now_usec;
        if (outcome == PLAN_ACKNOWLEDGED)
                succeed_lane(batch->plan, batch->lane);
        finish_unit(unit, batch->action, outcome, reason, now_usec);
}

void plan_finish_rest(struct plan_batch *batch, enum plan_outcome outcome, const char *reason,
                      usec_t now_usec)
{
        struct plan *plan = batch->plan;
        unsigned lane = batch->lane;
        bool fails = outcome == PLAN_LOST || outcome == PLAN_UNSENT || outcome == PLAN_DENIED;

        for (unsigned i = 0; i < batch->n_units; i++)
                plan_finish_unit(batch, i, outcome, reason, now_usec);
        batch_done(batch);
        if (fails)
                fail_lane(plan, lane, reason, now_usec);
}

void plan_finish(struct plan_batch *batch, enum plan_outcome outcome, const char *reason, usec_t now_usec)
{
        if ((outcome == PLAN_REJECTED || outcome == PLAN_PREREQUISITE) && batch->n_units > 1 &&
            split(batch, outcome)) {
                batch_done(batch);
                return;
        }
        plan_finish_rest(batch, outcome, reason, now_usec);
}

/* --- what the answer to a query means --- */

/* Nothing of ours is there. Once it may have been removed in between; twice, the server does as it likes. */
static void answer_nothing(struct unit *unit, usec_t now_usec)
{
        bool was_sent = unit->sent || unit->sent_before;

        unit->sent_before = was_sent;
        unit->sent = false;
        if (unit->attempts++ == 0 || rrset_is_empty(&unit->wanted))
                unit_route(unit);
        else
                reject_alone(unit,
                             was_sent ? "the server accepted the records but does not have them"
                                      : "the server says that there is other data at this name",
                             now_usec);
}

static void answer_doubt(struct unit *unit, const struct rrset *found, bool foreign, usec_t now_usec)
{
        bool was_sent = unit->sent || unit->sent_before;

        if (!foreign && rrset_is_empty(found)) {
                answer_nothing(unit, now_usec);
                return;
        }
        if (!foreign && was_sent && rrset_contains_all(&unit->row_set, found)) {
                if (!adopt(unit, found)) {
                        unit->look = LOOK_QUERY;
                        unit_route(unit);
                }
                return;
        }
        refuse(unit, foreign ? "the DNS server has a CNAME, a delegation or the like at this name"
                             : "the DNS server has addresses of its own at this name");
}

/* A PTR that is not granted refuses nothing: whoever waits, waited for no more. */
static void refuse_ptr(struct unit *unit, const char *reason)
{
        unit_delete_row(unit);
        unit_set_error(unit, reason);
        unit_set_refused(unit, true);
        unit_end_waiters(unit, unit->generation, WAIT_PUBLISHED, NULL);
        unit_route(unit);
}

/* PTRs of others do not matter; one like ours that was there before ours must survive ours. */
static void answer_ptr_doubt(struct unit *unit, const struct rrset *found, bool foreign, usec_t now_usec)
{
        bool there = !rrset_is_empty(&unit->row_set) && rrset_contains_all(found, &unit->row_set);

        if (foreign)
                refuse_ptr(unit, "the DNS server has a CNAME, a delegation or the like at this name");
        else if (!unit->sent && !unit->sent_before && there)
                refuse_ptr(unit, "the DNS server has this PTR record of its own");
        else if (rrset_is_empty(found))
                answer_nothing(unit, now_usec);
        else {
                /* Beside others, without a prerequisite; what of ours is there already does not matter. */
                unit->published_known = false;
                unit_write_row(unit, ROW_OURS, true);
        }
}

static void answer_check(struct unit *unit, const struct rrset *found, bool foreign, usec_t now_usec)
{
        bool as_it_should = unit->kind == UNIT_PTR ? rrset_contains_all(found, &unit->published)
                                                   : !foreign && rrset_equal(found, &unit->published);
        bool read_back = unit->read_back;

        if (as_it_should) {
                if (read_back)
                        confirm(unit, unit->published_generation);
                else
                        unit_route(unit);
                return;
        }
        unit->published_known = false;
        if (read_back) {
                unit->read_back = false;
                reject_alone(unit, "the server accepted the records but does not have them", now_usec);
                return;
        }
        unit->plan->ops->drifted(unit->plan->userdata, unit);
        if (foreign && rrset_is_empty(found)) {
                static const char reason[] =
                        "the DNS server has a CNAME, a delegation or the like at this name";

                if (unit->kind == UNIT_PTR)
                        refuse_ptr(unit, reason);
                else
                        refuse(unit, reason);
                return;
        }
        unit_route(unit);
}

void plan_answer(struct plan_batch *batch, unsigned i, const struct rrset *found, bool foreign,
                 usec_t now_usec)
{
        struct unit *unit = batch->units[i];

        if (!unit)
                return;
        batch->units[i] = NULL;
        batch->plan->now_usec = now_usec;
        unit->in_flight = false;
        unit->look = LOOK_NOT;
        unit->late_look = false;
        if (!batch->plan->lanes[batch->lane].lone_rejections)
                succeed_lane(batch->plan, batch->lane);
        if (unit->row == ROW_OURS && unit->published_known)
                answer_check(unit, found, foreign, now_usec);
        else if (unit->row != ROW_DOUBTFUL)
                unit_route(unit);
        else if (unit->kind == UNIT_PTR)
                answer_ptr_doubt(unit, found, foreign, now_usec);
        else
                answer_doubt(unit, found, foreign, now_usec);
}
