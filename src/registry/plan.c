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

static void unit_count_settling(struct unit *unit, bool settling)
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

static void unit_destroy(struct unit *unit)
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

static struct unit *add_unit(struct plan *plan, unsigned lane, const struct dns_name *owner)
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

bool unit_is_accepted(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (part->accepted)
                        return true;
        return false;
}

static bool unit_in_sync(const struct unit *unit)
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

/* --- routing: which queue is a unit's next step in --- */

void unit_set_error(struct unit *unit, const char *reason)
{
        free(unit->error);
        unit->error = reason ? strdup(reason) : NULL;
}

void unit_hold(struct unit *unit, usec_t until_usec)
{
        unit_leave_queue(unit);
        /* There is room for every unit. */
        (void) heap_put(&unit->plan->retries, &unit->retry, until_usec);
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

bool unit_wants_anything(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (!rrset_is_empty(&part->wanted))
                        return true;
        return false;
}

static bool must_probe(const struct unit *unit)
{
        return unit->plan->options.probe && !unit->probed && !unit_is_accepted(unit) &&
               unit_wants_anything(unit);
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
                        part->stored = part->changed = false;
                }
                part->writing = part->deleting = false;
                unit_route(unit);
        }
        plan->ops->ready(plan->userdata);
}

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
                unit = add_unit(plan, lane, owner);
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
                unit = add_unit(plan, lane, &row->owner);
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
        struct unit *unit = add_unit(plan, lane, owner);
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
