/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/random.h>

#include "upstream/nsupdate.h"
#include "upstream/publisher-internal.h"
#include "upstream/unbound.h"
#include "util/log.h"

/* How long what is configured no more is still being taken away. What is left then stays as rows, for its
 * return. */
#define DRAIN_USEC (10 * USEC_PER_MINUTE)

usec_t upstream_now(void)
{
        return now_usec(CLOCK_MONOTONIC);
}

/* --- what a plan asks for --- */

static void plan_put_row(void *userdata, struct unit *unit, bool wait)
{
        struct upstream *upstream = userdata;

        upstream->publisher->ops->put_row(upstream->publisher->userdata, upstream, unit, wait);
}

static void plan_delete_row(void *userdata, const struct unit *unit)
{
        struct upstream *upstream = userdata;

        upstream->publisher->ops->delete_row(upstream->publisher->userdata, upstream, unit);
}

static void plan_refused(void *userdata, struct unit *unit, const char *reason)
{
        struct upstream *upstream = userdata;
        struct dns_name name = unit_owner(unit);
        char text[DNS_NAME_FORMAT_MAX], *copy;

        /* The unit may be gone before the callee has read its reason. */
        copy = strdup(reason);
        log_debug("%s refuses %s: %s", upstream->identity, dns_name_format(&name, text), reason);
        if (copy && unit->kind == UNIT_FORWARD)
                upstream->publisher->ops->refused(upstream->publisher->userdata, upstream, &name, copy);
        free(copy);
}

static void plan_drifted(void *userdata, const struct unit *unit)
{
        struct upstream *upstream = userdata;
        struct dns_name owner = unit_owner(unit);

        upstream->publisher->ops->drifted(upstream->publisher->userdata, upstream, &owner);
}

static void plan_lane_changed(void *userdata, unsigned lane)
{
        struct upstream *upstream = userdata;

        upstream->publisher->ops->upstream_changed(upstream->publisher->userdata, upstream,
                                                   upstream->plan->lanes[lane].error);
}

/* --- pump --- */

