/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/discovery.h"

#include "nsregc/link.h"
#include "nsregc/random.h"
#include "nsregc/service.h"
#include "util/log.h"

#define CANDIDATES_MAX  64
#define AGAIN_MIN_USEC  (5 * USEC_PER_MINUTE)
#define AGAIN_NONE_USEC USEC_PER_HOUR /* where nothing is recommended */
#define RETRY_MIN_USEC  (5 * USEC_PER_SEC)
#define RETRY_MAX_USEC  (15 * USEC_PER_MINUTE)

struct candidate {
        struct discovery *discovery;
        struct dns_name domain;
        bool may_be_zone; /* a domain of a link, not a reverse name */
        bool wanted;      /* in the round at hand */
        bool busy;
        const char *label; /* "r" or "dr", being asked for */
        struct resolve_query *query;
        struct service_lookup *lookup;
        struct name_list found, fresh;
        int error;
        uint32_t ttl_sec;
};

struct discovery {
        sd_event *event;
        struct resolver *resolver;
        struct name_list configured, zones, domains;
        struct prefix_list networks;
        bool discover;
        struct candidate *candidates[CANDIDATES_MAX];
        size_t n_candidates, n_busy;
        sd_event_source *again; /* BOOTTIME */
        unsigned failures;
        int error;
        discovery_changed changed;
        void *userdata;
};

static int on_again(sd_event_source *source, uint64_t usec, void *userdata);

static void candidate_stop(struct candidate *candidate)
{
        candidate->query = resolve_query_free(candidate->query);
        candidate->lookup = service_lookup_free(candidate->lookup);
        name_list_clear(&candidate->fresh);
        if (candidate->busy)
                candidate->discovery->n_busy--;
        candidate->busy = false;
}

static struct candidate *candidate_free(struct candidate *candidate)
{
        candidate_stop(candidate);
        name_list_clear(&candidate->found);
        free(candidate);
        return NULL;
}

static void schedule(struct discovery *discovery)
{
        usec_t delay = AGAIN_NONE_USEC;

        if (discovery->error < 0) {
                discovery->failures = MIN(discovery->failures + 1, 16u);
                delay = MIN(RETRY_MIN_USEC << discovery->failures, RETRY_MAX_USEC);
        } else {
                discovery->failures = 0;
                for (size_t i = 0; i < discovery->n_candidates; i++)
                        if (discovery->candidates[i]->found.n_items > 0)
                                delay = MIN(delay, discovery->candidates[i]->ttl_sec * USEC_PER_SEC);
                delay = MAX(delay, AGAIN_MIN_USEC);
        }
        discovery->again = sd_event_source_disable_unref(discovery->again);
        (void) sd_event_add_time_relative(discovery->event, &discovery->again, CLOCK_BOOTTIME,
                                          delay + random_span(delay / 10), USEC_PER_SEC, on_again, discovery);
}

static void zones_collect(struct discovery *discovery)
{
        name_list_clear(&discovery->zones);
        for (size_t i = 0; i < discovery->configured.n_items; i++)
                (void) name_list_add_new(&discovery->zones, &discovery->configured.items[i]);
        for (size_t i = 0; i < discovery->n_candidates; i++)
                for (size_t j = 0; j < discovery->candidates[i]->found.n_items; j++)
                        (void) name_list_add_new(&discovery->zones,
                                                 &discovery->candidates[i]->found.items[j]);
}

static void round_end(struct discovery *discovery)
{
        discovery->error = 0;
        for (size_t i = 0; i < discovery->n_candidates; i++)
                if (discovery->candidates[i]->error < 0)
                        discovery->error = discovery->candidates[i]->error;
        zones_collect(discovery);
        schedule(discovery);
        discovery->changed(discovery->userdata);
}

