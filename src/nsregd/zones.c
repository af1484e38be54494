/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/zones.h"
#include "nsregd/context.h"
#include "upstream/publisher.h"

struct zones {
        struct context *context;
        struct registry *registry;
        struct served_zone_list list;
        size_t n;
        struct dns_name host_name; /* length 0: the machine has no full name */
        zone_quiet quiet;
        void *quiet_userdata;
};

int zones_new(struct context *context, struct zones **ret)
{
        _cleanup_(zones_freep) struct zones *zones = calloc(1, sizeof(*zones));

        if (!zones)
                return -ENOMEM;
        zones->context = context;
        LIST_INIT(&zones->list);
        zones->registry = registry_new();
        if (!zones->registry)
                return -ENOMEM;
        context->registry = zones->registry;
        *ret = TAKE_PTR(zones);
        return 0;
}

void zones_remove(struct zones *zones, struct served_zone *served)
{
        assert(served->n_under_way == 0);
        registry_remove_zone(served->zone);
        LIST_REMOVE(served, zones);
        zones->n--;
        zone_drop_policy(served);
        zone_policy_clear(&served->policy);
        free(served);
}

struct zones *zones_free(struct zones *zones)
{
        if (!zones)
                return NULL;
        while (!LIST_EMPTY(&zones->list))
                zones_remove(zones, LIST_FIRST(&zones->list));
        registry_free(zones->registry);
        zones->context->registry = NULL;
        free(zones);
        return NULL;
}

int zones_add(struct zones *zones, const struct zone_config *config, struct served_zone **ret)
{
        struct served_zone *served = calloc(1, sizeof(*served)), *last;
        int r;

        if (!served)
                return -ENOMEM;
        r = zone_policy_copy(&served->policy, &config->policy);
        if (r < 0) {
                free(served);
                return r;
        }
        served->zone = registry_add_zone(zones->registry, &served->policy);
        if (!served->zone) {
                zone_policy_clear(&served->policy);
                free(served);
                return -ENOMEM;
        }
        /* Any start will do for a zone that has no serial on the disk. */
        served->serial = served->next_serial = (uint32_t) (now_usec(CLOCK_REALTIME) / USEC_PER_SEC);
        /* In the order of the configuration, which people see. */
        last = LIST_FIRST(&zones->list);
        while (last && LIST_NEXT(last, zones))
                last = LIST_NEXT(last, zones);
        if (last)
                LIST_INSERT_AFTER(last, served, zones);
        else
                LIST_INSERT_HEAD(&zones->list, served, zones);
        zones->n++;
        *ret = served;
        return 0;
}

int zone_prepare_policy(struct served_zone *served, const struct zone_policy *policy)
{
        int r;

        zone_drop_policy(served);
        r = zone_policy_copy(&served->next_policy, policy);
        served->has_next_policy = r >= 0;
        return r;
}

void zone_take_policy(struct served_zone *served)
{
        if (!served->has_next_policy)
                return;
        zone_policy_clear(&served->policy);
        served->policy = served->next_policy;
        served->has_next_policy = false;
}

void zone_drop_policy(struct served_zone *served)
{
        if (served->has_next_policy)
                zone_policy_clear(&served->next_policy);
        served->has_next_policy = false;
}

void zones_find_builtin(struct zones *zones)
{
        struct served_zone *served;

        LIST_FOREACH (served, &zones->list, zones) {
                served->builtin = false;
                for (const struct attachment *attachment = publisher_attachments(served->zone); attachment;
                     attachment = attachment->next)
                        served->builtin |= !attachment->upstream;
        }
}

const struct served_zone_list *zones_list(const struct zones *zones)
{
        return &zones->list;
}

size_t zones_count(const struct zones *zones)
{
        return zones->n;
}

struct served_zone *zones_find(const struct zones *zones, const struct registry_zone *zone)
{
        struct served_zone *served;

        LIST_FOREACH (served, &zones->list, zones)
                if (served->zone == zone)
                        return served;
        return NULL;
}

struct served_zone *zones_serving(const struct zones *zones, const struct dns_name *name)
{
        struct served_zone *served;

        LIST_FOREACH (served, &zones->list, zones)
                if (!served->joining && !served->leaving && dns_name_equal(&served->policy.zone, name))
                        return served;
        return NULL;
}

struct served_zone *zones_serving_of(const struct zones *zones, const struct dns_name *name)
{
        struct served_zone *served, *best = NULL;

        LIST_FOREACH (served, &zones->list, zones)
                if (!served->joining && !served->leaving &&
                    dns_name_is_subdomain(name, &served->policy.zone) &&
                    (!best || served->policy.zone.length > best->policy.zone.length))
                        best = served;
        return best;
}

void zones_on_quiet(struct zones *zones, zone_quiet quiet, void *userdata)
{
        zones->quiet = quiet;
        zones->quiet_userdata = userdata;
}

struct served_zone *zone_begin(struct served_zone *served)
{
        served->n_under_way++;
        return served;
}

void zone_end(struct zones *zones, struct served_zone *served)
{
        if (!served)
                return;
        assert(served->n_under_way > 0);
        if (--served->n_under_way == 0 && served->leaving && zones->quiet)
                zones->quiet(zones->quiet_userdata);
}

/* --- the registrar's own name --- */

void zones_find_host_name(struct zones *zones)
{
        char host[256];

        zones->host_name = zones->context->config->server_name;
        if (zones->host_name.length > 0 || gethostname(host, sizeof(host)) < 0)
                return;
        host[sizeof(host) - 1] = '\0';
        if (!strchr(host, '.') || streq(host, "localhost.localdomain") ||
            dns_name_parse(host, &zones->host_name) < 0)
                zones->host_name = (struct dns_name){};
}

struct dns_name zone_server_name(const struct zones *zones, const struct registry_zone *zone)
{
        struct dns_name name = zones->host_name;

        if (name.length == 0)
                /* Where nothing fits below the zone nobody can claim anything either. */
                (void) dns_name_prepend("nsreg", 5, &zone->policy->zone, &name);
        return name;
}

/* --- serials --- */

int zone_store_serial(struct zones *zones, struct served_zone *served, const struct name_state *before,
                      const struct name_state *after)
{
        int r = 0;

        if (name_state_same_records(before, after))
                return 0;
        /* Nobody waits for it: the change behind it, in the same transaction, is what is waited for. */
        if (served->builtin)
                r = store_put_serial(zones->context->store, &served->policy.zone, served->next_serial + 1,
                                     NULL, NULL);
        if (r >= 0)
                served->next_serial++;
        return r;
}

void zone_count_change(struct served_zone *served, const struct name_state *before,
                       const struct name_state *after)
{
        if (!name_state_same_records(before, after))
                served->serial = served->next_serial;
}
