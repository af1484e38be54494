/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Going through all names for one upstream: to see whether it still has what it should (reconciliation), or
 * to publish everything again. In slices, never far ahead of what the upstream takes, and for nothing where
 * the serial of a zone says that nobody has touched it since everything was found as it should be. */

#include <stdio.h>

#include "upstream/publisher-internal.h"
#include "util/background.h"

#define NAMES_PER_TURN 50
/* No more units than this are put into a plan that has as many under way. */
#define BACKLOG_MAX    2000
#define RECONCILE_USEC USEC_PER_HOUR

struct sweep_lane {
        bool skip;  /* nothing has happened there */
        bool asked; /* its serial is on the way */
        bool serial_known;
        uint32_t serial;
        uint64_t n_updates;
};

struct sweep {
        LIST_ENTRY(sweep) sweeps;
        struct upstream *upstream;
        bool republish;
        unsigned n_asked;
        unsigned n_lanes;     /* when it began: lanes that came later are published at the moment anyway */
        struct dns_name zone; /* where it is; length 0: at the beginning */
        char label[DNS_LABEL_MAX + 1];
        struct sweep_lane lanes[];
};

static void sweep_free(struct sweep *sweep)
{
        LIST_REMOVE(sweep, sweeps);
        free(sweep);
}

void sweep_continue(struct publisher *publisher)
{
        if (!LIST_EMPTY(&publisher->sweeps))
                background_source_wake(publisher->sweep_source);
}

void sweep_forget(const struct upstream *upstream)
{
        struct sweep *sweep, *next;

        LIST_FOREACH_SAFE (sweep, &upstream->publisher->sweeps, sweeps, next) {
                if (sweep->upstream == upstream)
                        sweep_free(sweep);
        }
}

static struct sweep *find_sweep(const struct upstream *upstream)
{
        struct sweep *sweep;

        LIST_FOREACH (sweep, &upstream->publisher->sweeps, sweeps)
                if (sweep->upstream == upstream)
                        return sweep;
        return NULL;
}

/* Asks whether anything has happened at all; the answers begin the walk. */
static void ask_serials(struct sweep *sweep)
{
        struct upstream *upstream = sweep->upstream;

        if (!upstream->type->ask_serial || sweep->republish)
                return;
        for (unsigned i = 0; i < sweep->n_lanes; i++) {
                if (!upstream->serials[i].configured)
                        continue;
                /* Somebody else asks already, and gets this answer. */
                upstream->serials[i].asking = false;
                sweep->lanes[i].asked = true;
                sweep->lanes[i].n_updates = upstream->serials[i].n_updates;
                sweep->n_asked++;
        }
        for (unsigned i = 0; i < sweep->n_lanes; i++)
                if (upstream->serials[i].configured)
                        upstream->type->ask_serial(upstream->driver, i);
}

int sweep_start(struct upstream *upstream, bool republish)
{
        struct publisher *publisher = upstream->publisher;
        struct sweep *sweep = find_sweep(upstream);

        if (upstream->state != UPSTREAM_SERVING || !publisher->registry)
                return 0;
        /* One that is under way begins anew only for what it does not do itself. */
        if (sweep && (sweep->republish || !republish)) {
                if (republish) {
                        sweep->zone.length = 0;
                        sweep->label[0] = '\0';
                }
                return 0;
        }
        if (sweep)
                sweep_free(sweep);
        sweep = calloc(1, sizeof(*sweep) + upstream->plan->n_lanes * sizeof(sweep->lanes[0]));
        if (!sweep)
                return -ENOMEM;
        sweep->upstream = upstream;
        sweep->n_lanes = upstream->plan->n_lanes;
        sweep->republish = republish;
        LIST_INSERT_HEAD(&publisher->sweeps, sweep, sweeps);
        ask_serials(sweep);
        sweep_continue(publisher);
        return 0;
}

static bool is_asked(const struct sweep *sweep, unsigned lane)
{
        return sweep && lane < sweep->n_lanes && sweep->lanes[lane].asked;
}

/* True: it is not what it was, and not by what was sent since. */
static bool is_unexplained(const struct upstream *upstream, const struct zone_serial *last, uint32_t serial)
{
        int32_t moved = (int32_t) (serial - last->seen_serial);
        bool signs = upstream->config->key_source != UPSTREAM_KEY_NONE;

        /* Others may write there, too. But whoever goes back has lost something; and without signatures what
         * was sent long ago may still arrive, and shows by this alone. */
        return moved < 0 || (!signs && moved != 0 && last->n_updates == last->seen_n_updates);
}

