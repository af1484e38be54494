/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "registry/plan-internal.h"

static int compare_unit(const struct unit *a, const struct unit *b)
{
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        if (a->owner_length != b->owner_length)
                return a->owner_length < b->owner_length ? -1 : 1;
        return memcmp(a->owner, b->owner, a->owner_length);
}

RB_GENERATE(unit_tree, unit, by_owner, compare_unit)

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

void waiter_unlink(struct plan_waiter *waiter)
{
        LIST_REMOVE(waiter, by_unit);
        LIST_REMOVE(waiter, by_lane);
        waiter->unit = NULL;
}

void unit_leave_queue(struct unit *unit)
{
        if (unit->queue)
                TAILQ_REMOVE(unit->queue, unit, by_queue);
        unit->queue = NULL;
}

void unit_leave_group(struct unit *unit)
{
        if (!unit->group)
                return;
        for (unsigned i = 0; i < unit->group->n_units; i++)
                if (unit->group->units[i] == unit)
                        unit->group->units[i] = NULL;
        unit->group = NULL;
}

static void unit_destroy(struct unit *unit)
{
        struct plan *plan = unit->plan;

        unit_leave_queue(unit);
        unit_leave_group(unit);
        heap_remove(&plan->retries, &unit->retry);
        RB_REMOVE(unit_tree, &plan->units, unit);
        plan->n_units--;
        plan->n_refused -= unit->refused;
        while (!LIST_EMPTY(&unit->waiters))
                waiter_unlink(LIST_FIRST(&unit->waiters));
        rrset_clear(&unit->wanted);
        rrset_clear(&unit->published);
        rrset_clear(&unit->row_set);
        rrset_clear(&unit->sending);
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
        for (unsigned i = 0; i < plan->n_lanes; i++) {
                struct unit_group *group;

                while ((group = TAILQ_FIRST(&plan->lanes[i].groups))) {
                        TAILQ_REMOVE(&plan->lanes[i].groups, group, by_lane);
                        free(group);
                }
                free(plan->lanes[i].error);
        }
        free(plan->lanes);
        heap_clear(&plan->retries);
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
        TAILQ_INIT(&to->groups);
        TAILQ_CONCAT(&to->groups, &from->groups, by_lane);
        LIST_INIT(&to->waiters);
        LIST_SWAP(&to->waiters, &from->waiters, plan_waiter, by_lane);
}

int plan_add_lane(struct plan *plan, enum unit_kind kind, const struct dns_name *zone)
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
        lane->kind = kind;
        for (unsigned i = 0; i < _PLAN_ACTIONS; i++)
                TAILQ_INIT(&lane->queues[i]);
        TAILQ_INIT(&lane->groups);
        LIST_INIT(&lane->waiters);
        return (int) plan->n_lanes++;
}

struct dns_name unit_owner(const struct unit *unit)
{
        struct dns_name name = { .length = unit->owner_length };

        memcpy(name.wire, unit->owner, unit->owner_length);
        return name;
}

/* A search key with the room of the longest name behind it. */
struct unit_key {
        struct unit unit;
        uint8_t owner[DNS_NAME_MAX];
};

struct unit *plan_find(const struct plan *plan, enum unit_kind kind, const struct dns_name *owner)
{
        struct unit_key *key = &(struct unit_key){ .unit.kind = kind, .unit.owner_length = owner->length };

        memcpy((uint8_t *) key + offsetof(struct unit, owner), owner->wire, owner->length);
        return RB_FIND(unit_tree, (struct unit_tree *) &plan->units, &key->unit);
}

static struct unit *add_unit(struct plan *plan, enum unit_kind kind, unsigned lane,
                             const struct dns_name *owner)
{
        struct unit *unit;

        if (heap_reserve(&plan->retries, plan->n_units + 1) < 0)
                return NULL;
        unit = calloc(1, sizeof(*unit) + owner->length);
        if (!unit)
                return NULL;
        unit->plan = plan;
        unit->kind = kind;
        unit->lane = lane;
        unit->retry = HEAP_NODE_INIT;
        unit->owner_length = owner->length;
        memcpy(unit->owner, owner->wire, owner->length);
        LIST_INIT(&unit->waiters);
        RB_INSERT(unit_tree, &plan->units, unit);
        plan->n_units++;
        return unit;
}

