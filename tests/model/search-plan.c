/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The publication plan, the structs that the daemon runs on, in every order of events within bounds: one
 * name, two keys that claim, change and give it up, one name server that checks a message when it arrives and
 * applies it later from a queue, answers that do not come, kill -9 and a start from the rows, and, if asked
 * for, messages that arrive twice, or records of an administrator at the name. Breadth first, so what is
 * printed is the shortest way to go wrong.
 *
 * What must hold: no NOERROR that is not so; the owner is never refused over records of its own; what is
 * foreign stays; and at rest the server has what is wanted.
 *
 * --plant NAME leaves one rule out, to see that it is found. Exit 0: all holds (with --plant: a violation was
 * found), 1: not so. */

#include <getopt.h>
#include <stdio.h>

#include "registry/plan-internal.h"

/* One step of time makes every message of before too old. */
#define EPOCH_USEC (1000 * USEC_PER_SEC)
#define FUDGE_SEC  100
#define MARGIN_SEC 5
#define MESSAGES   8
#define VALUES_ROW PART_VALUES_MAX
#define PATH_MAX_  200

enum value { NONE, A, B, C, FOREIGN, _VALUES };
static const char *const value_names[_VALUES] = { "nothing", "a", "b", "c", "foreign data" };

enum plant {
        PLANT_NOTHING,
        PLANT_QUERY_SETTLES,   /* a look does not queue behind what arrived before */
        PLANT_ACK_CLEARS,      /* an acknowledged message ends all doubt */
        PLANT_ACK_DELETES,     /* an acknowledged removal deletes the row */
        PLANT_NOT_HARMLESS,    /* NOERROR at the acknowledgement, whatever is in doubt */
        PLANT_NEWEST_ONLY,     /* a row holds the newest value only */
        PLANT_VOLATILE,        /* doubt is only in memory, and only of what has not ended */
        PLANT_SKEW,            /* the server's clock is a step behind what it is taken for */
        PLANT_TWIN_IS_TRUSTED, /* what is answered is in no doubt, though it may arrive twice */
        PLANT_NO_PREREQUISITE, /* a first publication asks for nothing */
        PLANT_NO_FIRST_LOOK,   /* nobody looks before the first publication */
        _PLANTS,
};
static const char *const plant_names[_PLANTS] = {
        "nothing",  "query-settles", "ack-clears",      "ack-deletes",     "not-harmless",  "newest-only",
        "volatile", "skew",          "twin-is-trusted", "no-prerequisite", "no-first-look",
};

static struct {
        enum plant plant;
        unsigned n_wishes, n_losses, n_kills, n_epochs;
        bool duplicates, foreign, look_first, slow_rows, verbose;
        enum value there; /* foreign, from the beginning */
        size_t max_states;
} setting = { .n_wishes = 3, .n_losses = 2, .n_kills = 1, .n_epochs = 2, .max_states = 120000 };

struct message {
        bool look;
        bool asks; /* it has a prerequisite */
        uint8_t before, after;
        uint8_t epoch;
        bool current; /* its answer is waited for */
};

struct row {
        bool there;
        uint32_t flags;
        uint8_t n_values;
        uint8_t values[VALUES_ROW];
};

struct world {
        uint8_t server;
        struct message net[MESSAGES], queue[MESSAGES];
        uint8_t n_net, n_queue;
        uint8_t epoch, owner, wish;
        bool refused, promised;
        uint8_t n_wishes, n_losses, n_kills;
        struct row row;       /* on the disk */
        struct row row_later; /* being written */
        bool row_waits;
        struct plan *plan;
        struct plan_batch *batch;
        struct plan_waiter waiter;
};

static struct rrset sets[_VALUES];
static struct dns_name zone, owner;
static bool overflow;

/* --- what the plan asks for --- */

static enum value value_of(const struct rrset *set)
{
        for (enum value i = NONE; i < _VALUES; i++)
                if (rrset_equal(set, &sets[i]))
                        return i;
        assert(false);
        return NONE;
}

static usec_t now_of(const struct world *world)
{
        return (world->epoch + 1U) * EPOCH_USEC;
}

static void write_row(struct world *world, const struct row *row)
{
        if (setting.slow_rows) {
                world->row_later = *row;
                world->row_waits = true;
        } else
                world->row = *row;
}

static struct unit *the_unit(const struct world *world)
{
        return RB_MIN(unit_tree, &world->plan->units);
}

