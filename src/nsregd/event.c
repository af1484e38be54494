/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "nsregd/event.h"
#include "nsregd/manager.h"
#include "nsregd/message-ids.h"
#include "util/log.h"

/* So many refusals of one source are logged within a window; sources share a table of this size by hash, so
 * memory is bounded whoever comes. */
#define REFUSALS_PER_WINDOW 5
#define WINDOW_USEC         USEC_PER_MINUTE
#define TABLE_SIZE          1024
/* Expiries logged one by one within a second; the rest is one number. */
#define EXPIRIES_PER_SECOND 10

struct window {
        struct address source;
        usec_t begin_usec;
        unsigned n_logged;
        unsigned n_left_out;
};

struct events {
        struct window windows[TABLE_SIZE];
        usec_t store_failed_usec;
        usec_t expiries_begin_usec;
        unsigned n_expiries;
        uint64_t n_expiries_left_out;
};

struct events *events_new(void)
{
        return calloc(1, sizeof(struct events));
}

struct events *events_free(struct events *events)
{
        free(events);
        return NULL;
}

/* All the texts that the fields of an event need. */
struct texts {
        char name[DNS_NAME_FORMAT_MAX];
        char zone[DNS_NAME_FORMAT_MAX];
        char source[ADDRESS_FORMAT_MAX];
        char keytag[8];
};

static struct log_fields make_fields(struct texts *texts, const struct dns_name *name,
                                     const struct address *source)
{
        struct log_fields fields = {};
        struct dns_name zone;

        if (name) {
                fields.name = dns_name_format(name, texts->name);
                if (dns_name_parent(name, &zone) >= 0)
                        fields.zone = dns_name_format(&zone, texts->zone);
        }
        if (source && source->family)
                fields.source = address_format(source, texts->source);
        return fields;
}

/* Half a network's names may end at once, after a long power cut; that is one thing that happened. */
static bool may_log_expiry(struct events *events)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (events->expiries_begin_usec == 0 || now - events->expiries_begin_usec > USEC_PER_SEC) {
                events->expiries_begin_usec = now;
                events->n_expiries = 0;
        }
        if (events->n_expiries++ < EXPIRIES_PER_SECOND)
                return true;
        events->n_expiries_left_out++;
        return false;
}

void event_summarize(struct manager *manager)
{
        struct events *events = manager->events;

        if (events->n_expiries_left_out > 0)
                log_info("%llu more names are free: their key leases ended.",
                         (unsigned long long) events->n_expiries_left_out);
        events->n_expiries_left_out = 0;
}

void event_changed(struct manager *manager, const struct dns_name *name, const struct name_state *before,
                   const struct name_state *after)
{
        bool was = before && before->claimed, is = after && after->claimed;
        const struct name_state *owned = is ? after : before;
        struct log_fields fields;
        struct texts texts;
        bool expired;

        if (was && is && !name_state_same_addresses(before, after))
                bus_name_changed(manager->bus, name);
        if (was == is)
                return;
        manager_status_changed(manager);
        fields = make_fields(&texts, name, &owned->source);
        snprintf(texts.keytag, sizeof(texts.keytag), "%u", owned->key_tag);
        fields.keytag = texts.keytag;

        if (is) {
                manager->statistics.claims++;
                bus_name_claimed(manager->bus, name, &owned->source);
                log_event(LOG_INFO, MESSAGE_CLAIMED, &fields, "%s claimed from %s with %s key %u.",
                          fields.name, fields.source, dns_algorithm_to_string(owned->key->algorithm) ?: "a",
                          owned->key_tag);
                return;
        }
        expired = before->key_end_usec <= store_lease_now(manager->store);
        if (expired) {
                manager->statistics.expiries++;
                bus_name_expired(manager->bus, name);
                if (!may_log_expiry(manager->events))
                        return;
        } else {
                manager->statistics.releases++;
                bus_name_released(manager->bus, name);
        }
        log_event(LOG_INFO, expired ? MESSAGE_EXPIRED : MESSAGE_RELEASED, &fields,
                  expired ? "%s is free: its key lease ended." : "%s is free: it was given up.", fields.name);
}

static struct window *find_window(struct events *events, const struct address *source)
{
        uint32_t hash = 2166136261U;

        for (size_t i = 0; i < sizeof(source->bytes); i++)
                hash = (hash ^ source->bytes[i]) * 16777619U;
        return &events->windows[hash % TABLE_SIZE];
}

