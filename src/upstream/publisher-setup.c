/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From one configuration to the next, in two steps: what can fail is prepared, then the rest is committed. */

#include <stdio.h>

#include "upstream/publisher-internal.h"

/* How long what is configured no more is still being taken away. What is left then stays as rows, for its
 * return. */
#define DRAIN_USEC (10 * USEC_PER_MINUTE)

struct setup_zone {
        struct setup_zone *next;
        struct registry_zone *zone;
        struct attachment *attachments;
};

struct publisher_setup {
        struct publisher *publisher;
        struct setup_zone *zones;
        struct publisher_move *move; /* memory for it */
};

struct publisher_setup *publisher_setup_free(struct publisher_setup *setup)
{
        struct upstream *upstream, *next;

        if (!setup)
                return NULL;
        LIST_FOREACH_SAFE (upstream, &setup->publisher->upstreams, upstreams, next) {
                upstream->wanted = false;
                upstream_forget_next(upstream);
                if (upstream->state == UPSTREAM_JOINING)
                        upstream_free(upstream);
        }
        while (setup->zones) {
                struct setup_zone *zone = setup->zones;

                setup->zones = zone->next;
                attachment_free_all(zone->attachments);
                free(zone);
        }
        move_unprepare(setup->move);
        free(setup);
        return NULL;
}

int publisher_prepare(struct publisher *publisher, struct publisher_setup **ret)
{
        _cleanup_(publisher_setup_freep) struct publisher_setup *setup = calloc(1, sizeof(*setup));

        if (!setup)
                return -ENOMEM;
        setup->publisher = publisher;
        *ret = TAKE_PTR(setup);
        return 0;
}

/* What this entry makes of an upstream that is there: nothing, or a connection of its own with other
 * settings. */
static int upstream_prepare(struct upstream *upstream, const struct upstream_config *config, char **why)
{
        const struct upstream_config *taken = upstream->next_config ?: upstream->config;

        if (upstream->wanted) {
                if (upstream_config_same_connection(taken, config))
                        return 0;
                /* Another zone named it before, otherwise. */
                *why = strdup("another zone's entry for the same server and zone has another key or other "
                              "connection settings");
                return -EINVAL;
        }
        upstream->wanted = true;
        if (upstream_config_same_connection(upstream->config, config))
                return 0;
        upstream->next_config = upstream_config_dup(config);
        if (!upstream->next_config)
                return -ENOMEM;
        return upstream_open_driver(upstream, upstream->next_config, &upstream->next_driver, why);
}

static int upstream_prepare_lanes(struct upstream *upstream, const struct registry_zone *zone,
                                  const struct upstream_config *config)
{
        int r = 0;

        /* Unbound has no zones of its own to be named: each that is attached is one. */
        if (config->type == UPSTREAM_UNBOUND)
                r = upstream_add_lane(upstream, UNIT_EXCLUSIVE, &zone->policy->zone);
        if (config->zone.length > 0 && r >= 0)
                r = upstream_add_lane(upstream, UNIT_EXCLUSIVE, &config->zone);
        for (size_t i = 0; i < config->reverse_zones.n_items && r >= 0; i++)
                r = upstream_add_lane(upstream, UNIT_SHARED, &config->reverse_zones.items[i]);
        return r;
}

static int prepare_upstream(struct publisher *publisher, const struct registry_zone *zone,
                            const struct upstream_config *config, struct upstream **ret, char **why)
{
        _cleanup_free_ char *identity = upstream_config_identity(config);
        struct upstream *upstream;
        int r = 0;

        if (!identity)
                return -ENOMEM;
        upstream = publisher_find(publisher, identity);
        if (!upstream)
                r = upstream_open(publisher, config, &upstream, why);
        if (r >= 0)
                r = upstream_prepare(upstream, config, why);
        if (r >= 0)
                r = upstream_prepare_lanes(upstream, zone, config);
        *ret = upstream;
        return r;
}