/* The write in which nobody dies is told as done by settle_rows(). */
static int on_put(void *userdata, struct unit_part *part, const struct unit_row *key, waiter_done done)
{
        struct world *world = userdata;
        struct row row = { .there = true,
                           .flags = key->flags & UNIT_ROW_ACCEPTED,
                           .n_values = part->n_values };

        for (unsigned i = 0; i < part->n_values; i++)
                row.values[i] = (uint8_t) value_of(&part->values[i]);
        if (setting.plant == PLANT_NEWEST_ONLY) {
                row.values[0] = row.values[row.n_values - 1];
                row.n_values = 1;
        }
        write_row(world, &row);
        return 0;
}

static int on_delete(void *userdata, struct unit_part *part, const struct unit_row *key, waiter_done done)
{
        const struct row none = {};

        write_row(userdata, &none);
        return 0;
}

static void on_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                      const char *reason)
{
        struct world *world = userdata;

        if (outcome == WAIT_PUBLISHED)
                world->promised = true;
}

/* The registry undoes the claim. */
static void on_refused(void *userdata, struct unit *unit, uint16_t type, const char *reason)
{
        ((struct world *) userdata)->refused = true;
}

static void on_drifted(void *userdata, const struct unit *unit)
{
}

static void on_lane_changed(void *userdata, unsigned lane)
{
}

static void on_ready(void *userdata)
{
}

static const struct plan_ops ops = {
        .put_row = on_put,
        .delete_row = on_delete,
        .waited = on_waited,
        .refused = on_refused,
        .drifted = on_drifted,
        .lane_changed = on_lane_changed,
        .ready = on_ready,
};

static struct plan_options options = {
        .protect_foreign = true,
        .verify = true,
        .bounded = true,
        .margin_sec = MARGIN_SEC,
        .max_units = 8,
        .max_in_flight = 2,
};

/* --- steps of the daemon that nothing comes between --- */

static void settle_rows(struct world *world)
{
        struct unit *unit;

        while ((unit = the_unit(world)) && unit->parts && (unit->parts->writing || unit->parts->deleting))
                unit_row_written(unit->parts, 0);
}

static void wish_for(struct world *world, enum value wish);

/* Back-offs are over when something happens; who is refused gives the name up. */
static void calm(struct world *world)
{
        struct plan *plan = world->plan;
        struct heap_node *node;

        for (;;) {
                if (!setting.slow_rows)
                        settle_rows(world);
                if (world->refused && world->wish != NONE) {
                        world->owner = 0;
                        world->promised = false;
                        wish_for(world, NONE);
                        continue;
                }
                node = heap_first(&plan->retries);
                if (!node)
                        break;
                heap_remove(&plan->retries, node);
                unit_route(container_of(node, struct unit, retry));
        }
        plan->lanes[0].backoff_until_usec = 0;
        plan->lanes[0].failures = plan->lanes[0].lone_rejections = 0;
        plan->random = 1;
        if (the_unit(world))
                the_unit(world)->attempts = the_unit(world)->n_late = 0;
}

static void clear_doubts(struct world *world)
{
        struct unit *unit = the_unit(world);

        if (unit && unit->parts)
                unit->parts->n_doubts = 0;
        if (unit && !unit->in_flight)
                unit_route(unit);
}

static struct plan *make_plan(struct world *world)
{
        struct plan *plan = plan_new(&options, &ops, world, 1);

        assert(plan && plan_add_lane(plan, UNIT_EXCLUSIVE, &zone) == 0);
        plan->fudge_sec = FUDGE_SEC;
        plan->now_usec = now_of(world);
        return plan;
}

static void wish_for(struct world *world, enum value wish)
{
        enum value before = (enum value) world->wish;
        struct unit *unit;

        plan_waiter_cancel(&world->waiter);
        world->promised = false;
        world->wish = (uint8_t) wish;
        assert(plan_change(world->plan, 0, &owner, &sets[before], &sets[wish]) == 0);
        unit = the_unit(world);
        if (!unit || unit_is_done(unit))
                world->promised = !world->refused;
        else if (!world->refused)
                plan_wait(unit, &world->waiter);
}

static uint8_t *put_u32(uint8_t *at, size_t value)
{
        for (unsigned i = 0; i < 4; i++)
                *at++ = (uint8_t) (value >> (24 - 8 * i));
        return at;
}