static void arm_timer(struct publisher *publisher)
{
        usec_t deadline = USEC_INFINITY;
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                if (upstream->state == UPSTREAM_LEFT_OVER)
                        continue;
                deadline = MIN(deadline, plan_deadline(upstream->plan));
                if (upstream->state == UPSTREAM_DRAINING)
                        deadline = MIN(deadline, upstream->drain_until_usec);
        }
        if (deadline == USEC_INFINITY) {
                (void) sd_event_source_set_enabled(publisher->timer_source, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(publisher->timer_source, deadline);
        (void) sd_event_source_set_enabled(publisher->timer_source, SD_EVENT_ONESHOT);
}

static void upstream_free(struct upstream *upstream);

static void send_all(struct upstream *upstream)
{
        struct plan_batch *batch;

        while ((batch = plan_next(upstream->plan, upstream_now()))) {
                upstream->n_messages++;
                if (batch->action == PLAN_FIRST || batch->action == PLAN_REPLACE)
                        upstream->serials[batch->lane].n_updates++;
                upstream->type->send(upstream->driver, batch);
        }
}

static void look_at_draining(struct upstream *upstream, usec_t now_usec)
{
        struct publisher *publisher = upstream->publisher;

        if (upstream->plan->n_units == 0) {
                publisher->ops->drained(publisher->userdata, upstream);
                upstream_free(upstream);
        } else if (upstream->state == UPSTREAM_DRAINING && upstream->drain_until_usec <= now_usec) {
                upstream->state = UPSTREAM_LEFT_OVER;
                upstream->plan->stopped = true;
                publisher->ops->drained(publisher->userdata, upstream);
        }
}

static bool is_withdrawn(const struct publisher *publisher)
{
        const struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                if (!upstream->config->keep_records && upstream->plan->n_units > upstream->plan->n_refused)
                        return false;
        return true;
}

static int on_pump(sd_event_source *source, void *userdata)
{
        struct publisher *publisher = userdata;
        struct upstream *upstream, *next;
        usec_t now_usec = upstream_now();

        LIST_FOREACH_SAFE (upstream, &publisher->upstreams, upstreams, next) {
                send_all(upstream);
                if (upstream->state != UPSTREAM_SERVING)
                        look_at_draining(upstream, now_usec);
        }
        if (publisher->withdrawing && is_withdrawn(publisher))
                publisher->ops->withdrawn(publisher->userdata);
        arm_timer(publisher);
        return 0;
}

void publisher_pump(struct publisher *publisher)
{
        (void) sd_event_source_set_enabled(publisher->pump_source, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        publisher_pump(userdata);
        return 0;
}

sd_event *upstream_event(const struct upstream *upstream)
{
        return upstream->publisher->event;
}

void upstream_sent(struct upstream *upstream)
{
        sweep_continue(upstream->publisher);
        publisher_pump(upstream->publisher);
}

void upstream_succeeded(struct upstream *upstream)
{
        upstream->success_usec = now_usec(CLOCK_REALTIME);
}

/* --- life --- */

int publisher_new(sd_event *event, const struct publisher_ops *ops, void *userdata, struct publisher **ret)
{
        _cleanup_(publisher_freep) struct publisher *publisher = calloc(1, sizeof(*publisher));
        int r;

        if (!publisher)
                return -ENOMEM;
        publisher->event = sd_event_ref(event);
        publisher->ops = ops;
        publisher->userdata = userdata;
        LIST_INIT(&publisher->upstreams);
        LIST_INIT(&publisher->sweeps);
        r = sd_event_add_defer(event, &publisher->pump_source, on_pump, publisher);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(publisher->pump_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &publisher->timer_source, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer,
                              publisher);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(publisher->timer_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sweep_init(publisher);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(publisher);
        return 0;
}

static void upstream_free(struct upstream *upstream)
{
        sweep_forget(upstream);
        if (upstream->driver)
                upstream->type->close(upstream->driver);
        plan_free(upstream->plan);
        free(upstream->serials);
        free(upstream->identity);
        if (upstream->state != UPSTREAM_SERVING) {
                upstream_config_clear(upstream->config);
                free(upstream->config);
        }
        LIST_REMOVE(upstream, upstreams);
        free(upstream);
}

struct publisher *publisher_free(struct publisher *publisher)
{
        if (!publisher)
                return NULL;
        while (!LIST_EMPTY(&publisher->upstreams))
                upstream_free(LIST_FIRST(&publisher->upstreams));
        sd_event_source_disable_unref(publisher->pump_source);
        sd_event_source_disable_unref(publisher->timer_source);
        sweep_clear(publisher);
        sd_event_unref(publisher->event);
        free(publisher);
        return NULL;
}

const struct upstream_list *publisher_upstreams(const struct publisher *publisher)
{
        return &publisher->upstreams;
}

struct upstream *publisher_find(const struct publisher *publisher, const char *identity)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                if (streq(upstream->identity, identity))
                        return upstream;
        return NULL;
}

static const struct plan_ops plan_ops = {
        .put_row = plan_put_row,
        .delete_row = plan_delete_row,
        .waited = publication_waited,
        .refused = plan_refused,
        .drifted = plan_drifted,
        .lane_changed = plan_lane_changed,
};

static struct upstream *new_upstream(struct publisher *publisher, struct upstream_config *config)
{
        bool unbound = config->type == UPSTREAM_UNBOUND;
        struct plan_options options = {
                .protect_foreign = config->protect_foreign_names,
                .repeats = !unbound && !config->tcp,
                .verify = !unbound,
                .read_back = !unbound,
                /* Unbound tells all it has or nothing, so it is asked seldom. */
                .max_units = unbound ? 1000 : 200,
                .max_bytes = unbound ? 1000000 : 16000,
                .max_in_flight = unbound ? 1 : 2,
        };
        struct upstream *upstream = calloc(1, sizeof(*upstream));
        uint64_t seed = 1;

        if (!upstream)
                return NULL;
        (void) getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
        upstream->publisher = publisher;
        upstream->config = config;
        upstream->type = unbound ? &unbound_driver : &nsupdate_driver;
        upstream->plan = plan_new(&options, &plan_ops, upstream, seed);
        if (!upstream->plan) {
                free(upstream);
                return NULL;
        }
        LIST_INSERT_HEAD(&publisher->upstreams, upstream, upstreams);
        return upstream;
}

/* A zone that is there already is no second one. */
static int add_lane(struct upstream *upstream, enum unit_kind kind, const struct dns_name *zone)
{
        struct zone_serial *serials;
        int r;

        for (unsigned i = 0; i < upstream->plan->n_lanes; i++)
                if (upstream->plan->lanes[i].kind == kind &&
                    dns_name_equal(&upstream->plan->lanes[i].zone, zone))
                        return 0;
        serials = reallocarray(upstream->serials, upstream->plan->n_lanes + 1, sizeof(*serials));
        if (!serials)
                return -ENOMEM;
        upstream->serials = serials;
        serials[upstream->plan->n_lanes] = (struct zone_serial){};
        r = plan_add_lane(upstream->plan, kind, zone);
        return r < 0 ? r : 0;
}

static int add_lanes(struct upstream *upstream, const struct upstream_config *config)
{
        int r = 0;

        if (config->zone.length > 0)
                r = add_lane(upstream, UNIT_FORWARD, &config->zone);
        for (size_t i = 0; i < config->reverse_zones.n_items && r >= 0; i++)
                r = add_lane(upstream, UNIT_PTR, &config->reverse_zones.items[i]);
        return r;
}

static int open_upstream(struct publisher *publisher, struct upstream_config *config, struct upstream **ret,
                         char **why)
{
        struct upstream *upstream = new_upstream(publisher, config);
        int r;

        if (!upstream)
                return -ENOMEM;
        upstream->identity = upstream_config_identity(config);
        r = upstream->identity ? add_lanes(upstream, config) : -ENOMEM;
        if (r >= 0)
                r = upstream->type->open(upstream, &upstream->driver, why);
        if (r < 0) {
                upstream_free(upstream);
                return r;
        }
        upstream->number = ++publisher->n_upstreams_ever;
        upstream->n_lanes = upstream->plan->n_lanes;
        *ret = upstream;
        return 0;
}

int publisher_attach(struct publisher *publisher, struct registry_zone *zone, struct upstream_config *config,
                     char **why)
{
        struct attachment *attachment, **end = (struct attachment **) &zone->userdata;
        struct upstream *upstream = NULL;
        int r;

        publisher->registry = zone->registry;
        if (config->type == UPSTREAM_DISABLED)
                return 0;
        if (config->type != UPSTREAM_BUILTIN) {
                _cleanup_free_ char *identity = upstream_config_identity(config);

                if (!identity)
                        return -ENOMEM;
                upstream = publisher_find(publisher, identity);
                if (!upstream) {
                        r = open_upstream(publisher, config, &upstream, why);
                        if (r < 0)
                                return r;
                }
                /* Unbound has no zones of its own to be named: each that is attached is one. */
                if (config->type == UPSTREAM_UNBOUND) {
                        r = add_lane(upstream, UNIT_FORWARD, &zone->policy->zone);
                        if (r < 0)
                                return r;
                        upstream->n_lanes = upstream->plan->n_lanes;
                }
        }
        attachment = calloc(1, sizeof(*attachment));
        if (!attachment)
                return -ENOMEM;
        attachment->config = config;
        attachment->upstream = upstream;
        while (*end)
                end = &(*end)->next;
        *end = attachment;
        return 0;
}

/* --- what is configured no more --- */

static int inherit_lanes(struct upstream *upstream, const struct upstream *old)
{
        int r = 0;

        for (unsigned i = 0; i < old->plan->n_lanes && r >= 0; i++)
                r = add_lane(upstream, old->plan->lanes[i].kind, &old->plan->lanes[i].zone);
        return r;
}

static int inherit_upstream(struct publisher *publisher, const struct upstream *old)
{
        struct upstream_config *config = malloc(sizeof(*config));
        _cleanup_free_ char *why = NULL;
        struct upstream *upstream;
        int r;

        if (!config)
                return -ENOMEM;
        r = upstream_config_copy(config, old->config);
        if (r >= 0)
                r = open_upstream(publisher, config, &upstream, &why);
        if (r < 0) {
                /* Its certificates are gone, say: then its rows stay, and that is all. */
                upstream_config_clear(config);
                free(config);
                return r == -ENOMEM ? r : 0;
        }
        upstream->state = UPSTREAM_DRAINING;
        upstream->drain_until_usec = old->state == UPSTREAM_SERVING ? upstream_now() + DRAIN_USEC
                                                                    : old->drain_until_usec;
        upstream->n_lanes = 0;
        return inherit_lanes(upstream, old);
}

int publisher_inherit(struct publisher *publisher, const struct publisher *old)
{
        const struct upstream *before;
        int r = 0;

        LIST_FOREACH (before, &old->upstreams, upstreams) {
                struct upstream *upstream = publisher_find(publisher, before->identity);

                if (!upstream)
                        r = inherit_upstream(publisher, before);
                else {
                        upstream->republish = before->config->record_ttl_sec !=
                                                      upstream->config->record_ttl_sec ||
                                              before->republish;
                        upstream->success_usec = before->success_usec;
                        upstream->n_messages = before->n_messages;
                        r = inherit_lanes(upstream, before);
                }
                if (r < 0)
                        return r;
        }
        publisher->n_upstreams_ever = MAX(publisher->n_upstreams_ever, old->n_upstreams_ever);
        return 0;
}

/* --- the end --- */

bool publisher_withdraw(struct publisher *publisher)
{
        struct registry_zone *zone = publisher->registry ? publisher->registry->zones : NULL;
        const struct upstream *upstream;
        bool any = false;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                any |= !upstream->config->keep_records;
        if (!any || publisher->withdrawing)
                return any;
        for (; zone; zone = zone->next)
                for (struct name_entry *entry = registry_after(zone, ""); entry;
                     entry = registry_after(zone, entry->label))
                        (void) withdraw_name(publisher, entry);
        publisher->withdrawing = true;
        publisher_flush(publisher);
        return true;
}

void publisher_detach(struct registry_zone *zone)
{
        struct attachment *attachment = zone->userdata;

        while (attachment) {
                struct attachment *next = attachment->next;

                free(attachment);
                attachment = next;
        }
        zone->userdata = NULL;
}

const struct attachment *publisher_attachments(const struct registry_zone *zone)
{
        return zone->userdata;
}

void publisher_flush(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                plan_flush(upstream->plan);
        publisher_pump(publisher);
}

bool publisher_is_quiet(const struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                if (upstream->plan->n_units > upstream->plan->n_refused)
                        return false;
        return true;
}