int publisher_prepare_zone(struct publisher_setup *setup, struct registry_zone *zone,
                           const struct upstream_config *configs, size_t n_configs, char **why)
{
        struct setup_zone *prepared = calloc(1, sizeof(*prepared));
        struct attachment **end;
        int r;

        if (!prepared)
                return -ENOMEM;
        prepared->zone = zone;
        prepared->next = setup->zones;
        setup->zones = prepared;
        end = &prepared->attachments;
        for (size_t i = 0; i < n_configs; i++) {
                struct upstream *upstream = NULL;

                if (configs[i].type == UPSTREAM_DISABLED)
                        continue;
                if (configs[i].type != UPSTREAM_BUILTIN) {
                        r = prepare_upstream(setup->publisher, zone, &configs[i], &upstream, why);
                        if (r < 0)
                                return r;
                }
                *end = calloc(1, sizeof(**end));
                if (!*end)
                        return -ENOMEM;
                (*end)->upstream = upstream;
                (*end)->config = upstream_config_dup(&configs[i]);
                if (!(*end)->config)
                        return -ENOMEM;
                end = &(*end)->next;
        }
        return 0;
}

/* The zone that it was named for comes first; one of Unbound is named for that of the registrar. */
static bool same_zones(const struct upstream *a, const struct upstream *b)
{
        const struct plan_lane *x = a->plan->lanes, *y = b->plan->lanes;

        return a->config->type == b->config->type && a->plan->n_lanes > 0 && b->plan->n_lanes > 0 &&
               x->mode == y->mode && dns_name_equal(&x->zone, &y->zone);
}

static bool is_joining(const struct upstream *upstream)
{
        return upstream->state == UPSTREAM_JOINING;
}

static bool is_going(const struct upstream *upstream)
{
        return upstream->state == UPSTREAM_SERVING && !upstream->wanted;
}

/* Its zone was configured no more, and since then it could not be reached, for all that is ours there: it may
 * have gone to where the zone is found now. */
static bool is_lost(const struct upstream *upstream)
{
        return !upstream->wanted && !upstream->forgotten &&
               (upstream->state == UPSTREAM_LEFT_OVER ||
                (upstream->state == UPSTREAM_DRAINING && upstream->n_failing > 0));
}

/* The one upstream of these zones that is such; NULL: none, or more than one. */
static struct upstream *find_alone(const struct publisher *publisher, const struct upstream *like,
                                   bool (*is_such)(const struct upstream *upstream), unsigned *ret_n)
{
        struct upstream *upstream, *found = NULL;

        *ret_n = 0;
        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                if (is_such(upstream) && same_zones(upstream, like)) {
                        found = upstream;
                        ++*ret_n;
                }
        return *ret_n == 1 ? found : NULL;
}

/* Where the new one's zone was until now. */
static struct upstream *find_old(const struct publisher *publisher, const struct upstream *new)
{
        struct upstream *old;
        unsigned n;

        if (!find_alone(publisher, new, is_joining, &n))
                return NULL;
        old = find_alone(publisher, new, is_going, &n);
        return n > 0 ? old : find_alone(publisher, new, is_lost, &n);
}

/* The server of a zone has another address, or another spelling of it: what is known of the zone stays known,
 * and nothing is drained at a place that is the same. */
static int inherit(struct publisher_setup *setup, struct upstream *old, struct upstream *new, char **why)
{
        int r;

        old->next_config = upstream_config_dup(new->config);
        old->next_identity = strdup(new->identity);
        if (!old->next_config || !old->next_identity)
                return -ENOMEM;
        r = upstream_open_driver(old, old->next_config, &old->next_driver, why);
        for (unsigned i = 0; i < new->plan->n_lanes &&r >= 0; i++)
                r = upstream_add_lane(old, new->plan->lanes[i].mode, &new->plan->lanes[i].zone);
        if (r < 0)
                return r;
        old->wanted = true;
        for (struct setup_zone *zone = setup->zones; zone; zone = zone->next)
                for (struct attachment *attachment = zone->attachments; attachment;
                     attachment = attachment->next)
                        if (attachment->upstream == new)
                                attachment->upstream = old;
        upstream_free(new);
        return 0;
}

int publisher_prepare_done(struct publisher_setup *setup, char **why)
{
        struct publisher *publisher = setup->publisher;
        struct upstream *new, *next;
        int r;

        LIST_FOREACH_SAFE (new, &publisher->upstreams, upstreams, next) {
                struct upstream *old = is_joining(new) ? find_old(publisher, new) : NULL;

                if (!old)
                        continue;
                r = inherit(setup, old, new, why);
                if (r < 0)
                        return r;
        }
        return move_prepare(publisher, &setup->move);
}

struct upstream *publisher_next_joining(const struct publisher *publisher, const struct upstream *upstream)
{
        struct upstream *next = upstream ? LIST_NEXT(upstream, upstreams) : LIST_FIRST(&publisher->upstreams);

        while (next && next->state != UPSTREAM_JOINING)
                next = LIST_NEXT(next, upstreams);
        return next;
}