/* kill -9, and a start. */
static void start_again(struct world *world)
{
        uint8_t values[512], *at = values;
        struct unit_row row = { .zone = zone, .owner = owner, .type = DNS_TYPE_A, .flags = world->row.flags };

        plan_waiter_cancel(&world->waiter);
        if (world->batch)
                free(world->batch);
        world->batch = NULL;
        plan_free(world->plan);
        world->row_waits = false;
        for (unsigned i = 0; i < world->n_net; i++)
                world->net[i].current = false;
        for (unsigned i = 0; i < world->n_queue; i++)
                world->queue[i].current = false;
        world->plan = make_plan(world);
        plan_load_begin(world->plan);
        if (world->wish != NONE)
                assert(plan_change(world->plan, 0, &owner, &sets[NONE], &sets[world->wish]) == 0);
        for (unsigned i = 0; i < world->row.n_values; i++) {
                const struct rrset *set = &sets[world->row.values[i]];

                at = put_u32(at, set->size);
                /* The empty one has no octets, and memcpy() takes no NULL. */
                if (set->size > 0)
                        memcpy(at, set->bytes, set->size);
                at += set->size;
        }
        row.flags |= FUDGE_SEC << UNIT_ROW_FUDGE_SHIFT;
        row.values = values;
        row.values_size = (size_t) (at - values);
        if (world->row.there)
                assert(plan_load(world->plan, 0, &row) == 0);
        plan_load_done(world->plan, now_of(world));
        if (setting.plant == PLANT_VOLATILE)
                clear_doubts(world);
}

/* --- the server --- */

static bool is_alive(const struct world *world, const struct message *message)
{
        return world->epoch <= message->epoch + (setting.plant == PLANT_SKEW);
}

static void give_up(struct world *world)
{
        for (unsigned i = 0; i < world->n_net; i++)
                world->net[i].current = false;
        for (unsigned i = 0; i < world->n_queue; i++)
                world->queue[i].current = false;
}

static void finish(struct world *world, enum plan_outcome outcome)
{
        struct plan_batch *batch = TAKE_PTR(world->batch);
        bool look = batch->action == PLAN_VERIFY, removal;
        struct unit *unit = batch->units[0];

        removal = !look && unit->parts->in_message && unit->parts->after >= 0 &&
                  rrset_is_empty(&unit->parts->values[unit->parts->after]);
        batch->twin = setting.duplicates && setting.plant != PLANT_TWIN_IS_TRUSTED && !look;
        plan_finish(batch, outcome, "because", now_of(world));
        if (!setting.slow_rows)
                settle_rows(world);
        if (setting.plant == PLANT_VOLATILE)
                clear_doubts(world);
        if (outcome != PLAN_ACKNOWLEDGED || look)
                return;
        if (setting.plant == PLANT_ACK_CLEARS)
                clear_doubts(world);
        if (setting.plant == PLANT_ACK_DELETES && removal && world->wish == NONE)
                clear_doubts(world);
        unit = the_unit(world);
        if (setting.plant == PLANT_NOT_HARMLESS && unit && unit->parts->known >= 0 && !world->refused &&
            rrset_equal(&unit->parts->values[unit->parts->known], &sets[world->wish]))
                world->promised = true;
}

/* The server's queue moves on. */
static void apply(struct world *world)
{
        struct message message = world->queue[0];
        bool holds = !message.asks || world->server == message.before;

        memmove(&world->queue[0], &world->queue[1], --world->n_queue * sizeof(world->queue[0]));
        if (holds && !message.look)
                world->server = message.after;
        if (message.current)
                finish(world, holds ? PLAN_ACKNOWLEDGED : PLAN_PREREQUISITE);
}

static void arrive(struct world *world, unsigned i)
{
        struct message message = world->net[i];

        if (setting.duplicates && !message.look && message.current)
                world->net[i].current = false; /* its twin is still under way */
        else
                memmove(&world->net[i], &world->net[i + 1], (--world->n_net - i) * sizeof(message));
        if (world->n_queue == MESSAGES) {
                overflow = true;
                return;
        }
        world->queue[world->n_queue++] = message;
}

static void time_passes(struct world *world)
{
        bool late = false;
        unsigned n = 0;

        world->epoch++;
        for (unsigned i = 0; i < world->n_net; i++) {
                if (is_alive(world, &world->net[i]))
                        world->net[n++] = world->net[i];
                else
                        late |= world->net[i].current;
        }
        world->n_net = (uint8_t) n;
        if (!late)
                return;
        /* BADTIME, signed; where messages may have twins, it says nothing. */
        if (setting.duplicates)
                finish(world, PLAN_LOST);
        else
                finish(world, PLAN_LATE);
}

static void answer_query(struct world *world)
{
        struct plan_batch *batch = TAKE_PTR(world->batch);

        plan_answer(batch, 0, &sets[world->server], false, now_of(world));
        plan_finish_rest(batch, PLAN_ACKNOWLEDGED, NULL, now_of(world));
        if (!setting.slow_rows)
                settle_rows(world);
}

