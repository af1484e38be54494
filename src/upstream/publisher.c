/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/random.h>

#include "upstream/nsupdate.h"
#include "upstream/publisher-internal.h"
#include "upstream/unbound.h"
#include "util/log.h"

#define MARGIN_SEC 5U

usec_t upstream_now(void)
{
        return now_usec(CLOCK_MONOTONIC);
}

/* --- what a plan asks for --- */

static int plan_put_row(void *userdata, struct unit_part *part, const struct unit_row *row, waiter_done done)
{
        const struct upstream *upstream = userdata;
        struct unit_row named = *row;

        named.upstream = upstream->identity;
        return upstream->publisher->ops->put_row(upstream->publisher->userdata, &named, &part->write, done);
}

static int plan_delete_row(void *userdata, struct unit_part *part, const struct unit_row *key,
                           waiter_done done)
{
        const struct upstream *upstream = userdata;
        struct unit_row named = *key;

        named.upstream = upstream->identity;
        return upstream->publisher->ops->delete_row(upstream->publisher->userdata, &named, &part->write,
                                                    done);
}

static void plan_ready(void *userdata)
{
        const struct upstream *upstream = userdata;

        publisher_pump(upstream->publisher);
}

static void plan_refused(void *userdata, struct unit *unit, uint16_t type, const char *reason)
{
        struct upstream *upstream = userdata;
        struct dns_name name = unit_owner(unit);
        char text[DNS_NAME_FORMAT_MAX], *copy;

        /* The unit may be gone before the callee has read its reason. */
        copy = strdup(reason);
        log_debug("%s refuses %s: %s", upstream->identity, dns_name_format(&name, text), reason);
        if (copy)
                upstream->publisher->ops->refused(upstream->publisher->userdata, upstream, &name, type, copy);
        free(copy);
}

/* The name that a unit is published for. */
static int published_name(const struct unit *unit, const struct rrset *rr, struct dns_name *ret)
{
        struct rrset_item item;
        uint32_t position = 0;

        if (!rr) {
                *ret = unit_owner(unit);
                return 0;
        }
        return rrset_next(rr, &position, &item) ? dns_name_from_wire(item.rdata, item.length, ret) : -EBADMSG;
}

static bool plan_adopts(void *userdata, const struct unit *unit, const struct rrset *rr)
{
        const struct upstream *upstream = userdata;
        const struct registry *registry = upstream->publisher->registry;
        const struct registry_zone *zone = NULL;
        const struct name_entry *entry;
        struct dns_name name, host;

        if (registry && published_name(unit, rr, &name) >= 0)
                zone = registry_find_zone_of(registry, &name);
        entry = zone ? registry_find_host(zone, &name, &host) : NULL;
        return entry && registry_adopts(entry, now_usec(CLOCK_REALTIME));
}

static void plan_drifted(void *userdata, const struct unit *unit)
{
        struct upstream *upstream = userdata;
        struct dns_name owner = unit_owner(unit);

        upstream->publisher->ops->drifted(upstream->publisher->userdata, upstream, &owner);
}

/* It begins with the first of its zones, and ends with the last. */
static void plan_lane_changed(void *userdata, unsigned lane)
{
        struct upstream *upstream = userdata;
        const char *error = upstream->plan->lanes[lane].error;

        upstream->n_failing += error ? 1 : -1U;
        if (upstream->n_failing == (error ? 1 : 0))
                upstream->publisher->ops->upstream_changed(upstream->publisher->userdata, upstream, error);
}

/* --- pump --- */

static void arm_timer(struct publisher *publisher)
{
        usec_t deadline = USEC_INFINITY;
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                if (upstream->state == UPSTREAM_LEFT_OVER || upstream->state == UPSTREAM_JOINING)
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

        /* What is to be taken away there is still being found out. */
        if (publisher->move)
                return;
        if (upstream->forgotten) {
                publisher->ops->forgotten(publisher->userdata, upstream);
                upstream_free(upstream);
        } else if (upstream->plan->n_units == 0) {
                publisher->ops->drained(publisher->userdata, upstream);
                upstream_free(upstream);
        } else if (upstream->state == UPSTREAM_DRAINING && upstream->drain_until_usec <= now_usec) {
                /* What was never accepted leaves nothing over. */
                if (!upstream->plan->was_accepted) {
                        plan_forget(upstream->plan);
                        upstream->plan->was_accepted = true;
                        upstream->drain_until_usec = now_usec + USEC_PER_MINUTE;
                        return;
                }
                upstream->state = UPSTREAM_LEFT_OVER;
                upstream->plan->stopped = true;
                publisher->ops->drained(publisher->userdata, upstream);
        }
}

static bool is_withdrawn(const struct publisher *publisher)
{
        const struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                if (!upstream->config->keep_records && plan_pending(upstream->plan) > 0)
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
                if (upstream->state == UPSTREAM_DRAINING || upstream->state == UPSTREAM_LEFT_OVER)
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
        sweep_ask_serials(upstream);
        sweep_continue(upstream->publisher);
        publisher_pump(upstream->publisher);
}

void upstream_succeeded(struct upstream *upstream)
{
        upstream->success_usec = now_usec(CLOCK_REALTIME);
}

/* --- life --- */

int publisher_new(sd_event *event, struct registry *registry, const struct publisher_ops *ops, void *userdata,
                  struct publisher **ret)
{
        _cleanup_(publisher_freep) struct publisher *publisher = calloc(1, sizeof(*publisher));
        int r;

