/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "registry/plan.h"

#define BACKOFF_MIN_USEC (1 * USEC_PER_SEC)
#define BACKOFF_MAX_USEC (5 * USEC_PER_MINUTE)
/* So many units rejected one after the other, none accepted between: it is not them, it is the server. */
#define LONE_REJECTIONS_MAX 3

/* Units whose message was rejected, to be tried in smaller messages until the guilty one is alone. */
struct unit_group {
        TAILQ_ENTRY(unit_group) by_lane;
        unsigned n_units;
        struct unit *units[]; /* NULL: left the group */
};

static int compare_unit(const struct unit *a, const struct unit *b)
{
        if (a->kind != b->kind)
                return a->kind < b->kind ? -1 : 1;
        if (a->owner_length != b->owner_length)
                return a->owner_length < b->owner_length ? -1 : 1;
        return memcmp(a->owner, b->owner, a->owner_length);
}

RB_PROTOTYPE(unit_tree, unit, by_owner, compare_unit)
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

static void waiter_unlink(struct plan_waiter *waiter)
{
        LIST_REMOVE(waiter, by_unit);
        LIST_REMOVE(waiter, by_lane);
        waiter->unit = NULL;
}

static void leave_queue(struct unit *unit)
{
        if (unit->queue)
                TAILQ_REMOVE(unit->queue, unit, by_queue);
        unit->queue = NULL;
}

static void leave_group(struct unit *unit)
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

        leave_queue(unit);
        leave_group(unit);
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

int plan_add_lane(struct plan *plan, enum unit_kind kind, const struct dns_name *zone)
{
        struct plan_lane *lanes, *lane;

        /* Heads of tail queues point into themselves: lanes are added before there are units. */
        assert(plan->n_units == 0);
        lanes = reallocarray(plan->lanes, plan->n_lanes + 1, sizeof(*lanes));
        if (!lanes)
                return -ENOMEM;
        plan->lanes = lanes;
        lanes[plan->n_lanes] = (struct plan_lane){ .zone = *zone, .kind = kind };
        plan->n_lanes++;
        for (unsigned i = 0; i < plan->n_lanes; i++) {
                lane = &lanes[i];
                for (unsigned j = 0; j < _PLAN_ACTIONS; j++)
                        TAILQ_INIT(&lane->queues[j]);
                TAILQ_INIT(&lane->groups);
                LIST_INIT(&lane->waiters);
        }
        return (int) plan->n_lanes - 1;
}