static void send_batch(struct world *world, struct plan_batch *batch)
{
        struct plan_position position = {};
        struct message message = { .epoch = world->epoch, .current = true };
        struct plan_item item;

        world->batch = batch;
        if (batch->action == PLAN_QUERY) {
                answer_query(world);
                return;
        }
        while (plan_item_next(batch->units[0], &position, &item)) {
                if (item.type != DNS_TYPE_A)
                        continue;
                message.asks = item.before;
                message.before = item.before ? (uint8_t) value_of(item.before) : 0;
                message.look = !item.after;
                message.after = item.after ? (uint8_t) value_of(item.after) : 0;
        }
        if (setting.plant == PLANT_NO_PREREQUISITE && batch->action == PLAN_FIRST)
                message.asks = false;
        plan_sent(batch, (world->epoch + 1U) * 1000U, FUDGE_SEC, 1, now_of(world));
        if (setting.plant == PLANT_QUERY_SETTLES && message.look) {
                finish(world, world->server == message.before ? PLAN_ACKNOWLEDGED : PLAN_PREREQUISITE);
                return;
        }
        if (world->n_net == MESSAGES) {
                overflow = true;
                return;
        }
        world->net[world->n_net++] = message;
}

/* --- worlds --- */

static struct unit_list *same_queue(const struct unit *unit, const struct plan_lane *from,
                                    struct plan_lane *to)
{
        for (unsigned i = 0; i < _PLAN_ACTIONS; i++)
                if (unit->queue == &from->queues[i])
                        return &to->queues[i];
        return NULL;
}

static struct rrset set_copy(const struct rrset *set)
{
        struct rrset copy;

        assert(rrset_copy(&copy, set) == 0);
        return copy;
}

static struct unit_part *clone_part(const struct unit_part *part, struct unit *unit)
{
        struct unit_part *copy = malloc(sizeof(*copy));

        assert(copy && !part->next);
        *copy = *part;
        copy->unit = unit;
        copy->rr = (struct rrset){};
        copy->wanted = set_copy(&part->wanted);
        for (unsigned i = 0; i < part->n_values; i++)
                copy->values[i] = set_copy(&part->values[i]);
        if (part->doubts) {
                copy->doubts = malloc(PART_DOUBTS_MAX * sizeof(*copy->doubts));
                memcpy(copy->doubts, part->doubts, PART_DOUBTS_MAX * sizeof(*copy->doubts));
        }
        return copy;
}

static struct unit *clone_unit(const struct unit *unit, struct plan *plan)
{
        struct unit *copy = malloc(sizeof(*copy) + unit->owner_length);

        assert(copy);
        memcpy(copy, unit, sizeof(*copy) + unit->owner_length);
        copy->plan = plan;
        copy->sending = set_copy(&unit->sending);
        copy->found = set_copy(&unit->found);
        copy->error = unit->error ? strdup(unit->error) : NULL;
        copy->parts = clone_part(unit->parts, copy);
        copy->walked = unit->walked ? copy->parts : NULL;
        LIST_INIT(&copy->waiters);
        copy->queue = same_queue(unit, unit_lane(unit), &plan->lanes[0]);
        if (copy->queue)
                TAILQ_INSERT_TAIL(copy->queue, copy, by_queue);
        copy->retry = copy->settle = HEAP_NODE_INIT;
        if (heap_contains(&unit->retry))
                assert(heap_put(&plan->retries, &copy->retry, unit->retry.key) == 0);
        if (heap_contains(&unit->settle))
                assert(heap_put(&plan->settles, &copy->settle, unit->settle.key) == 0);
        RB_INSERT(unit_tree, &plan->units, copy);
        return copy;
}

static struct plan *clone_plan(const struct plan *plan, struct world *to)
{
        struct plan *copy = make_plan(to);
        struct plan_lane *lanes = copy->lanes;
        struct unit *unit = RB_MIN(unit_tree, (struct unit_tree *) &plan->units);

        assert(plan->n_units <= 1);
        *copy = *plan;
        copy->lanes = lanes;
        copy->userdata = to;
        copy->units = (struct unit_tree) RB_INITIALIZER(&copy->units);
        copy->retries = copy->settles = (struct heap){};
        lanes[0].n_in_flight = plan->lanes[0].n_in_flight;
        lanes[0].looks_last = plan->lanes[0].looks_last;
        if (unit)
                (void) clone_unit(unit, copy);
        return copy;
}

static struct world *clone_world(const struct world *world)
{
        struct world *copy = malloc(sizeof(*copy));