        if (!publisher)
                return -ENOMEM;
        publisher->event = sd_event_ref(event);
        publisher->registry = registry;
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

struct upstream_config *upstream_config_free(struct upstream_config *config)
{
        if (!config)
                return NULL;
        upstream_config_clear(config);
        free(config);
        return NULL;
}

struct upstream_config *upstream_config_dup(const struct upstream_config *config)
{
        struct upstream_config *copy = malloc(sizeof(*copy));

        if (copy && upstream_config_copy(copy, config) < 0) {
                free(copy);
                return NULL;
        }
        return copy;
}

struct attachment *attachment_free_all(struct attachment *attachment)
{
        while (attachment) {
                struct attachment *next = attachment->next;

                upstream_config_free(attachment->config);
                free(attachment);
                attachment = next;
        }
        return NULL;
}

void upstream_forget_next(struct upstream *upstream)
{
        if (upstream->next_driver)
                upstream->type->close(upstream->next_driver);
        upstream->next_driver = NULL;
        upstream->next_config = upstream_config_free(upstream->next_config);
        free(upstream->next_identity);
        upstream->next_identity = NULL;
}

void upstream_free(struct upstream *upstream)
{
        sweep_forget(upstream);
        upstream_forget_next(upstream);
        if (upstream->driver)
                upstream->type->close(upstream->driver);
        plan_free(upstream->plan);
        free(upstream->serials);
        free(upstream->identity);
        free(upstream->former);
        upstream_config_free(upstream->config);
        LIST_REMOVE(upstream, upstreams);
        free(upstream);
}

struct publisher *publisher_free(struct publisher *publisher)
{
        if (!publisher)
                return NULL;
        move_free(publisher);
        for (struct registry_zone *zone = publisher->registry->zones; zone; zone = zone->next)
                zone->userdata = attachment_free_all(zone->userdata);
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
        .adopts = plan_adopts,
        .drifted = plan_drifted,
        .lane_changed = plan_lane_changed,
        .ready = plan_ready,
};

struct plan_options upstream_plan_options(const struct upstream_config *config)
{
        bool unbound = config->type == UPSTREAM_UNBOUND;
        /* As much as clocks may differ beside the fudge; less, where somebody says how much that may be. */
        unsigned margin_sec = config->tsig_fudge_sec > 0 ? MIN(config->tsig_fudge_sec, MARGIN_SEC)
                                                         : MARGIN_SEC;

        return (struct plan_options){
                .protect_foreign = config->protect_foreign_names,
                .look_first = true,
                .verify = !unbound,
                .probe = !unbound,
                .read_back = !unbound,
                .bounded = unbound || config->key_source != UPSTREAM_KEY_NONE,
                .datagrams = !unbound && !config->tcp,
                .margin_sec = unbound ? 1 : margin_sec,
                .slow_usec = unbound ? 0 : margin_sec * USEC_PER_SEC,
                /* Unbound tells all it has or nothing, so it is asked seldom. */
                .max_units = unbound ? 1000 : 400,
                .max_in_flight = unbound ? 1 : 2,
        };
}

int upstream_add_lane(struct upstream *upstream, enum unit_mode mode, const struct dns_name *zone)
{
        struct zone_serial *serials;
        int r;

        if (find_lane(upstream, mode, zone) >= 0)
                return 0;
        serials = reallocarray(upstream->serials, upstream->plan->n_lanes + 1, sizeof(*serials));
        if (!serials)
                return -ENOMEM;
        upstream->serials = serials;
        serials[upstream->plan->n_lanes] = (struct zone_serial){};
        r = plan_add_lane(upstream->plan, mode, zone);
        return r < 0 ? r : 0;
}

int upstream_open_driver(struct upstream *upstream, struct upstream_config *config, void **ret, char **why)
{
        struct upstream_config *in_force = upstream->config;
        int r;

        upstream->config = config;
        r = upstream->type->open(upstream, ret, why);
        upstream->config = in_force;
        return r;
}

int upstream_open(struct publisher *publisher, const struct upstream_config *config, struct upstream **ret,
                  char **why)
{
        struct plan_options options = upstream_plan_options(config);
        struct upstream *upstream = calloc(1, sizeof(*upstream));
        uint64_t seed;
        int r = -ENOMEM;

        if (!upstream)
                return -ENOMEM;
        /* Early at boot there may be no randomness yet: only jitter is made of it. */
        if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
                seed = 1;
        upstream->publisher = publisher;
        upstream->state = UPSTREAM_JOINING;
        upstream->type = config->type == UPSTREAM_UNBOUND ? &unbound_driver : &nsupdate_driver;
        upstream->number = ++publisher->n_upstreams_ever;
        LIST_INSERT_HEAD(&publisher->upstreams, upstream, upstreams);
        upstream->config = upstream_config_dup(config);
        upstream->identity = upstream_config_identity(config);
        upstream->plan = plan_new(&options, &plan_ops, upstream, seed);
        if (upstream->config && upstream->identity && upstream->plan)
                r = upstream_open_driver(upstream, upstream->config, &upstream->driver, why);
        if (r < 0) {
                upstream_free(upstream);
                return r;
        }
        plan_load_begin(upstream->plan);
        *ret = upstream;
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

const struct attachment *publisher_attachments(const struct registry_zone *zone)
{
        return zone->userdata;
}

void publisher_freeze(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                upstream->plan->stopped = true;
        move_free(publisher);
}

void publisher_flush(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                plan_flush(upstream->plan);
        publisher_pump(publisher);
}

int publisher_forget(struct publisher *publisher, const char *identity)
{
        struct upstream *upstream = publisher_find(publisher, identity);

        if (!upstream)
                return -ENOENT;
        if (upstream->state != UPSTREAM_DRAINING && upstream->state != UPSTREAM_LEFT_OVER)
                return -EBUSY;
        upstream->forgotten = true;
        publisher_pump(publisher);
        return 0;
}
