/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "upstream/publisher-internal.h"

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

void publication_waited(void *userdata, struct plan_waiter *waiter, enum wait_outcome outcome,
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
        bool uncertain = false;
        char text[256];

        for (unsigned i = 0; i < publication->n_parts; i++)
                if (publication->parts[i].waiter.unit) {
                        const struct upstream *upstream = publication->parts[i].waiter.unit->plan->userdata;

                        host = upstream->config->hostname ?: upstream->identity;
                        uncertain = unit_is_uncertain(publication->parts[i].waiter.unit);
                        break;
                }
        if (uncertain)
                snprintf(text, sizeof(text),
                         "not certain yet: %s has it, but may still apply an earlier change; ask again in a "
                         "while",
                         host);
        else
                snprintf(text, sizeof(text), "%s has not answered yet; it will be tried again", host);
        end_publication(publication, WAIT_FAILED, text);
        return 0;
}

/* The units of names: one per upstream and name, and one per address. */
static void collect(const struct upstream *upstream, int lane, const struct dns_name *owner,
                    struct unit **units, unsigned *n)
{
        struct unit *unit = lane >= 0 ? plan_find(upstream->plan, (unsigned) lane, owner) : NULL;

        if (unit)
                units[(*n)++] = unit;
}

int publication_scope_add_name(struct publication_scope *scope, const struct dns_name *name)
{
        struct dns_name *names;

        for (size_t i = 0; i < scope->n_names; i++)
                if (dns_name_equal(&scope->names[i], name))
                        return 0;
        names = reallocarray(scope->names, scope->n_names + 1, sizeof(*names));
        if (!names)
                return -ENOMEM;
        scope->names = names;
        names[scope->n_names++] = *name;
        return 0;
}

int publication_scope_add_address(struct publication_scope *scope, const struct address *address)
{
        struct address *addresses;

        for (size_t i = 0; i < scope->n_addresses; i++)
                if (address_equal(&scope->addresses[i], address))
                        return 0;
        addresses = reallocarray(scope->addresses, scope->n_addresses + 1, sizeof(*addresses));
        if (!addresses)
                return -ENOMEM;
        scope->addresses = addresses;
        addresses[scope->n_addresses++] = *address;
        return 0;
}

void publication_scope_clear(struct publication_scope *scope)
{
        free(scope->names);
        free(scope->addresses);
        *scope = (struct publication_scope){};
}

static unsigned collect_units(const struct registry_zone *zone, const struct publication_scope *scope,
                              struct unit **units)
{
        unsigned n = 0;

        for (const struct attachment *attachment = zone->userdata; attachment;
             attachment = attachment->next) {
                const struct upstream *upstream = attachment->upstream;

                if (!upstream || upstream->plan->n_units == 0)
                        continue;
                for (size_t i = 0; i < scope->n_names; i++)
                        collect(upstream, forward_lane(attachment, zone), &scope->names[i], units, &n);
                for (size_t i = 0; i < scope->n_addresses; i++) {
                        struct dns_name reverse = dns_name_reverse(&scope->addresses[i]);

                        collect(upstream, reverse_lane(upstream, &reverse, LANE_CONFIGURED), &reverse, units,
                                &n);
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

int publisher_wait(struct publisher *publisher, struct registry_zone *zone,
                   const struct publication_scope *scope, usec_t timeout_usec, publication_done done,
                   void *userdata, struct publication **ret, const char **ret_reason)
{
        _cleanup_free_ struct unit **units = NULL;
        struct publication *publication;
        unsigned n = 0, n_found;
        int r;

        units = reallocarray(NULL, count_attachments(zone) * (scope->n_names + scope->n_addresses) + 1,
                             sizeof(*units));
        if (!units)
                return -ENOMEM;
        n_found = collect_units(zone, scope, units);
        for (unsigned i = 0; i < n_found; i++) {
                if (unit_is_done(units[i]))
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
        publisher_pump(publisher);
        *ret = publication;
        return 1;
}

unsigned publisher_waiting(const struct publisher *publisher)
{
        return publisher->n_waiting;
}

bool publisher_is_published(const struct attachment *attachment, const struct name_entry *entry)
{
        int lane = forward_lane(attachment, entry->zone);
        struct dns_name host = name_entry_name(entry), owner;
        struct record_value name;
        unsigned position = 0;

        while (lane >= 0 && name_state_next_name(entry->state, &position, &name)) {
                const struct unit *unit = NULL;

                if (record_owner(&host, &name, &owner) >= 0)
                        unit = plan_find(attachment->upstream->plan, (unsigned) lane, &owner);
                if (unit && !unit_is_published(unit))
                        return false;
        }
        return true;
}