static void see_serial(struct upstream *upstream, unsigned lane, uint32_t serial)
{
        struct zone_serial *last = &upstream->serials[lane];
        bool unexplained = last->seen && is_unexplained(upstream, last, serial);

        last->seen = true;
        last->seen_serial = serial;
        last->seen_n_updates = last->n_updates;
        if (!unexplained)
                return;
        last->known = false;
        (void) sweep_start(upstream, false); /* without memory, the next reconciliation finds it */
}

void upstream_serial(struct upstream *upstream, unsigned lane, int error, uint32_t serial)
{
        struct zone_serial *last = &upstream->serials[lane];
        struct sweep *sweep = find_sweep(upstream);
        struct sweep_lane *swept;

        if (last->asking) {
                last->asking = false;
                if (error >= 0)
                        see_serial(upstream, lane, serial);
                return;
        }
        if (!sweep || lane >= sweep->n_lanes || !sweep->lanes[lane].asked)
                return;
        swept = &sweep->lanes[lane];
        swept->asked = false;
        sweep->n_asked--;
        swept->serial_known = error >= 0;
        swept->serial = serial;
        swept->skip = error >= 0 && last->known && last->serial == serial &&
                      last->n_updates_then == last->n_updates;
        sweep_continue(upstream->publisher);
}

void sweep_ask_serials(struct upstream *upstream)
{
        if (!upstream->type->ask_serial || upstream->state != UPSTREAM_SERVING ||
            !upstream->type->is_connected(upstream->driver))
                return;
        for (unsigned i = 0; i < upstream->plan->n_lanes; i++) {
                struct zone_serial *last = &upstream->serials[i];
                const struct sweep *sweep = find_sweep(upstream);
                bool busy = !last->configured || upstream->plan->lanes[i].n_in_flight > 0 ||
                            upstream->plan->lanes[i].error;

                /* One question at a time, so that an answer is known for what it was asked. */
                if (busy || last->asking || is_asked(sweep, i) ||
                    (last->seen && last->seen_n_updates == last->n_updates))
                        continue;
                last->asking = true;
                upstream->type->ask_serial(upstream->driver, i);
        }
}

/* Before anything else goes over the new connection that could move them. */
void upstream_connected(struct upstream *upstream)
{
        for (unsigned i = 0; i < upstream->plan->n_lanes && upstream->type->ask_serial; i++) {
                const struct sweep *sweep = find_sweep(upstream);

                if (!upstream->serials[i].configured || !upstream->serials[i].seen ||
                    upstream->serials[i].asking || is_asked(sweep, i))
                        continue;
                upstream->serials[i].asking = true;
                upstream->type->ask_serial(upstream->driver, i);
        }
}

/* --- walking --- */

static int visit_unit(struct sweep *sweep, int lane, const struct dns_name *owner, struct rrset *wanted)
{
        struct plan *plan = sweep->upstream->plan;
        int r = 0;

        if (lane >= 0 && (unsigned) lane < sweep->n_lanes && !sweep->lanes[lane].skip &&
            !rrset_is_empty(wanted))
                r = sweep->republish ? plan_republish(plan, (unsigned) lane, owner, wanted)
                                     : plan_check(plan, (unsigned) lane, owner, wanted);
        rrset_clear(wanted);
        return r;
}

static int visit_name(struct sweep *sweep, struct name_entry *entry)
{
        struct upstream *upstream = sweep->upstream;
        const struct attachment *attachment = find_attachment(entry->zone->userdata, upstream);
        struct dns_name name = name_entry_name(entry);
        struct record_value at;
        struct rrset wanted;
        unsigned position = 0;
        int r = 0;

        /* What is looked for is what the configuration in force wants. */
        move_entry(upstream->publisher, entry);
        if (!attachment)
                return 0;
        while (r >= 0 && name_state_next_name(entry->state, &position, &at)) {
                struct dns_name owner;

                r = record_owner(&name, &at, &owner);
                if (r >= 0)
                        r = forward_set(attachment, entry->state, &at, &wanted);
                if (r >= 0)
                        r = visit_unit(sweep, forward_lane(attachment, entry->zone), &owner, &wanted);
        }
        for (unsigned i = 0; i < entry->state->n_records && r >= 0; i++) {
                struct address address = record_address(&entry->state->records[i]);
                struct dns_name owner;

                if (!address.family || registry_ptr_owner(upstream->publisher->registry, &address) != entry)
                        continue;
                owner = dns_name_reverse(&address);
                r = ptr_set(attachment, &name, &address, &wanted);
                if (r >= 0)
                        r = visit_unit(sweep, reverse_lane(upstream, &owner, LANE_CONFIGURED), &owner,
                                       &wanted);
        }
        return r;
}