        assert(copy);
        *copy = *world;
        copy->waiter = (struct plan_waiter){};
        copy->plan = clone_plan(world->plan, copy);
        if (world->batch) {
                copy->batch = malloc(sizeof(*copy->batch) + sizeof(copy->batch->units[0]));
                assert(copy->batch);
                *copy->batch = *world->batch;
                copy->batch->plan = copy->plan;
                copy->batch->units[0] = the_unit(copy);
        }
        if (world->waiter.unit) {
                plan_wait(the_unit(copy), &copy->waiter);
                copy->waiter.generation = world->waiter.generation;
        }
        return copy;
}

static void free_world(struct world *world)
{
        if (!world)
                return;
        free(world->batch);
        plan_free(world->plan);
        free(world);
}

/* --- what a world is, as octets --- */

struct key {
        uint8_t octets[400];
        size_t size;
};

static void put(struct key *key, uint64_t value)
{
        assert(key->size + 2 <= sizeof(key->octets));
        key->octets[key->size++] = (uint8_t) value;
        key->octets[key->size++] = (uint8_t) (value >> 8);
}

static int compare_messages(const void *a, const void *b)
{
        return memcmp(a, b, sizeof(struct message));
}

static void put_message(struct key *key, const struct message *message)
{
        put(key, (uint64_t) (message->look | message->asks << 1 | message->current << 2 |
                             message->before << 4 | message->after << 8 | message->epoch << 12));
}

static void put_part(struct key *key, const struct unit_part *part)
{
        put(key, (uint64_t) (part->accepted | part->stored << 1 | part->changed << 2 | part->writing << 3 |
                             part->deleting << 4 | part->again << 5 | part->full << 6 | part->refused << 7 |
                             part->in_message << 8 | part->again_then << 9 | part->seen << 10));
        put(key, (uint64_t) (part->known + 3) << 8 | part->n_values << 4 | part->n_doubts);
        put(key, value_of(&part->wanted));
        for (unsigned i = 0; i < part->n_values; i++)
                put(key, value_of(&part->values[i]));
        for (unsigned i = 0; i < part->n_doubts; i++) {
                const struct part_doubt *doubt = &part->doubts[i];

                put(key, (uint64_t) ((doubt->before + 3) << 8 | doubt->after << 4 | doubt->as_of_start));
                put(key, doubt->until_sec / 100);
                put(key, doubt->due_usec / (100 * USEC_PER_SEC));
        }
        if (part->in_message)
                put(key, (uint64_t) ((part->before + 3) << 8 | part->after));
}

static void put_unit(struct key *key, const struct unit *unit)
{
        put_part(key, unit->parts);
        put(key, (uint64_t) (unit->in_flight | unit->found_alias << 1 | unit->beside << 2 | unit->guard << 3 |
                             unit->read_back << 4 | unit->complete << 5 | unit->settling << 6 |
                             unit->rejected << 7 | unit->refuted_alone << 8 | unit->walk_in_doubt << 9));
        put(key, (uint64_t) (unit->look << 8 | unit->walk_step << 4 | (unit->walked != NULL)));
        put(key, (uint64_t) (MIN(unit->crowd, 2U) << 8 | MIN(unit->n_refutals, 6U)));
        put(key, MIN(unit->generation - unit->sending_generation, 9U));
        if (unit->look != LOOK_NOT) {
                put(key, value_of(&unit->sending));
                put(key, value_of(&unit->found));
        }
        for (unsigned i = 0; i < _PLAN_ACTIONS; i++)
                if (unit->queue == &unit_lane(unit)->queues[i])
                        put(key, i + 1);
}

static void put_row(struct key *key, const struct row *row)
{
        put(key, (uint64_t) (row->there | row->n_values << 1 | row->flags << 8));
        for (unsigned i = 0; i < row->n_values; i++)
                put(key, row->values[i]);
}

static void make_key(const struct world *world, struct key *key)
{
        struct message net[MESSAGES] = {};

        key->size = 0;
        put(key, (uint64_t) (world->server << 8 | world->n_net << 4 | world->n_queue));
        put(key, (uint64_t) (world->epoch << 8 | world->owner << 4 | world->wish));
        put(key, (uint64_t) (world->refused | world->promised << 1 | (world->waiter.unit != NULL) << 2));
        put(key, (uint64_t) (world->n_wishes << 8 | world->n_losses << 4 | world->n_kills));
        /* What is in the net has no order. */
        memcpy(net, world->net, world->n_net * sizeof(net[0]));
        qsort(net, world->n_net, sizeof(net[0]), compare_messages);
        for (unsigned i = 0; i < world->n_net; i++)
                put_message(key, &net[i]);
        for (unsigned i = 0; i < world->n_queue; i++)
                put_message(key, &world->queue[i]);
        put_row(key, &world->row);
        if (world->row_waits)
                put_row(key, &world->row_later);
        put(key, world->plan->start_sec);
        if (the_unit(world))
                put_unit(key, the_unit(world));
        if (world->batch)
                put(key, (uint64_t) world->batch->action << 8 | world->batch->signed_sec / 1000);
}