/* --- waiting --- */

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

static bool in_sync(const struct unit *unit)
{
        return unit->published_known && rrset_equal(&unit->published, &unit->wanted);
}

bool unit_is_published(const struct unit *unit)
{
        return unit->row == ROW_OURS && in_sync(unit) && !unit->read_back;
}

const char *unit_trouble(const struct unit *unit, usec_t now_usec)
{
        const struct plan_lane *lane = unit_lane(unit);

        if (unit->refused || heap_contains(&unit->retry))
                return unit->error ?: "the server refused this name";
        if (lane->backoff_until_usec > now_usec)
                return lane->error ?: "the server is not reachable";
        return NULL;
}

/* --- routing: which queue is a unit's next step in --- */

void unit_set_error(struct unit *unit, const char *reason)
{
        free(unit->error);
        unit->error = reason ? strdup(reason) : NULL;
}

void unit_set_refused(struct unit *unit, bool refused)
{
        unit->plan->n_refused += (unsigned) refused - (unsigned) unit->refused;
        unit->refused = refused;
}

void unit_write_row(struct unit *unit, enum row_state row, bool wait)
{
        unit->row = row;
        unit->row_busy = wait;
        unit->plan->ops->put_row(unit->plan->userdata, unit, wait);
}

void unit_delete_row(struct unit *unit)
{
        if (unit->row == ROW_NONE)
                return;
        unit->row = ROW_NONE;
        rrset_clear(&unit->row_set);
        rrset_clear(&unit->published);
        unit->published_known = false;
        unit->sent = unit->sent_before = false;
        unit->look = LOOK_NOT;
        unit->read_back = false;
        unit->plan->ops->delete_row(unit->plan->userdata, unit);
}

int rrset_replace(struct rrset *to, const struct rrset *from)
{
        struct rrset copy;
        int r = rrset_copy(&copy, from);

        if (r < 0)
                return r;
        rrset_clear(to);
        *to = copy;
        return 0;
}

/* Nothing left to do. Whoever waits, waited for this. */
static void settle(struct unit *unit)
{
        unit_leave_queue(unit);
        unit_leave_group(unit);
        unit_end_waiters(unit, unit->generation, WAIT_PUBLISHED, NULL);
        if (!unit->refused)
                unit_destroy(unit);
}

/* Before the first publication its row: a crash must not leave records that nobody knows of. Where
 * nothing foreign is protected, whatever is at the name is ours from now on. What may still arrive
 * late stays in the row beside what is wanted now. */
static void begin_row(struct unit *unit)
{
        bool protect = unit->plan->options.protect_foreign;
        bool may_come = unit->row == ROW_DOUBTFUL && (unit->sent || unit->sent_before);
        int r;

        unit_leave_queue(unit);
        r = may_come ? rrset_add_all(&unit->row_set, &unit->wanted)
                     : rrset_replace(&unit->row_set, &unit->wanted);
        if (r < 0) {
                /* Memory is out: the unit waits, as for a rejection. */
                (void) heap_put(&unit->plan->retries, &unit->retry, 0);
                return;
        }
        unit_write_row(unit, protect ? ROW_DOUBTFUL : ROW_OURS, true);
}

static void enqueue(struct unit *unit)
{
        int action = unit_action(unit);
        struct unit_list *queue;

        if (unit->group)
                return;
        queue = &unit_lane(unit)->queues[action];
        if (unit->queue == queue)
                return;
        unit_leave_queue(unit);
        TAILQ_INSERT_TAIL(queue, unit, by_queue);
        unit->queue = queue;
}

static void route_doubtful(struct unit *unit)
{
        if (rrset_is_empty(&unit->wanted) && !unit->sent) {
                unit_delete_row(unit);
                settle(unit);
                return;
        }
        if (rrset_is_empty(&unit->wanted))
                unit->look = LOOK_QUERY;
        else if (!rrset_contains_all(&unit->row_set, &unit->wanted)) {
                begin_row(unit);
                return;
        }
        enqueue(unit);
}