static void candidate_end(struct candidate *candidate, int error)
{
        struct discovery *discovery = candidate->discovery;

        candidate->error = error;
        if (error == 0) {
                name_list_clear(&candidate->found);
                candidate->found = candidate->fresh;
                candidate->fresh = (struct name_list){ 0 };
        }
        candidate_stop(candidate);
        if (discovery->n_busy == 0)
                round_end(discovery);
}

static void on_zone_service(void *userdata, int error, struct service *service)
{
        struct candidate *candidate = userdata;

        candidate->lookup = NULL;
        if (error == 0 && service->n_endpoints > 0) {
                (void) name_list_add_new(&candidate->fresh, &candidate->domain);
                candidate->ttl_sec = MIN(candidate->ttl_sec, service->ttl_sec);
        }
        candidate_end(candidate, error);
}

static void candidate_ask_service(struct candidate *candidate)
{
        int r = 0;

        if (candidate->may_be_zone) {
                r = service_lookup_new(candidate->discovery->resolver, &candidate->domain, on_zone_service,
                                       candidate, &candidate->lookup);
                if (r >= 0)
                        return;
        }
        candidate_end(candidate, r);
}

static int candidate_ask(struct candidate *candidate, const char *label);

static void on_pointers(void *userdata, int error, unsigned rcode, const struct record_list *records,
                        uint32_t negative_ttl)
{
        struct candidate *candidate = userdata;

        candidate->query = NULL;
        if (error < 0) {
                candidate_end(candidate, error);
                return;
        }
        for (size_t i = 0; i < records->n_items; i++) {
                const struct record *record = &records->items[i];

                if (record->type != DNS_TYPE_PTR || dns_name_is_root(&record->target))
                        continue;
                (void) name_list_add_new(&candidate->fresh, &record->target);
                candidate->ttl_sec = MIN(candidate->ttl_sec, record->ttl_sec);
        }
        if (candidate->fresh.n_items == 0 && streq(candidate->label, "r")) {
                int r = candidate_ask(candidate, "dr");

                if (r < 0)
                        candidate_end(candidate, r);
                return;
        }
        candidate_ask_service(candidate);
}

static int candidate_ask(struct candidate *candidate, const char *label)
{
        struct dns_name prefix, name;
        char text[32];
        int r;

        candidate->label = label;
        (void) snprintf(text, sizeof(text), "%s._dns-sd._udp.", label);
        r = dns_name_parse(text, &prefix);
        if (r < 0)
                return r;
        r = dns_name_concat(&prefix, &candidate->domain, &name);
        if (r < 0)
                return r;
        return resolver_ask(candidate->discovery->resolver, &name, DNS_TYPE_PTR, on_pointers, candidate,
                            &candidate->query);
}

static void candidate_want(struct discovery *discovery, const struct dns_name *domain, bool may_be_zone)
{
        struct candidate *candidate = NULL;

        for (size_t i = 0; i < discovery->n_candidates && !candidate; i++)
                if (dns_name_equal(&discovery->candidates[i]->domain, domain))
                        candidate = discovery->candidates[i];
        if (!candidate) {
                if (discovery->n_candidates >= CANDIDATES_MAX)
                        return;
                candidate = calloc(1, sizeof(*candidate));
                if (!candidate)
                        return;
                candidate->discovery = discovery;
                candidate->domain = *domain;
                discovery->candidates[discovery->n_candidates++] = candidate;
        }
        candidate->wanted = true;
        candidate->may_be_zone |= may_be_zone;
}

static void candidates_choose(struct discovery *discovery)
{
        static const char *const always[] = { "local.", "home.arpa." };
        struct dns_name name;

        for (size_t i = 0; i < discovery->n_candidates; i++) {
                candidate_stop(discovery->candidates[i]);
                discovery->candidates[i]->wanted = false;
        }
        for (size_t i = 0; i < discovery->domains.n_items; i++)
                candidate_want(discovery, &discovery->domains.items[i], true);
        for (size_t i = 0; i < discovery->networks.n_items; i++) {
                name = dns_name_reverse(&discovery->networks.items[i].base);
                candidate_want(discovery, &name, false);
        }
        /* Without any network there is nobody to recommend anything. */
        for (size_t i = 0; i < ELEMENTSOF(always) && discovery->networks.n_items > 0; i++)
                if (dns_name_parse(always[i], &name) >= 0)
                        candidate_want(discovery, &name, false);

        for (size_t i = 0; i < discovery->n_candidates;) {
                if (discovery->candidates[i]->wanted)
                        i++;
                else {
                        candidate_free(discovery->candidates[i]);
                        discovery->candidates[i] = discovery->candidates[--discovery->n_candidates];
                }
        }
}

