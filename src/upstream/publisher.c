/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>
#include <sys/random.h>

#include "upstream/nsupdate.h"
#include "upstream/publisher.h"
#include "util/log.h"

struct publisher {
        sd_event *event;
        const struct publisher_ops *ops;
        void *userdata;
        struct upstream_list upstreams;
        unsigned n_upstreams_ever;
        sd_event_source *pump_source;
        sd_event_source *timer_source;
        unsigned n_waiting;
};

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

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                deadline = MIN(deadline, plan_deadline(upstream->plan));
        if (deadline == USEC_INFINITY) {
                (void) sd_event_source_set_enabled(publisher->timer_source, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(publisher->timer_source, deadline);
        (void) sd_event_source_set_enabled(publisher->timer_source, SD_EVENT_ONESHOT);
}

static int on_pump(sd_event_source *source, void *userdata)
{
        struct publisher *publisher = userdata;
        struct upstream *upstream;
        struct plan_batch *batch;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                while ((batch = plan_next(upstream->plan, upstream_now()))) {
                        upstream->n_messages++;
                        upstream->type->send(upstream->driver, batch);
                }
        arm_timer(publisher);
        return 0;
}

static void pump(struct publisher *publisher)
{
        (void) sd_event_source_set_enabled(publisher->pump_source, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        pump(userdata);
        return 0;
}

sd_event *upstream_event(const struct upstream *upstream)
{
        return upstream->publisher->event;
}

void upstream_sent(struct upstream *upstream)
{
        pump(upstream->publisher);
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
        *ret = TAKE_PTR(publisher);
        return 0;
}

static void upstream_free(struct upstream *upstream)
{
        if (upstream->driver)
                upstream->type->close(upstream->driver);
        plan_free(upstream->plan);
        free(upstream->identity);
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

static void on_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                      const char *reason);

static const struct plan_ops plan_ops = {
        .put_row = plan_put_row,
        .delete_row = plan_delete_row,
        .waited = on_waited,
        .refused = plan_refused,
        .drifted = plan_drifted,
        .lane_changed = plan_lane_changed,
};

static int open_upstream(struct publisher *publisher, struct upstream_config *config, char *identity,
                         struct upstream **ret, char **why)
{
        struct plan_options options = {
                .protect_foreign = config->protect_foreign_names,
                .verify = config->type == UPSTREAM_NSUPDATE,
                .read_back = config->type == UPSTREAM_NSUPDATE,
                .max_units = config->type == UPSTREAM_NSUPDATE ? 200 : 64,
                .max_bytes = 16000,
                .max_in_flight = 2,
        };
        struct upstream *upstream = calloc(1, sizeof(*upstream));
        uint64_t seed = 1;
        int r = -ENOMEM;

        if (!upstream)
                return -ENOMEM;
        (void) getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
        upstream->publisher = publisher;
        upstream->config = config;
        upstream->type = &nsupdate_driver;
        upstream->plan = plan_new(&options, &plan_ops, upstream, seed);
        LIST_INSERT_HEAD(&publisher->upstreams, upstream, upstreams);
        if (!upstream->plan)
                goto fail;

        upstream->forward_lane = -1;
        if (config->zone.length > 0) {
                r = upstream->forward_lane = plan_add_lane(upstream->plan, UNIT_FORWARD, &config->zone);
                if (r < 0)
                        goto fail;
        }
        for (size_t i = 0; i < config->reverse_zones.n_items; i++) {
                r = plan_add_lane(upstream->plan, UNIT_PTR, &config->reverse_zones.items[i]);
                if (r < 0)
                        goto fail;
        }
        r = upstream->type->open(upstream, &upstream->driver, why);
        if (r < 0)
                goto fail;
        upstream->identity = identity;
        upstream->number = ++publisher->n_upstreams_ever;
        *ret = upstream;
        return 0;
fail:
        upstream_free(upstream);
        return r;
}

int publisher_attach(struct publisher *publisher, struct registry_zone *zone, struct upstream_config *config,
                     char **why)
{
        struct attachment *attachment, **end = (struct attachment **) &zone->userdata;
        _cleanup_free_ char *identity = NULL;
        struct upstream *upstream = NULL;
        int r;

        if (config->type == UPSTREAM_DISABLED)
                return 0;
        if (config->type == UPSTREAM_UNBOUND) {
                *why = strdup("type unbound is not built in");
                return -EOPNOTSUPP;
        }
        if (config->type != UPSTREAM_BUILTIN) {
                identity = upstream_config_identity(config);
                if (!identity)
                        return -ENOMEM;
                upstream = publisher_find(publisher, identity);
                if (!upstream) {
                        r = open_upstream(publisher, config, identity, &upstream, why);
                        if (r < 0)
                                return r;
                        identity = NULL;
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

/* --- translation --- */

static int forward_set(const struct attachment *attachment, const struct name_state *state, struct rrset *ret)
{
        int r;

        *ret = (struct rrset){};
        for (unsigned i = 0; state && i < state->n_records; i++) {
                const struct address *address = &state->records[i].address;

                if (prefix_list_contains(&attachment->config->exclude_nets, address))
                        continue;
                r = rrset_add_address(ret, address);
                if (r < 0) {
                        rrset_clear(ret);
                        return r;
                }
        }
        return 0;
}

/* The innermost reverse zone of an upstream that a reverse name is in, or -1. */
static int reverse_lane(const struct upstream *upstream, const struct dns_name *owner)
{
        int best = -1;

        for (unsigned i = 0; i < upstream->plan->n_lanes; i++) {
                const struct plan_lane *lane = &upstream->plan->lanes[i];

                if (lane->kind == UNIT_PTR && dns_name_is_subdomain(owner, &lane->zone) &&
                    (best < 0 || lane->zone.length > upstream->plan->lanes[best].zone.length))
                        best = (int) i;
        }
        return best;
}

static const struct attachment *find_attachment(const struct registry_zone *zone,
                                                const struct upstream *upstream)
{
        for (const struct attachment *attachment = zone ? zone->userdata : NULL; attachment;
             attachment = attachment->next)
                if (attachment->upstream == upstream)
                        return attachment;
        return NULL;
}

/* What an upstream should have at an address whose PTR a name of this zone was granted. */
static int ptr_set(const struct upstream *upstream, const struct registry_zone *zone,
                   const struct dns_name *target, const struct address *address, struct rrset *ret)
{
        const struct attachment *attachment = find_attachment(zone, upstream);

        *ret = (struct rrset){};
        if (!attachment || prefix_list_contains(&attachment->config->exclude_nets, address))
                return 0;
        return rrset_add_name(ret, DNS_TYPE_PTR, target);
}

static int change_ptr(struct upstream *upstream, const struct ptr_change *change)
{
        struct dns_name owner = dns_name_reverse(&change->address);
        int r, lane = reverse_lane(upstream, &owner);
        struct rrset before, wanted;

        if (lane < 0)
                return 0;
        r = ptr_set(upstream, change->zone_before, &change->before, &change->address, &before);
        if (r < 0)
                return r;
        r = ptr_set(upstream, change->zone_after, &change->after, &change->address, &wanted);
        if (r >= 0)
                r = plan_change(upstream->plan, UNIT_PTR, (unsigned) lane, &owner, &before, &wanted);
        rrset_clear(&before);
        rrset_clear(&wanted);
        return r;
}

static int change_forward(const struct attachment *attachment, const struct dns_name *name,
                          const struct name_state *before, const struct name_state *after)
{
        const struct upstream *upstream = attachment->upstream;
        struct rrset old = {}, wanted = {};
        int r;

        if (!upstream || upstream->forward_lane < 0)
                return 0;
        r = forward_set(attachment, before, &old);
        if (r >= 0)
                r = forward_set(attachment, after, &wanted);
        if (r >= 0)
                r = plan_change(upstream->plan, UNIT_FORWARD, (unsigned) upstream->forward_lane, name, &old,
                                &wanted);
        rrset_clear(&old);
        rrset_clear(&wanted);
        return r;
}

int publisher_change(struct publisher *publisher, struct registry_zone *zone, const struct dns_name *name,
                     const struct name_state *before, const struct name_state *after,
                     const struct effects *effects)
{
        struct upstream *upstream;
        int r;

        for (const struct attachment *attachment = zone->userdata; attachment;
             attachment = attachment->next) {
                r = change_forward(attachment, name, before, after);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < effects->n_ptrs; i++)
                LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                        r = change_ptr(upstream, &effects->ptrs[i]);
                        if (r < 0)
                                return r;
                }
        pump(publisher);
        return 0;
}

/* --- start --- */

void publisher_load_begin(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                plan_load_begin(upstream->plan);
}

int publisher_load_row(struct publisher *publisher, const char *identity, enum unit_kind kind,
                       const struct dns_name *owner, enum row_state row, const struct rrset *set)
{
        struct upstream *upstream = publisher_find(publisher, identity);
        int lane;

        /* An upstream, or a reverse zone of it, that is configured no more keeps its rows. */
        if (!upstream)
                return 0;
        lane = kind == UNIT_FORWARD ? upstream->forward_lane : reverse_lane(upstream, owner);
        return lane < 0 ? 0 : plan_load(upstream->plan, kind, (unsigned) lane, owner, row, set);
}

int publisher_load_name(struct publisher *publisher, const struct registry *registry,
                        struct name_entry *entry)
{
        struct dns_name name = name_entry_name(entry);
        struct upstream *upstream;
        int r;

        for (const struct attachment *attachment = entry->zone->userdata; attachment;
             attachment = attachment->next) {
                r = change_forward(attachment, &name, NULL, entry->state);
                if (r < 0)
                        return r;
        }
        for (unsigned i = 0; i < entry->state->n_records; i++) {
                const struct address *address = &entry->state->records[i].address;
                struct ptr_change change = { .address = *address, .zone_after = entry->zone, .after = name };

                if (registry_ptr_owner(registry, address) != entry)
                        continue;
                LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                        r = change_ptr(upstream, &change);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

void publisher_load_done(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                plan_load_done(upstream->plan);
        pump(publisher);
}

void publisher_row_written(struct publisher *publisher, const char *identity, enum unit_kind kind,
                           const struct dns_name *owner, bool ok)
{
        struct upstream *upstream = publisher_find(publisher, identity);

        if (!upstream)
                return;
        plan_row_written(upstream->plan, kind, owner, ok, upstream_now());
        pump(publisher);
}

/* --- waiting --- */

struct publication_part {
        struct plan_waiter waiter;
        struct publication *publication;
};

struct publication {
        struct publisher *publisher;
        sd_event_source *timeout_source;
        publication_done done;
        void *userdata;
        unsigned n_open;
        unsigned n_parts;
        struct publication_part parts[];
};

struct publication *publication_free(struct publication *publication)
{
        if (!publication)
                return NULL;
        for (unsigned i = 0; i < publication->n_parts; i++)
                plan_waiter_cancel(&publication->parts[i].waiter);
        sd_event_source_disable_unref(publication->timeout_source);
        publication->publisher->n_waiting--;
        free(publication);
        return NULL;
}

static void end_publication(struct publication *publication, enum wait_outcome outcome, const char *reason)
{
        publication_done done = publication->done;
        void *userdata = publication->userdata;

        publication_free(publication);
        done(userdata, outcome, reason);
}

static void on_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
                      const char *reason)
{
        struct publication *publication = container_of(waiter, struct publication_part, waiter)->publication;
        struct upstream *upstream = userdata;
        char text[256];

        if (outcome == WAIT_PUBLISHED) {
                if (--publication->n_open == 0)
                        end_publication(publication, WAIT_PUBLISHED, NULL);
                return;
        }
        snprintf(text, sizeof(text), "%s: %s", upstream->config->hostname ?: upstream->identity, reason);
        end_publication(publication, outcome, text);
}

static int on_publication_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct publication *publication = userdata;
        const char *host = "the DNS server";
        char text[256];

        for (unsigned i = 0; i < publication->n_parts; i++)
                if (publication->parts[i].waiter.unit) {
                        const struct upstream *upstream = publication->parts[i].waiter.unit->plan->userdata;

                        host = upstream->config->hostname ?: upstream->identity;
                        break;
                }
        snprintf(text, sizeof(text), "%s has not answered yet; it will be tried again", host);
        end_publication(publication, WAIT_FAILED, text);
        return 0;
}

/* The units of a name: one per upstream, and one per address. */
static unsigned collect_units(const struct registry_zone *zone, const struct dns_name *name,
                              const struct address *addresses, size_t n_addresses, struct unit **units)
{
        unsigned n = 0;

        for (const struct attachment *attachment = zone->userdata; attachment;
             attachment = attachment->next) {
                const struct upstream *upstream = attachment->upstream;
                struct unit *unit;

                if (!upstream || upstream->plan->n_units == 0)
                        continue;
                unit = plan_find(upstream->plan, UNIT_FORWARD, name);
                if (unit)
                        units[n++] = unit;
                for (size_t i = 0; i < n_addresses; i++) {
                        struct dns_name reverse = dns_name_reverse(&addresses[i]);

                        unit = plan_find(upstream->plan, UNIT_PTR, &reverse);
                        if (unit)
                                units[n++] = unit;
                }
        }
        return n;
}

static size_t count_attachments(const struct registry_zone *zone)
{
        size_t n = 0;

        for (const struct attachment *attachment = zone->userdata; attachment; attachment = attachment->next)
                n++;
        return n;
}

/* A unit that is as wanted, or only an identical PTR of somebody else: nothing to wait for. */
static bool is_settled(const struct unit *unit)
{
        return unit_is_published(unit) || (unit->kind == UNIT_PTR && unit->refused);
}

int publisher_wait(struct publisher *publisher, struct registry_zone *zone, const struct dns_name *name,
                   const struct address *addresses, size_t n_addresses, usec_t timeout_usec,
                   publication_done done, void *userdata, struct publication **ret, const char **ret_reason)
{
        _cleanup_free_ struct unit **units = NULL;
        struct publication *publication;
        unsigned n = 0, n_found;
        int r;

        units = reallocarray(NULL, count_attachments(zone) * (1 + n_addresses) + 1, sizeof(*units));
        if (!units)
                return -ENOMEM;
        n_found = collect_units(zone, name, addresses, n_addresses, units);
        for (unsigned i = 0; i < n_found; i++) {
                if (is_settled(units[i]))
                        continue;
                *ret_reason = unit_trouble(units[i], upstream_now());
                if (*ret_reason)
                        return -EAGAIN;
                units[n++] = units[i];
        }
        if (n == 0)
                return 0;

        publication = calloc(1, sizeof(*publication) + n * sizeof(publication->parts[0]));
        if (!publication)
                return -ENOMEM;
        r = sd_event_add_time_relative(publisher->event, &publication->timeout_source, CLOCK_MONOTONIC,
                                       timeout_usec, USEC_PER_MSEC, on_publication_timeout, publication);
        if (r < 0) {
                free(publication);
                return r;
        }
        publication->publisher = publisher;
        publication->done = done;
        publication->userdata = userdata;
        publication->n_parts = publication->n_open = n;
        publisher->n_waiting++;
        for (unsigned i = 0; i < n; i++) {
                publication->parts[i].publication = publication;
                plan_wait(units[i], &publication->parts[i].waiter);
        }
        pump(publisher);
        *ret = publication;
        return 1;
}

unsigned publisher_waiting(const struct publisher *publisher)
{
        return publisher->n_waiting;
}

bool publisher_is_published(const struct attachment *attachment, const struct dns_name *name)
{
        const struct unit *unit = attachment->upstream
                                          ? plan_find(attachment->upstream->plan, UNIT_FORWARD, name)
                                          : NULL;

        return !unit || unit_is_published(unit);
}

static int check_name(struct publisher *publisher, const struct registry *registry, struct name_entry *entry)
{
        struct dns_name name = name_entry_name(entry);
        struct upstream *upstream;
        struct rrset wanted;
        int r = 0;

        for (const struct attachment *attachment = entry->zone->userdata; attachment && r >= 0;
             attachment = attachment->next) {
                upstream = attachment->upstream;
                if (!upstream || upstream->forward_lane < 0)
                        continue;
                r = forward_set(attachment, entry->state, &wanted);
                if (r >= 0 && !rrset_is_empty(&wanted))
                        r = plan_check(upstream->plan, UNIT_FORWARD, (unsigned) upstream->forward_lane, &name,
                                       &wanted);
                rrset_clear(&wanted);
        }
        for (unsigned i = 0; i < entry->state->n_records && r >= 0; i++) {
                const struct address *address = &entry->state->records[i].address;
                struct dns_name owner = dns_name_reverse(address);

                if (registry_ptr_owner(registry, address) != entry)
                        continue;
                LIST_FOREACH (upstream, &publisher->upstreams, upstreams) {
                        int lane = reverse_lane(upstream, &owner);

                        if (lane < 0 || ptr_set(upstream, entry->zone, &name, address, &wanted) < 0)
                                continue;
                        if (!rrset_is_empty(&wanted))
                                r = plan_check(upstream->plan, UNIT_PTR, (unsigned) lane, &owner, &wanted);
                        rrset_clear(&wanted);
                }
        }
        return r;
}

int publisher_reconcile(struct publisher *publisher, const struct registry *registry)
{
        int r = 0;

        for (struct registry_zone *zone = registry->zones; zone && r >= 0; zone = zone->next)
                for (struct name_entry *entry = registry_after(zone, ""); entry && r >= 0;
                     entry = registry_after(zone, entry->label))
                        r = check_name(publisher, registry, entry);
        pump(publisher);
        return r;
}

void publisher_flush(struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                plan_flush(upstream->plan);
        pump(publisher);
}

bool publisher_is_quiet(const struct publisher *publisher)
{
        struct upstream *upstream;

        LIST_FOREACH (upstream, &publisher->upstreams, upstreams)
                if (upstream->plan->n_units > upstream->plan->n_refused)
                        return false;
        return true;
}