/* --- events --- */

enum event {
        EVENT_CLAIM_1,
        EVENT_CLAIM_2,
        EVENT_CHANGE,
        EVENT_RELEASE,
        EVENT_SEND,
        EVENT_ROW,
        EVENT_ASK,
        EVENT_APPLY,
        EVENT_NO_ANSWER,
        EVENT_TIME,
        EVENT_KILL,
        EVENT_ARRIVE, /* + which */
        _EVENTS = EVENT_ARRIVE + MESSAGES,
};

static void describe(const struct world *world, enum event event, char *text, size_t size)
{
        static const char *const texts[] = {
                "key 1 claims a",       "key 2 claims c",
                "key 1 changes",        "the owner gives it up",
                "the daemon sends",     "the row is on the disk",
                "the owner asks again", "applied",
                "no answer in time",    "time signed + fudge passes",
                "kill -9, start",
        };
        const struct message *message = NULL;

        if (event >= EVENT_ARRIVE)
                message = &world->net[event - EVENT_ARRIVE];
        else if (event == EVENT_APPLY)
                message = &world->queue[0];
        if (!message)
                snprintf(text, size, "%s", texts[event]);
        else if (message->look)
                snprintf(text, size, "%s: a look for %s", event == EVENT_APPLY ? "evaluated" : "arrives",
                         value_names[message->before]);
        else
                snprintf(text, size, "%s: %s -> %s (time %u%s)", event == EVENT_APPLY ? "applied" : "arrives",
                         message->asks ? value_names[message->before] : "anything",
                         value_names[message->after], message->epoch, message->current ? "" : ", given up");
}

static bool take_wish(struct world *world, uint8_t new_owner, enum value wish)
{
        if (world->n_wishes == 0)
                return false;
        world->n_wishes--;
        world->refused = false;
        world->owner = new_owner;
        wish_for(world, wish);
        return true;
}

static bool take_send(struct world *world)
{
        struct plan_batch *batch;

        if (world->batch)
                return false;
        batch = plan_next(world->plan, now_of(world));
        if (batch)
                send_batch(world, batch);
        return batch;
}

/* False: it cannot happen here. */
static bool take_event(struct world *world, enum event event)
{
        struct unit *unit = the_unit(world);

        switch (event) {
        case EVENT_CLAIM_1:
                return world->owner == 0 && take_wish(world, 1, A);
        case EVENT_CLAIM_2:
                return world->owner == 0 && take_wish(world, 2, C);
        case EVENT_CHANGE:
                return world->owner == 1 && take_wish(world, 1, world->wish == A ? B : A);
        case EVENT_RELEASE:
                return world->owner != 0 && take_wish(world, 0, NONE);
        case EVENT_SEND:
                return take_send(world);
        case EVENT_ROW:
                if (!world->row_waits)
                        return false;
                world->row = world->row_later;
                world->row_waits = false;
                unit_row_written(unit->parts, 0);
                return true;
        case EVENT_ASK:
                if (world->promised || world->refused || world->owner == 0 || (unit && !unit_is_done(unit)))
                        return false;
                world->promised = true;
                return true;
        case EVENT_APPLY:
                if (world->n_queue == 0)
                        return false;
                apply(world);
                return true;
        case EVENT_NO_ANSWER:
                if (!world->batch || world->n_losses == 0)
                        return false;
                world->n_losses--;
                give_up(world);
                finish(world, PLAN_LOST);
                return true;
        case EVENT_TIME:
                if (world->epoch == setting.n_epochs)
                        return false;
                time_passes(world);
                return true;
        case EVENT_KILL:
                if (world->n_kills == 0)
                        return false;
                world->n_kills--;
                start_again(world);
                return true;
        case EVENT_ARRIVE:
        case _EVENTS:
                break;
        }
        if (event - EVENT_ARRIVE >= world->n_net)
                return false;
        arrive(world, event - EVENT_ARRIVE);
        return true;
}

/* --- the oracle --- */