static void round_begin(struct discovery *discovery)
{
        discovery->again = sd_event_source_disable_unref(discovery->again);
        candidates_choose(discovery);
        for (size_t i = 0; i < discovery->n_candidates; i++) {
                struct candidate *candidate = discovery->candidates[i];

                candidate->ttl_sec = UINT32_MAX;
                candidate->error = candidate_ask(candidate, "r");
                candidate->busy = candidate->error >= 0;
                if (candidate->busy)
                        discovery->n_busy++;
        }
        /* What has vanished goes at once. */
        zones_collect(discovery);
        if (discovery->n_busy == 0)
                discovery->error = 0;
        discovery->changed(discovery->userdata);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        round_begin(userdata);
        return 0;
}

static void candidates_drop(struct discovery *discovery)
{
        for (size_t i = 0; i < discovery->n_candidates; i++)
                candidate_free(discovery->candidates[i]);
        discovery->n_candidates = 0;
        discovery->error = 0;
        discovery->again = sd_event_source_disable_unref(discovery->again);
}

int discovery_run(struct discovery *discovery, const struct name_list *domains,
                  const struct prefix_list *networks)
{
        int r = 0;

        if (!discovery->discover) {
                candidates_drop(discovery);
                zones_collect(discovery);
                discovery->changed(discovery->userdata);
                return 0;
        }
        name_list_clear(&discovery->domains);
        prefix_list_clear(&discovery->networks);
        for (size_t i = 0; i < domains->n_items && r >= 0; i++)
                r = name_list_add(&discovery->domains, &domains->items[i]);
        for (size_t i = 0; i < networks->n_items && r >= 0; i++)
                r = prefix_list_add(&discovery->networks, &networks->items[i]);
        if (r < 0)
                return r;
        discovery->failures = 0;
        round_begin(discovery);
        return 0;
}

bool discovery_is_busy(const struct discovery *discovery)
{
        return discovery->n_busy > 0;
}

const struct name_list *discovery_zones(struct discovery *discovery)
{
        return &discovery->zones;
}

int discovery_new(sd_event *event, struct resolver *resolver, discovery_changed changed, void *userdata,
                  struct discovery **ret)
{
        struct discovery *discovery = calloc(1, sizeof(*discovery));

        if (!discovery)
                return -ENOMEM;
        discovery->event = sd_event_ref(event);
        discovery->resolver = resolver;
        discovery->changed = changed;
        discovery->userdata = userdata;
        *ret = discovery;
        return 0;
}

int discovery_configure(struct discovery *discovery, const struct name_list *configured, bool discover)
{
        struct name_list list = { 0 };

        for (size_t i = 0; i < configured->n_items; i++) {
                int r = name_list_add_new(&list, &configured->items[i]);

                if (r < 0) {
                        name_list_clear(&list);
                        return r;
                }
        }
        name_list_clear(&discovery->configured);
        discovery->configured = list;
        discovery->discover = discover;
        return 0;
}

struct discovery *discovery_free(struct discovery *discovery)
{
        if (!discovery)
                return NULL;
        candidates_drop(discovery);
        name_list_clear(&discovery->configured);
        name_list_clear(&discovery->zones);
        name_list_clear(&discovery->domains);
        prefix_list_clear(&discovery->networks);
        sd_event_unref(discovery->event);
        free(discovery);
        return NULL;
}