/* False: this one is counted only. */
static bool may_log(struct events *events, const struct address *source)
{
        struct window *window = find_window(events, source);
        char text[ADDRESS_FORMAT_MAX];
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (window->begin_usec == 0 || now - window->begin_usec > WINDOW_USEC) {
                if (window->n_left_out > 0) {
                        struct log_fields fields = { .source = address_format(&window->source, text) };

                        log_event(LOG_NOTICE, MESSAGE_REFUSALS_SUPPRESSED, &fields,
                                  "%u more refusals of %s were not logged.", window->n_left_out, text);
                }
                *window = (struct window){ .source = *source, .begin_usec = now };
        }
        if (window->n_logged >= REFUSALS_PER_WINDOW) {
                window->n_left_out++;
                return false;
        }
        window->n_logged++;
        return true;
}

void event_refused(struct manager *manager, const struct dns_name *name, const struct address *source,
                   const struct decision *decision, bool owner_mismatch)
{
        struct log_fields fields;
        struct texts texts;

        manager->statistics.refusals++;
        if (!may_log(manager->events, source))
                return;
        bus_claim_refused(manager->bus, name, source, decision);
        fields = make_fields(&texts, name, source);
        fields.reason = decision->text;
        log_event(LOG_NOTICE, owner_mismatch ? MESSAGE_OWNER_MISMATCH : MESSAGE_CLAIM_REFUSED, &fields,
                  "%s from %s: %s: %s", name ? fields.name : "Request", fields.source,
                  dns_rcode_to_string(decision->rcode) ?: "refused", decision->text);
}

void event_upstream_changed(struct manager *manager, const struct upstream *upstream, const char *reason)
{
        struct log_fields fields = { .upstream = upstream->identity, .reason = reason };

        if (reason)
                log_event(LOG_WARNING, MESSAGE_UPSTREAM_FAILED, &fields,
                          "Upstream %s fails: %s. What is to be published is kept and tried again.",
                          upstream->identity, reason);
        else
                log_event(LOG_NOTICE, MESSAGE_UPSTREAM_RECOVERED, &fields, "Upstream %s works again.",
                          upstream->identity);
        bus_upstream_changed(manager->bus, upstream);
        manager_update_status(manager);
}

void event_upstream_refused(struct manager *manager, const struct upstream *upstream,
                            const struct dns_name *name, const char *reason)
{
        struct texts texts;
        struct log_fields fields = make_fields(&texts, name, NULL);

        fields.upstream = upstream->identity;
        fields.reason = reason;
        log_event(LOG_NOTICE, MESSAGE_UPSTREAM_REFUSED, &fields, "Upstream %s will not have %s: %s.",
                  upstream->identity, fields.name, reason);
}

void event_upstream_drifted(struct manager *manager, const struct upstream *upstream,
                            const struct dns_name *owner)
{
        struct texts texts;
        struct log_fields fields = make_fields(&texts, owner, NULL);

        fields.upstream = upstream->identity;
        log_event(LOG_NOTICE, MESSAGE_UPSTREAM_DRIFTED, &fields,
                  "Upstream %s did not have what it should at %s; it is repaired.", upstream->identity,
                  fields.name);
}

void event_upstream_drained(struct manager *manager, const struct upstream *upstream)
{
        if (upstream->state == UPSTREAM_LEFT_OVER)
                log_warning(
                        "Upstream %s is configured no more, and %u names and addresses could not be taken "
                        "away there. They are when it is configured again.",
                        upstream->identity, upstream->plan->n_units);
        else
                log_notice("Upstream %s is configured no more, and has nothing of ours any more.",
                           upstream->identity);
        bus_upstream_changed(manager->bus, upstream);
}

void event_server_name_claimed(struct manager *manager, const struct dns_name *name,
                               const struct name_state *state)
{
        char fingerprint[DNS_KEY_FINGERPRINT_MAX], keytag[8];
        struct texts texts;
        struct log_fields fields = make_fields(&texts, name, &state->source);

        snprintf(keytag, sizeof(keytag), "%u", state->key_tag);
        fields.keytag = keytag;
        log_event(LOG_WARNING, MESSAGE_SERVER_NAME_CLAIMED, &fields,
                  "%s is this registrar's own name, and was claimed by key %s from %s. Its records are taken "
                  "away and it takes no updates any more.",
                  fields.name, dns_key_fingerprint(state->key, fingerprint),
                  fields.source ?: "an unknown address");
}

void event_not_stored(struct manager *manager, const struct dns_name *name, int error)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);
        struct log_fields fields;
        struct texts texts;

        /* A full disk fails every change; once every ten seconds says it. */
        if (manager->events->store_failed_usec > 0 &&
            now - manager->events->store_failed_usec < 10 * USEC_PER_SEC)
                return;
        manager->events->store_failed_usec = now;
        fields = make_fields(&texts, name, NULL);
        fields.reason = strerror(-error);
        log_event(LOG_ERR, MESSAGE_STORE_FAILED, &fields,
                  "A change of %s could not be stored: %s. Nothing was changed; see to the disk.",
                  fields.name, fields.reason);
}