static struct plan_lane *unit_lane(const struct unit *unit)
{
        return &unit->plan->lanes[unit->lane];
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

static void end_waiters(struct unit *unit, uint32_t generation, enum wait_outcome outcome, const char *reason)
{
        struct plan *plan = unit->plan;
        struct plan_waiter *waiter, *next;

        LIST_FOREACH_SAFE(waiter, &unit->waiters, by_unit, next)
        {
                if ((int32_t) (waiter->generation - generation) > 0)
                        continue;
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

static void set_error(struct unit *unit, const char *reason)
{
        free(unit->error);
        unit->error = reason ? strdup(reason) : NULL;
}

static void set_refused(struct unit *unit, bool refused)
{
        unit->plan->n_refused += (unsigned) refused - (unsigned) unit->refused;
        unit->refused = refused;
}

static void enqueue(struct unit *unit, enum plan_action action)
{
        struct unit_list *queue = &unit_lane(unit)->queues[action];

        if (unit->queue == queue || unit->group)
                return;
        leave_queue(unit);
        TAILQ_INSERT_TAIL(queue, unit, by_queue);
        unit->queue = queue;
}

static void write_row(struct unit *unit, enum row_state row, bool wait)
{
        unit->row = row;
        unit->row_busy = wait;
        unit->plan->ops->put_row(unit->plan->userdata, unit, wait);
}

static void delete_row(struct unit *unit)
{
        if (unit->row == ROW_NONE)
                return;
        unit->row = ROW_NONE;
        rrset_clear(&unit->row_set);
        rrset_clear(&unit->published);
        unit->published_known = false;
        unit->sent = false;
        unit->plan->ops->delete_row(unit->plan->userdata, unit);
}

static int replace_set(struct rrset *to, const struct rrset *from)
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
        leave_queue(unit);
        leave_group(unit);
        end_waiters(unit, unit->generation, WAIT_PUBLISHED, NULL);
        if (!unit->refused)
                unit_destroy(unit);
}

/* Before the first publication its row: a crash must not leave records that nobody knows of. Where nothing
 * foreign is protected, whatever is at the name is ours from now on. */
static void begin_row(struct unit *unit)
{
        bool protect = unit->plan->options.protect_foreign;

        leave_queue(unit);
        if (replace_set(&unit->row_set, &unit->wanted) < 0) {
                /* Memory is out: the unit waits, as for a rejection. */
                (void) heap_put(&unit->plan->retries, &unit->retry, 0);
                return;
        }
        unit->sent = false;
        write_row(unit, protect ? ROW_DOUBTFUL : ROW_OURS, true);
}

static void route_ours(struct unit *unit)
{
        bool in_sync = unit->published_known && rrset_equal(&unit->published, &unit->wanted);

        if (rrset_is_empty(&unit->wanted) && in_sync) {
                delete_row(unit);
                settle(unit);
                return;
        }
        if (in_sync) {
                /* What the row says beyond what is there would be compared for nothing after a crash. */
                if (!rrset_equal(&unit->row_set, &unit->wanted) &&
                    replace_set(&unit->row_set, &unit->wanted) >= 0)
                        write_row(unit, ROW_OURS, false);
                settle(unit);
                return;
        }
        /* A PTR beside those of others is removed by its value: it has to be known before it is sent. */
        if (unit->kind == UNIT_PTR && !rrset_contains_all(&unit->row_set, &unit->wanted)) {
                leave_queue(unit);
                if (rrset_add_all(&unit->row_set, &unit->wanted) >= 0)
                        write_row(unit, ROW_OURS, true);
                return;
        }
        enqueue(unit, PLAN_REPLACE);
}

/* May destroy the unit. */
static void route(struct unit *unit)
{
        if (unit->in_flight || unit->row_busy || heap_contains(&unit->retry) || unit->plan->loading) {
                leave_queue(unit);
                return;
        }
        if (unit->refused) {
                leave_queue(unit);
                if (rrset_is_empty(&unit->wanted) && LIST_EMPTY(&unit->waiters))
                        unit_destroy(unit);
                return;
        }
        if (unit->row_unwritten) {
                leave_queue(unit);
                write_row(unit, unit->row, true);
                return;
        }
        if (unit->checking) {
                enqueue(unit, PLAN_QUERY);
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
                if (unit->sent || unit->unsettled)
                        enqueue(unit, PLAN_QUERY);
                else if (rrset_is_empty(&unit->wanted)) {
                        delete_row(unit);
                        settle(unit);
                } else if (!rrset_equal(&unit->row_set, &unit->wanted))
                        begin_row(unit);
                else
                        enqueue(unit, PLAN_FIRST);
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
        set_refused(unit, false);
        heap_remove(&unit->plan->retries, &unit->retry);
        unit->attempts = 0;
        set_error(unit, NULL);
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
        route(unit);
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
        if (!unit || rrset_copy(&unit->row_set, row_set) < 0 || rrset_copy(&unit->published, row_set) < 0)
                return -ENOMEM;
        unit->row = row;
        unit->sent = row == ROW_DOUBTFUL;
        return 0;
}

void plan_load_done(struct plan *plan)
{
        struct unit *unit, *next;

        plan->loading = false;
        RB_FOREACH_SAFE (unit, unit_tree, &plan->units, next)
                route(unit);
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
                set_refused(unit, false);
                route(unit);
                return 0;
        }
        r = unit_in_sync(plan, kind, lane, owner, wanted, &unit);
        if (r < 0)
                return r;
        unit->checking = true;
        route(unit);
        return 0;
}

int plan_republish(struct plan *plan, enum unit_kind kind, unsigned lane, const struct dns_name *owner,
                   const struct rrset *wanted)
{
        struct unit *unit = plan_find(plan, kind, owner);
        int r;

        if (!unit) {
                r = unit_in_sync(plan, kind, lane, owner, wanted, &unit);
                if (r < 0)
                        return r;
        }
        if (unit->row == ROW_OURS) {
                rrset_clear(&unit->published);
                unit->published_known = true;
        }
        route(unit);
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
                set_error(unit, "the registrar could not store what it is about to publish");
                (void) heap_put(&plan->retries, &unit->retry, now_usec + BACKOFF_MIN_USEC);
                end_waiters(unit, unit->generation, WAIT_FAILED, unit->error);
                return;
        }
        route(unit);
}

/* --- back-off --- */

/* Up to a quarter shorter or longer, so that many do not come back at once. */
static usec_t backoff_usec(struct plan *plan, unsigned failures)
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
        lane->backoff_until_usec = now_usec + backoff_usec(plan, lane->failures++);
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
                route(unit);
        }
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