static const char *what_is_wrong(struct world *world)
{
        bool rests = world->n_queue == 0 && world->n_net == 0 && !world->batch && !world->row_waits &&
                     plan_deadline(world->plan) == USEC_INFINITY && !the_unit(world);
        enum value server = (enum value) world->server, wish = (enum value) world->wish;
        bool foreign_stays = setting.foreign && server == setting.there;

        if (setting.foreign && world->promised && wish != NONE)
                return "NOERROR was told over foreign data";
        if (world->promised && server != wish && !(wish == NONE && foreign_stays))
                return "NOERROR was told, and it is not so";
        if (world->refused && !setting.foreign)
                return "the owner is refused over records of our own";
        if (setting.foreign && !foreign_stays)
                return "foreign data is gone";
        if (rests && server != wish && !(foreign_stays && wish == NONE))
                return "at rest, for ever, it is not as wanted";
        return NULL;
}

/* --- search --- */

struct node {
        uint32_t parent;
        uint8_t event;
};

static struct {
        struct node *nodes;
        struct world **worlds;
        uint64_t (*seen)[2]; /* hashes, open addressing */
        size_t n_nodes, n_slots;
} search;

static uint64_t hash_of(const struct key *key, uint64_t hash)
{
        for (size_t i = 0; i < key->size; i++)
                hash = (hash ^ key->octets[i]) * UINT64_C(1099511628211);
        return hash ^ hash >> 29;
}

/* True: it is new. */
static bool note_seen(const struct world *world)
{
        struct key key;
        uint64_t hash[2];
        size_t slot;

        make_key(world, &key);
        hash[0] = hash_of(&key, UINT64_C(14695981039346656037)) | 1;
        hash[1] = hash_of(&key, UINT64_C(88172645463325252));
        for (slot = hash[0] % search.n_slots; search.seen[slot][0]; slot = (slot + 1) % search.n_slots)
                if (search.seen[slot][0] == hash[0] && search.seen[slot][1] == hash[1])
                        return false;
        search.seen[slot][0] = hash[0];
        search.seen[slot][1] = hash[1];
        return true;
}

static struct world *first_world(void)
{
        struct world *world = calloc(1, sizeof(*world));

        assert(world);
        world->server = (uint8_t) (setting.foreign ? setting.there : NONE);
        world->n_wishes = (uint8_t) setting.n_wishes;
        world->n_losses = (uint8_t) setting.n_losses;
        world->n_kills = (uint8_t) setting.n_kills;
        world->plan = make_plan(world);
        return world;
}

static void describe_plan(const struct world *world)
{
        const struct unit *unit = the_unit(world);

        printf("         server %s, wanted %s", value_names[world->server], value_names[world->wish]);
        if (unit) {
                const struct unit_part *part = unit->parts;

                printf(", known %s, values", part->known >= 0
                                                     ? value_names[value_of(&part->values[part->known])]
                                             : part->known == VALUE_OTHER ? "other"
                                                                          : "?");
                for (unsigned i = 0; i < part->n_values; i++)
                        printf(" %s", value_names[value_of(&part->values[i])]);
                for (unsigned i = 0; i < part->n_doubts; i++)
                        printf(", doubt %d->%d", part->doubts[i].before, part->doubts[i].after);
                printf(", look %u%s%s", unit->look, part->accepted ? ", accepted" : "",
                       world->promised ? ", promised" : "");
        }
        printf("\n");
}

static void print_path(size_t index, const char *wrong)
{
        enum event events[PATH_MAX_];
        unsigned n = 0;
        struct world *world = first_world();
        char text[160];

        for (; index > 0; index = search.nodes[index].parent)
                events[n++] = (enum event) search.nodes[index].event;
        printf("! %s\n", wrong);
        for (unsigned i = 1; n > 0; i++) {
                enum event event = events[--n];

                describe(world, event, text, sizeof(text));
                assert(take_event(world, event));
                calm(world);
                printf("    %2u. %s\n", i, text);
                if (setting.verbose)
                        describe_plan(world);
        }
        free_world(world);
}

static void add_world(struct world *world, size_t parent, enum event event)
{
        search.nodes[search.n_nodes] = (struct node){ .parent = (uint32_t) parent, .event = (uint8_t) event };
        search.worlds[search.n_nodes++] = world;
}

/* True: something went wrong. */
static bool expand(size_t index)
{
        struct world *world = search.worlds[index];

        for (enum event event = 0; event < _EVENTS && search.n_nodes < setting.max_states; event++) {
                struct world *next;
                const char *wrong;

                /* Twins in the net are one. */
                next = clone_world(world);
                if (!take_event(next, event)) {
                        free_world(next);
                        continue;
                }
                calm(next);
                if (!note_seen(next)) {
                        free_world(next);
                        continue;
                }
                add_world(next, index, event);
                wrong = what_is_wrong(next);
                if (wrong) {
                        print_path(search.n_nodes - 1, wrong);
                        return true;
                }
        }
        free_world(world);
        search.worlds[index] = NULL;
        return false;
}