static void route_ours(struct unit *unit)
{
        if (rrset_is_empty(&unit->wanted) && in_sync(unit)) {
                unit_delete_row(unit);
                settle(unit);
                return;
        }
        if (in_sync(unit)) {
                /* What the row says beyond what is there would be compared for nothing after a crash.
                 */
                if (!rrset_equal(&unit->row_set, &unit->wanted) &&
                    rrset_replace(&unit->row_set, &unit->wanted) >= 0)
                        unit_write_row(unit, ROW_OURS, false);
                settle(unit);
                return;
        }
        /* A PTR beside those of others is removed by its value: it has to be known before it is sent.
         */
        if (unit->kind == UNIT_PTR && !rrset_contains_all(&unit->row_set, &unit->wanted)) {
                unit_leave_queue(unit);
                if (rrset_add_all(&unit->row_set, &unit->wanted) >= 0)
                        unit_write_row(unit, ROW_OURS, true);
                return;
        }
        enqueue(unit);
}

/* Has to wait for something else than its turn. */
static bool is_held(const struct unit *unit)
{
        return unit->in_flight || unit->row_busy || heap_contains(&unit->retry) || unit->plan->loading;
}

int unit_action(const struct unit *unit)
{
        if (is_held(unit) || unit->refused || unit->row_unwritten || unit->row == ROW_NONE)
                return -1;
        if (unit->look != LOOK_NOT)
                return unit->look == LOOK_VERIFY && unit->plan->options.verify ? PLAN_VERIFY : PLAN_QUERY;
        if (unit->row == ROW_DOUBTFUL)
                return !rrset_is_empty(&unit->wanted) && rrset_contains_all(&unit->row_set, &unit->wanted)
                               ? PLAN_FIRST
                               : -1;
        if (in_sync(unit) || (unit->kind == UNIT_PTR && !rrset_contains_all(&unit->row_set, &unit->wanted)))
                return -1;
        return PLAN_REPLACE;
}

void unit_route(struct unit *unit)
{
        if (is_held(unit)) {
                unit_leave_queue(unit);
                return;
        }
        if (unit->refused) {
                unit_leave_queue(unit);
                if (rrset_is_empty(&unit->wanted) && LIST_EMPTY(&unit->waiters))
                        unit_destroy(unit);
                return;
        }
        if (unit->row_unwritten) {
                unit_leave_queue(unit);
                unit_write_row(unit, unit->row, true);
                return;
        }
        /* Where it is not known what is there, it is put there: there is nothing to look at. */
        if (unit->row == ROW_NONE || (unit->row == ROW_OURS && !unit->published_known)) {
                unit->look = LOOK_NOT;
                unit->read_back = false;
        }
        if (unit->look != LOOK_NOT) {
                enqueue(unit);
                return;
        }

        switch (unit->row) {
        case ROW_NONE:
                if (rrset_is_empty(&unit->wanted))
                        settle(unit);
                else
                        begin_row(unit);
                break;
        case ROW_DOUBTFUL:
                route_doubtful(unit);
                break;
        case ROW_OURS:
                route_ours(unit);
                break;
        }
}

static void wish(struct unit *unit, struct rrset *wanted)
{
        rrset_clear(&unit->wanted);
        unit->wanted = *wanted;
        *wanted = (struct rrset){};
        unit->generation++;
        /* Whatever was said against the unit was said against another wish. */
        unit_set_refused(unit, false);
        heap_remove(&unit->plan->retries, &unit->retry);
        unit->attempts = 0;
        unit_set_error(unit, NULL);
        /* Something may still come late: then it is looked at behind this wish, too. */
        if (unit->late_look) {
                unit->late_look = false;
                unit->look = LOOK_NOT;
                unit->lost = true;
        }
}