static bool take_unit(struct plan_batch *batch, struct unit *unit)
{
        if (replace_set(&unit->sending, &unit->wanted) < 0)
                return false;
        leave_queue(unit);
        leave_group(unit);
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

/* What a unit would be sent as, were it not in a group. */
static int unit_action(const struct unit *unit)
{
        if (unit->in_flight || unit->row_busy || unit->refused || heap_contains(&unit->retry) ||
            unit->checking)
                return -1;
        if (unit->row == ROW_DOUBTFUL && !unit->sent && !unit->unsettled &&
            rrset_equal(&unit->row_set, &unit->wanted))
                return PLAN_FIRST;
        if (unit->row == ROW_OURS &&
            !(unit->published_known && rrset_equal(&unit->published, &unit->wanted)) &&
            (unit->kind == UNIT_FORWARD || rrset_contains_all(&unit->row_set, &unit->wanted)))
                return PLAN_REPLACE;
        return -1;
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
                        if (action < 0 || unit_action(unit) != action || !take_unit(batch, unit))
                                route(unit);
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
                if (!take_unit(batch, unit))
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
                route(unit);
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
                static const enum plan_action order[] = { PLAN_REPLACE, PLAN_QUERY, PLAN_FIRST };
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

/* --- answers --- */

/* Foreign data at this name. */
static void refuse(struct unit *unit, const char *reason)
{
        struct plan *plan = unit->plan;

        delete_row(unit);
        set_error(unit, reason);
        set_refused(unit, true);
        leave_queue(unit);
        /* What follows from it is on its way before anybody is told. */
        plan->ops->refused(plan->userdata, unit, reason);
        end_waiters(unit, unit->generation, WAIT_REFUSED, reason);
}

static void acknowledge(struct unit *unit)
{
        bool first = unit->row == ROW_DOUBTFUL;
        struct rrset acknowledged = unit->sending;

        unit->sending = (struct rrset){};
        unit->attempts = 0;
        set_error(unit, NULL);
        unit->row = ROW_OURS;
        unit->sent = false;
        rrset_clear(&unit->published);
        unit->published = acknowledged;
        unit->published_known = true;
        if (!rrset_is_empty(&unit->published) && (first || !rrset_equal(&unit->row_set, &unit->published))) {
                if (replace_set(&unit->row_set, &unit->published) >= 0)
                        write_row(unit, ROW_OURS, false);
        }
        end_waiters(unit, unit->sending_generation, WAIT_PUBLISHED, NULL);
        route(unit);
}

/* The server has something against this unit alone. */
static void reject_alone(struct unit *unit, const char *reason, usec_t now_usec)
{
        struct plan *plan = unit->plan;
        unsigned lane = unit->lane;

        set_error(unit, reason);
        (void) heap_put(&plan->retries, &unit->retry, now_usec + backoff_usec(plan, unit->attempts++));
        end_waiters(unit, unit->generation, WAIT_FAILED, unit->error);
        if (++plan->lanes[lane].lone_rejections >= LONE_REJECTIONS_MAX)
                fail_lane(plan, lane, reason, now_usec);
}

static void finish_unit(struct unit *unit, enum plan_action action, enum plan_outcome outcome,
                        const char *reason, usec_t now_usec)
{
        unit->in_flight = false;
        switch (outcome) {
        case PLAN_ACKNOWLEDGED:
                if (action == PLAN_FIRST && unit->plan->options.read_back && unit->kind == UNIT_FORWARD) {
                        unit->sent = true;
                        break;
                }
                acknowledge(unit);
                return;
        case PLAN_PREREQUISITE:
                if (action == PLAN_FIRST) {
                        unit->unsettled = true;
                        break;
                }
                reject_alone(unit, reason, now_usec);
                return;
        case PLAN_REJECTED:
                reject_alone(unit, reason, now_usec);
                return;
        case PLAN_LOST:
                if (action == PLAN_FIRST)
                        unit->sent = true;
                else if (action == PLAN_REPLACE)
                        unit->published_known = false;
                break;
        case PLAN_DENIED:
        case PLAN_UNSENT:
                break;
        }
        route(unit);
}

/* A rejected message of several units: its halves are tried apart. False when memory is out. */
static bool split(struct plan_batch *batch)
{
        struct plan_lane *lane = &batch->plan->lanes[batch->lane];
        unsigned half = batch->n_units / 2, at = 0;

        for (unsigned part = 0; part < 2; part++) {
                unsigned n = part == 0 ? half : batch->n_units - half;
                struct unit_group *group = malloc(sizeof(*group) + n * sizeof(group->units[0]));

                if (!group)
                        return false;
                group->n_units = n;
                for (unsigned i = 0; i < n; i++) {
                        struct unit *unit = batch->units[at];

                        batch->units[at++] = NULL;
                        unit->in_flight = false;
                        unit->group = group;
                        group->units[i] = unit;
                }
                TAILQ_INSERT_TAIL(&lane->groups, group, by_lane);
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
            split(batch)) {
                batch_done(batch);
                return;
        }
        plan_finish_rest(batch, outcome, reason, now_usec);
}

static void answer_doubt(struct unit *unit, const struct rrset *found, bool foreign, usec_t now_usec)
{
        bool was_sent = unit->sent;

        unit->sent = unit->unsettled = false;
        if (!foreign && rrset_is_empty(found)) {
                /* Once it may have been removed in between; twice, the server does as it likes. */
                if (unit->attempts++ == 0)
                        route(unit);
                else
                        reject_alone(unit,
                                     was_sent ? "the server accepted the records but does not have them"
                                              : "the server says that there is other data at this name",
                                     now_usec);
                return;
        }
        if (!foreign && was_sent && rrset_equal(found, &unit->row_set)) {
                struct rrset copy;

                if (rrset_copy(&copy, found) < 0) {
                        unit->sent = true;
                        route(unit);
                        return;
                }
                rrset_clear(&unit->sending);
                unit->sending = copy;
                unit->sending_generation = rrset_equal(&copy, &unit->wanted) ? unit->generation
                                                                             : unit->generation - 1;
                acknowledge(unit);
                return;
        }
        refuse(unit, foreign ? "the DNS server has a CNAME, a delegation or the like at this name"
                             : "the DNS server has addresses of its own at this name");
}

/* PTRs of others do not matter; one like ours that was there before ours must survive ours. */
static void answer_ptr_doubt(struct unit *unit, const struct rrset *found)
{
        bool there = !rrset_is_empty(&unit->row_set) && rrset_contains_all(found, &unit->row_set);

        if (unit->unsettled && !unit->sent && there) {
                unit->unsettled = false;
                delete_row(unit);
                set_error(unit, "the DNS server has this PTR record of its own");
                set_refused(unit, true);
                end_waiters(unit, unit->generation, WAIT_PUBLISHED, NULL);
                return;
        }
        unit->sent = unit->unsettled = false;
        if (rrset_is_empty(found)) {
                route(unit);
                return;
        }
        unit->row = ROW_OURS;
        unit->published_known = false;
        write_row(unit, ROW_OURS, true);
}

static void answer_check(struct unit *unit, const struct rrset *found, bool foreign)
{
        bool as_it_should = unit->kind == UNIT_PTR ? rrset_contains_all(found, &unit->wanted)
                                                   : !foreign && rrset_equal(found, &unit->wanted);

        unit->checking = false;
        if (!as_it_should) {
                unit->published_known = false;
                unit->plan->ops->drifted(unit->plan->userdata, unit);
        }
        route(unit);
}

void plan_answer(struct plan_batch *batch, unsigned i, const struct rrset *found, bool foreign,
                 usec_t now_usec)
{
        struct unit *unit = batch->units[i];

        if (!unit)
                return;
        batch->units[i] = NULL;
        unit->in_flight = false;
        if (!batch->plan->lanes[batch->lane].lone_rejections)
                succeed_lane(batch->plan, batch->lane);
        if (unit->checking)
                answer_check(unit, found, foreign);
        else if (unit->row != ROW_DOUBTFUL)
                route(unit);
        else if (unit->kind == UNIT_PTR)
                answer_ptr_doubt(unit, found);
        else
                answer_doubt(unit, found, foreign, now_usec);
}