static bool run(void)
{
        size_t index = 0;
        bool bad = false;

        search.n_slots = setting.max_states * 2 + 1;
        search.nodes = calloc(setting.max_states + 1, sizeof(*search.nodes));
        search.worlds = calloc(setting.max_states + 1, sizeof(struct world *));
        search.seen = calloc(search.n_slots, sizeof(*search.seen));
        assert(search.nodes && search.worlds && search.seen);
        add_world(first_world(), 0, 0);
        (void) note_seen(search.worlds[0]); /* the first is new */
        for (; index < search.n_nodes && !bad; index++)
                bad = expand(index);
        printf("%s%s%s%s%s: %u wishes, %u losses, %u kills, %u steps of time: %zu states%s%s: %s\n",
               setting.plant ? "without the rule " : "as it is",
               setting.plant ? plant_names[setting.plant] : "",
               setting.duplicates ? ", messages may arrive twice" : "",
               setting.foreign ? ", foreign data at the name" : "", setting.look_first ? ", looks first" : "",
               setting.n_wishes, setting.n_losses, setting.n_kills, setting.n_epochs, search.n_nodes,
               search.n_nodes == setting.max_states ? " (cut)" : "", overflow ? " (some left out)" : "",
               bad ? "goes wrong" : "holds");
        for (size_t i = 0; i < search.n_nodes; i++)
                free_world(search.worlds[i]);
        free(search.nodes);
        free(search.worlds);
        free(search.seen);
        return bad;
}

static void make_sets(void)
{
        static const char *const texts[_VALUES] = { NULL, "10.0.0.1", "10.0.0.2", "10.0.0.3", "192.0.2.1" };
        struct address address;

        assert(dns_name_parse("d.example.", &zone) == 0 && dns_name_parse("foo.d.example.", &owner) == 0);
        for (enum value i = A; i < _VALUES; i++) {
                assert(address_parse(texts[i], &address) == 0);
                assert(rrset_add_address(&sets[i], &address) == 0);
        }
}

static bool parse_plant(const char *text)
{
        for (enum plant i = PLANT_NOTHING; i < _PLANTS; i++)
                if (streq(text, plant_names[i])) {
                        setting.plant = i;
                        return true;
                }
        fprintf(stderr, "There is no rule \"%s\".\n", text);
        return false;
}

int main(int argc, char **argv)
{
        static const struct option long_options[] = {
                { "plant", required_argument, NULL, 'p' },
                { "wishes", required_argument, NULL, 'w' },
                { "losses", required_argument, NULL, 'l' },
                { "kills", required_argument, NULL, 'k' },
                { "time", required_argument, NULL, 't' },
                { "states", required_argument, NULL, 's' },
                { "twice", no_argument, NULL, '2' },
                { "foreign", no_argument, NULL, 'f' },
                { "foreign-twin", no_argument, NULL, 'i' },
                { "look-first", no_argument, NULL, 'o' },
                { "slow-rows", no_argument, NULL, 'r' },
                { "verbose", no_argument, NULL, 'v' },
                {},
        };
        bool bad;
        int c;

        while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                switch (c) {
                case 'p':
                        if (!parse_plant(optarg))
                                return 2;
                        break;
                case 'w':
                        setting.n_wishes = (unsigned) atoi(optarg);
                        break;
                case 'l':
                        setting.n_losses = (unsigned) atoi(optarg);
                        break;
                case 'k':
                        setting.n_kills = (unsigned) atoi(optarg);
                        break;
                case 't':
                        setting.n_epochs = (unsigned) atoi(optarg);
                        break;
                case 's':
                        setting.max_states = (size_t) atol(optarg);
                        break;
                case '2':
                        setting.duplicates = true;
                        break;
                case 'f':
                        setting.foreign = true;
                        setting.there = FOREIGN;
                        break;
                case 'i':
                        setting.foreign = setting.look_first = true;
                        setting.there = A;
                        break;
                case 'o':
                        setting.look_first = true;
                        break;
                case 'r':
                        setting.slow_rows = true;
                        break;
                case 'v':
                        setting.verbose = true;
                        break;
                default:
                        return 2;
                }
        options.look_first = setting.look_first && setting.plant != PLANT_NO_FIRST_LOOK;
        make_sets();
        bad = run();
        for (enum value i = A; i < _VALUES; i++)
                rrset_clear(&sets[i]);
        return bad == (setting.plant != PLANT_NOTHING) ? 0 : 1;
}