/* The connection and the settings of the configuration that comes into force. */
static void upstream_take_next(struct upstream *upstream)
{
        if (!upstream->next_config)
                return;
        upstream->type->abandon(upstream->driver, "its configuration was changed");
        upstream->type->close(upstream->driver);
        upstream->driver = upstream->next_driver;
        upstream->next_driver = NULL;
        upstream_config_free(upstream->config);
        upstream->config = TAKE_PTR(upstream->next_config);
        upstream->plan->options = upstream_plan_options(upstream->config);
        if (upstream->next_identity) {
                upstream->publisher->ops->renamed(upstream->publisher->userdata, upstream, upstream->identity,
                                                  upstream->next_identity);
                free(upstream->identity);
                upstream->identity = TAKE_PTR(upstream->next_identity);
                upstream->relook = true;
        }
        plan_flush(upstream->plan);
}

/* Who waited for an upstream that the zone has no more, waits for it no more. */
static void upstream_end_waiters(struct upstream *upstream)
{
        struct plan *plan = upstream->plan;
        struct plan_waiter *waiter;

        for (unsigned i = 0; i < plan->n_lanes; i++)
                while ((waiter = LIST_FIRST(&plan->lanes[i].waiters))) {
                        plan_waiter_cancel(waiter);
                        plan->ops->waited(plan->userdata, waiter, WAIT_PUBLISHED, NULL);
                }
}

static void upstream_take_state(struct upstream *upstream)
{
        bool wanted = upstream->wanted;

        upstream->wanted = false;
        for (unsigned i = 0; i < upstream->plan->n_lanes; i++) {
                upstream->serials[i].configured_before = upstream->serials[i].configured;
                upstream->serials[i].configured = false;
        }
        switch (upstream->state) {
        case UPSTREAM_JOINING:
                assert(wanted);
                upstream->state = UPSTREAM_SERVING;
                if (!upstream->former)
                        break;
                upstream->publisher->ops->renamed(upstream->publisher->userdata, upstream, upstream->former,
                                                  upstream->identity);
                free(TAKE_PTR(upstream->former));
                break;
        case UPSTREAM_SERVING:
                if (wanted)
                        break;
                upstream->state = UPSTREAM_DRAINING;
                upstream_end_waiters(upstream);
                upstream->drain_until_usec = upstream_now() + DRAIN_USEC;
                break;
        case UPSTREAM_DRAINING:
        case UPSTREAM_LEFT_OVER:
                if (!wanted)
                        break;
                upstream->state = UPSTREAM_SERVING;
                upstream->forgotten = false;
                upstream->plan->stopped = false;
                upstream->relook = true;
                break;
        }
}

static void configure_lane(struct upstream *upstream, enum unit_mode mode, const struct dns_name *zone)
{
        int lane = find_lane(upstream, mode, zone);

        /* It was added when this configuration was prepared. */
        assert(lane >= 0);
        upstream->serials[lane].configured = true;
}

static void configure_lanes(const struct registry_zone *zone, const struct attachment *attachment)
{
        const struct upstream_config *config = attachment->config;

        if (!attachment->upstream)
                return;
        if (config->type == UPSTREAM_UNBOUND)
                configure_lane(attachment->upstream, UNIT_EXCLUSIVE, &zone->policy->zone);
        if (config->zone.length > 0)
                configure_lane(attachment->upstream, UNIT_EXCLUSIVE, &config->zone);
        for (size_t i = 0; i < config->reverse_zones.n_items; i++)
                configure_lane(attachment->upstream, UNIT_SHARED, &config->reverse_zones.items[i]);
}

void publisher_commit(struct publisher_setup *setup)
{
        struct publisher *publisher = setup->publisher;
        struct upstream *upstream;

        assert(!publisher->move);
        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                upstream_take_next(upstream);
                upstream_take_state(upstream);
        }
        move_begin(publisher, TAKE_PTR(setup->move));
        while (setup->zones) {
                struct setup_zone *zone = setup->zones;

                setup->zones = zone->next;
                for (struct attachment *attachment = zone->attachments; attachment;
                     attachment = attachment->next)
                        configure_lanes(zone->zone, attachment);
                zone->zone->userdata = zone->attachments;
                free(zone);
        }
        free(setup);
        publisher_pump(publisher);
}

void publisher_begin(struct publisher_setup *setup)
{
        struct publisher *publisher = setup->publisher;

        publisher_commit(setup);
        move_free(publisher);
}