int plan_change(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
                const struct rrset *before, const struct rrset *wanted)
{
        struct unit *unit = plan_find(plan, kind, owner);
        struct rrset copy;
        int r;

        if (unit ? rrset_equal(&unit->wanted, wanted) : rrset_equal(before, wanted))
                return 0;
        r = rrset_copy(&copy, wanted);
        if (r < 0)
                return r;
        if (!unit) {
                unit = add_unit(plan, kind, lane, owner);
                if (!unit || rrset_copy(&unit->published, before) < 0 ||
                    rrset_copy(&unit->row_set, before) < 0) {
                        rrset_clear(&copy);
                        if (unit)
                                unit_destroy(unit);
                        return -ENOMEM;
                }
                if (!rrset_is_empty(before)) {
                        unit->row = ROW_OURS;
                        unit->published_known = true;
                }
        }
        wish(unit, &copy);
        unit_route(unit);
        return 0;
}

void plan_load_begin(struct plan *plan)
{
        plan->loading = true;
}

int plan_load(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
              enum row_state row, const struct rrset *row_set)
{
        struct unit *unit = plan_find(plan, kind, owner);

        if (unit && row == ROW_OURS && rrset_equal(row_set, &unit->wanted)) {
                unit_destroy(unit);
                return 0;
        }
        if (!unit)
                unit = add_unit(plan, kind, lane, owner);
        if (!unit || rrset_copy(&unit->row_set, row_set) < 0)
                return -ENOMEM;
        unit->row = row;
        if (row == ROW_DOUBTFUL) {
                unit->sent = true;
                unit->look = LOOK_VERIFY;
        }
        return 0;
}

void plan_load_done(struct plan *plan)
{
        struct unit *unit, *next;

        plan->loading = false;
        RB_FOREACH_SAFE (unit, unit_tree, &plan->units, next)
                unit_route(unit);
}

static int unit_in_sync(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
                        const struct rrset *wanted, struct unit **ret)
{
        struct unit *unit = add_unit(plan, kind, lane, owner);

        if (!unit || rrset_copy(&unit->wanted, wanted) < 0 || rrset_copy(&unit->row_set, wanted) < 0 ||
            rrset_copy(&unit->published, wanted) < 0) {
                if (unit)
                        unit_destroy(unit);
                return -ENOMEM;
        }
        unit->row = ROW_OURS;
        unit->published_known = true;
        *ret = unit;
        return 0;
}

int plan_check(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
               const struct rrset *wanted)
{
        struct unit *unit = plan_find(plan, kind, owner);
        int r;

        /* What is under way is looked at anyway. */
        if (unit && !unit->refused)
                return 0;
        if (unit) {
                unit_set_refused(unit, false);
                unit_route(unit);
                return 0;
        }
        if (rrset_is_empty(wanted))
                return 0;
        r = unit_in_sync(plan, kind, lane, owner, wanted, &unit);
        if (r < 0)
                return r;
        unit->look = LOOK_VERIFY;
        unit_route(unit);
        return 0;
}

int plan_republish(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
                   const struct rrset *wanted)
{
        struct unit *unit = plan_find(plan, kind, owner);
        int r;

        if (!unit && rrset_is_empty(wanted))
                return 0;
        if (!unit) {
                r = unit_in_sync(plan, kind, lane, owner, wanted, &unit);
                if (r < 0)
                        return r;
        }
        if (unit->row == ROW_OURS) {
                rrset_clear(&unit->published);
                unit->published_known = rrset_is_empty(&unit->wanted);
                unit->stale = unit->in_flight && !rrset_is_empty(&unit->wanted);
        }
        unit_route(unit);
        return 0;
}

void plan_row_written(struct plan *plan, enum unit_kind kind, const struct dns_name *owner, bool ok,
                      usec_t now_usec)
{
        struct unit *unit = plan_find(plan, kind, owner);

        if (!unit || !unit->row_busy)
                return;
        unit->row_busy = false;
        unit->row_unwritten = !ok;
        if (!ok) {
                /* The disk is full or broken: nothing is sent before the row stands. */
                unit_set_error(unit, "the registrar could not store what it is about to publish");
                (void) heap_put(&plan->retries, &unit->retry, now_usec + BACKOFF_MIN_USEC);
                unit_end_waiters(unit, unit->generation, WAIT_FAILED, unit->error);
                return;
        }
        unit_route(unit);
}