/* What was found unmoved and as it should be needs no second look while it does not move. */
static void end_sweep(struct sweep *sweep)
{
        struct upstream *upstream = sweep->upstream;

        for (unsigned i = 0; i < sweep->n_lanes; i++) {
                const struct sweep_lane *swept = &sweep->lanes[i];

                if (!swept->serial_known)
                        continue;
                upstream->serials[i].known = true;
                upstream->serials[i].serial = swept->serial;
                upstream->serials[i].n_updates_then = swept->n_updates;
        }
        if (sweep->republish)
                upstream->republish = false;
        sweep_free(sweep);
}

static bool may_go_on(const struct sweep *sweep)
{
        const struct plan *plan = sweep->upstream->plan;

        return sweep->n_asked == 0 && plan_pending(plan) < BACKLOG_MAX;
}

/* Nothing has happened in any of its zones. */
static bool has_nothing_to_look_at(const struct sweep *sweep)
{
        if (sweep->republish || !sweep->upstream->type->ask_serial)
                return false;
        for (unsigned i = 0; i < sweep->n_lanes; i++)
                if (sweep->upstream->serials[i].configured && !sweep->lanes[i].skip)
                        return false;
        return true;
}

/* False: it is done. */
static bool take_steps(struct sweep *sweep)
{
        const struct registry *registry = sweep->upstream->publisher->registry;
        struct registry_zone *zone = sweep->zone.length > 0 ? registry_find_zone(registry, &sweep->zone)
                                                            : registry->zones;

        for (unsigned n = 0; zone && n < NAMES_PER_TURN; n++) {
                struct name_entry *entry = registry_after(zone, sweep->label);

                sweep->zone = zone->policy->zone;
                if (!entry) {
                        zone = zone->next;
                        sweep->label[0] = '\0';
                        if (zone)
                                sweep->zone = zone->policy->zone;
                        continue;
                }
                /* Where memory is out, the next one looks again. */
                (void) visit_name(sweep, entry);
                snprintf(sweep->label, sizeof(sweep->label), "%s", entry->label);
        }
        return zone;
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct publisher *publisher = userdata;
        struct sweep *sweep, *next;
        bool more = false;

        LIST_FOREACH_SAFE (sweep, &publisher->sweeps, sweeps, next) {
                if (!may_go_on(sweep))
                        continue;
                if (!has_nothing_to_look_at(sweep) && take_steps(sweep))
                        more |= may_go_on(sweep);
                else
                        end_sweep(sweep);
        }
        publisher_pump(publisher);
        if (more)
                sweep_continue(publisher);
        return 0;
}

/* --- when --- */

int publisher_reconcile(struct publisher *publisher, const struct registry *registry)
{
        struct upstream *upstream;
        int r;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                r = sweep_start(upstream, false);
                if (r < 0)
                        return r;
        }
        return 0;
}

void upstream_restarted(struct upstream *upstream, bool surely)
{
        /* Without memory the next reconciliation finds it. */
        (void) sweep_start(upstream, surely);
}

static int arm(struct publisher *publisher)
{
        int r = sd_event_source_set_time_relative(publisher->reconcile_source, RECONCILE_USEC);

        return r < 0 ? r : sd_event_source_set_enabled(publisher->reconcile_source, SD_EVENT_ONESHOT);
}

static int on_reconcile(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct publisher *publisher = userdata;

        (void) publisher_reconcile(publisher, publisher->registry);
        return arm(publisher);
}

int sweep_init(struct publisher *publisher)
{
        int r;

        r = background_source_new(publisher->event, on_sweep, publisher, &publisher->sweep_source);
        if (r >= 0)
                r = sd_event_add_time(publisher->event, &publisher->reconcile_source, CLOCK_MONOTONIC, 0,
                                      USEC_PER_SEC, on_reconcile, publisher);
        return r < 0 ? r : arm(publisher);
}

void sweep_clear(struct publisher *publisher)
{
        while (!LIST_EMPTY(&publisher->sweeps))
                sweep_free(LIST_FIRST(&publisher->sweeps));
        sd_event_source_disable_unref(publisher->sweep_source);
        sd_event_source_disable_unref(publisher->reconcile_source);
}
