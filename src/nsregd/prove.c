/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/prove.h"
#include "upstream/publisher.h"
#include "util/log.h"

static int prove_zone(struct publisher_setup *setup, struct registry *registry,
                      const struct zone_config *config)
{
        struct registry_zone *zone = registry_add_zone(registry, &config->policy);
        _cleanup_free_ char *why = NULL;
        char text[DNS_NAME_FORMAT_MAX];
        int r;

        if (!zone)
                return log_oom();
        r = publisher_prepare_zone(setup, zone, config->upstreams, config->n_upstreams, &why);
        if (r < 0)
                log_error("Zone %s: %s.", dns_name_format(&config->policy.zone, text), why ?: strerror(-r));
        return r;
}

int prove_upstreams(const struct nsregd_config *config)
{
        static const struct publisher_ops ops = {};
        struct registry *registry = registry_new();
        struct publisher_setup *setup = NULL;
        struct publisher *publisher = NULL;
        sd_event *event = NULL;
        int r, result = 0;

        r = registry ? sd_event_new(&event) : -ENOMEM;
        if (r >= 0)
                r = publisher_new(event, registry, &ops, NULL, &publisher);
        if (r >= 0)
                r = publisher_prepare(publisher, &setup);
        /* All of them, so that everything is told at once. */
        for (size_t i = 0; r >= 0 && i < config->n_zones; i++) {
                int k = prove_zone(setup, registry, &config->zones[i]);

                result = k < 0 ? k : result;
        }
        publisher_setup_free(setup);
        publisher_free(publisher);
        registry_free(registry);
        sd_event_unref(event);
        return r < 0 ? r : result;
}
