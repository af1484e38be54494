/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/service.h"

#include "nsregc/random.h"

#define TARGETS_MAX 8

struct service_lookup {
        struct resolver *resolver;
        struct resolve_query *query;
        struct record_list targets; /* SRV, in order */
        struct record_list along;   /* addresses that came with them */
        size_t target;
        uint16_t family_type; /* A, then AAAA, of the target being resolved */
        size_t before;        /* endpoints there were before this target */
        struct service service;
        service_done done;
        void *userdata;
};

void service_clear(struct service *service)
{
        for (size_t i = 0; i < service->n_endpoints; i++)
                free(service->endpoints[i].host);
        *service = (struct service){ 0 };
}

bool service_equal(const struct service *a, const struct service *b)
{
        if (a->n_endpoints != b->n_endpoints || a->none != b->none)
                return false;
        /* The order is drawn by lot each time: compared as sets. */
        for (size_t i = 0; i < a->n_endpoints; i++) {
                bool found = false;

                for (size_t j = 0; j < b->n_endpoints && !found; j++)
                        found = a->endpoints[i].port == b->endpoints[j].port &&
                                streq(a->endpoints[i].host, b->endpoints[j].host);
                if (!found)
                        return false;
        }
        return true;
}

struct service_lookup *service_lookup_free(struct service_lookup *lookup)
{
        if (!lookup)
                return NULL;
        resolve_query_free(lookup->query);
        record_list_clear(&lookup->targets);
        record_list_clear(&lookup->along);
        service_clear(&lookup->service);
        free(lookup);
        return NULL;
}

static void lookup_complete(struct service_lookup *lookup, int error, const char *why)
{
        service_done done = lookup->done;
        void *userdata = lookup->userdata;
        struct service service = lookup->service;

        lookup->service = (struct service){ 0 };
        service_lookup_free(lookup);
        done(userdata, error, why, &service);
        service_clear(&service);
}

static void endpoint_add(struct service_lookup *lookup, const char *host, uint16_t port)
{
        struct service *service = &lookup->service;
        char *copy;

        if (service->n_endpoints >= SERVICE_ENDPOINTS_MAX || !(copy = strdup(host)))
                return;
        service->endpoints[service->n_endpoints++] =
                (struct endpoint){ .host = copy, .port = port, .target = lookup->target };
}

static void addresses_take(struct service_lookup *lookup, const struct record_list *records, bool any_owner)
{
        const struct record *target = &lookup->targets.items[lookup->target];
        char text[ADDRESS_FORMAT_MAX];

        for (size_t i = 0; i < records->n_items; i++) {
                const struct record *record = &records->items[i];

                if (record->type != DNS_TYPE_A && record->type != DNS_TYPE_AAAA)
                        continue;
                /* A direct answer may stand at the end of a CNAME. */
                if (!any_owner && !dns_name_equal(&record->owner, &target->target))
                        continue;
                endpoint_add(lookup, address_format(&record->address, text), target->port);
        }
}

static void on_address(void *userdata, const struct resolve_answer *answer);

/* As /etc/hosts has them: without the last dot, with which that is not searched. */
static const char *host_name(const struct dns_name *name, char text[static DNS_NAME_FORMAT_MAX])
{
        size_t length = strlen(dns_name_format(name, text));

        if (length > 1)
                text[length - 1] = '\0';
        return text;
}

/* Goes on with the addresses of the target at hand; those that came along with the SRV are taken as they are.
 */
static void lookup_step(struct service_lookup *lookup)
{
        while (lookup->target < lookup->targets.n_items) {
                const struct record *target = &lookup->targets.items[lookup->target];
                char name[DNS_NAME_FORMAT_MAX];

                if (lookup->family_type == 0) {
                        lookup->before = lookup->service.n_endpoints;
                        addresses_take(lookup, &lookup->along, false);
                        lookup->family_type = lookup->service.n_endpoints > lookup->before ? DNS_TYPE_ANY
                                                                                           : DNS_TYPE_AAAA;
                }
                if (lookup->family_type != DNS_TYPE_ANY &&
                    resolver_ask(lookup->resolver, &target->target, lookup->family_type, on_address, lookup,
                                 &lookup->query) >= 0)
                        return;
                if (lookup->service.n_endpoints == lookup->before)
                        endpoint_add(lookup, host_name(&target->target, name), target->port);
                lookup->target++;
                lookup->family_type = 0;
        }
        lookup_complete(lookup, 0, NULL);
}

static void on_address(void *userdata, const struct resolve_answer *answer)
{
        struct service_lookup *lookup = userdata;

        lookup->query = NULL;
        if (answer->error == 0)
                addresses_take(lookup, answer->records, true);
        lookup->family_type = lookup->family_type == DNS_TYPE_AAAA ? DNS_TYPE_A : DNS_TYPE_ANY;
        lookup_step(lookup);
}

static void on_srv(void *userdata, const struct resolve_answer *answer)
{
        struct service_lookup *lookup = userdata;
        struct record_list *targets = &lookup->targets;
        const struct record_list *records = answer->records;

        lookup->query = NULL;
        if (answer->error < 0) {
                lookup_complete(lookup, answer->error, answer->why);
                return;
        }
        targets->items = calloc(records->n_items + 1, sizeof(*targets->items));
        lookup->along.items = calloc(records->n_items + 1, sizeof(*targets->items));
        if (!targets->items || !lookup->along.items) {
                lookup_complete(lookup, -ENOMEM, strerror(ENOMEM));
                return;
        }
        if (records->n_items > 0) {
                memcpy(targets->items, records->items, records->n_items * sizeof(*targets->items));
                memcpy(lookup->along.items, records->items, records->n_items * sizeof(*targets->items));
        }
        targets->n_items = lookup->along.n_items = records->n_items;
        record_list_order(targets, random_below, NULL);
        targets->n_items = MIN(targets->n_items, (size_t) TARGETS_MAX);

        lookup->service.ttl_sec = targets->n_items > 0 ? UINT32_MAX : answer->negative_ttl_sec;
        for (size_t i = 0; i < targets->n_items; i++)
                lookup->service.ttl_sec = MIN(lookup->service.ttl_sec, targets->items[i].ttl_sec);
        if (targets->n_items > 0 && dns_name_is_root(&targets->items[0].target)) {
                lookup->service.none = true;
                targets->n_items = 0;
        }
        lookup_step(lookup);
}

int service_lookup_new(struct resolver *resolver, const struct dns_name *zone, service_done done,
                       void *userdata, struct service_lookup **ret)
{
        struct service_lookup *lookup;
        struct dns_name prefix, name;
        int r;

        r = dns_name_parse("_nsreg._tcp.", &prefix);
        if (r < 0)
                return r;
        r = dns_name_concat(&prefix, zone, &name);
        if (r < 0)
                return r;
        lookup = calloc(1, sizeof(*lookup));
        if (!lookup)
                return -ENOMEM;
        lookup->resolver = resolver;
        lookup->done = done;
        lookup->userdata = userdata;
        r = resolver_ask(resolver, &name, DNS_TYPE_SRV, on_srv, lookup, &lookup->query);
        if (r < 0) {
                service_lookup_free(lookup);
                return r;
        }
        *ret = lookup;
        return 0;
}
