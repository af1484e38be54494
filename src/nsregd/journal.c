/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "nsregd/announce.h"
#include "nsregd/context.h"
#include "nsregd/journal.h"
#include "nsregd/message-ids.h"
#include "upstream/publisher.h"
#include "util/log.h"

struct journal {
        struct context *context;
        struct observer observer;
};

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

static struct log_fields make_owned_fields(struct texts *texts, const struct dns_name *name,
                                           const struct name_state *state)
{
        struct log_fields fields = make_fields(texts, name, &state->source);

        snprintf(texts->keytag, sizeof(texts->keytag), "%u", state->key_tag);
        fields.keytag = texts->keytag;
        return fields;
}

static void on_claimed(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        struct texts texts;
        struct log_fields fields = make_owned_fields(&texts, name, state);

        log_event(LOG_INFO, MESSAGE_CLAIMED, &fields, "%s claimed from %s with %s key %u.", fields.name,
                  fields.source, dns_algorithm_to_string(state->key->algorithm) ?: "a", state->key_tag);
}

static void on_key_changed(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        struct texts texts;
        struct log_fields fields = make_owned_fields(&texts, name, state);

        log_event(LOG_INFO, MESSAGE_KEY_CHANGED, &fields,
                  "%s has a new key, signed in by the old one: %s key %u.", fields.name,
                  dns_algorithm_to_string(state->key->algorithm) ?: "a", state->key_tag);
}

static void on_released(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        struct texts texts;
        struct log_fields fields = make_owned_fields(&texts, name, state);

        log_event(LOG_INFO, MESSAGE_RELEASED, &fields, "%s is free: it was given up.", fields.name);
}

static void on_expired(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        struct texts texts;
        struct log_fields fields = make_owned_fields(&texts, name, state);

        log_event(LOG_INFO, MESSAGE_EXPIRED, &fields, "%s is free: its key lease ended.", fields.name);
}

static void on_expired_besides(void *userdata, uint64_t n)
{
        log_info("%llu more names are free: their key leases ended.", (unsigned long long) n);
}

static void on_refused(void *userdata, const struct dns_name *name, const struct address *source,
                       const struct decision *decision, bool owner_mismatch)
{
        struct texts texts;
        struct log_fields fields = make_fields(&texts, name, source);

        fields.reason = decision->text;
        log_event(LOG_NOTICE, owner_mismatch ? MESSAGE_OWNER_MISMATCH : MESSAGE_CLAIM_REFUSED, &fields,
                  "%s from %s: %s: %s", name ? fields.name : "Request", fields.source,
                  dns_rcode_to_string(decision->rcode) ?: "refused", decision->text);
}

static void on_refused_besides(void *userdata, const struct prefix *source, bool others, uint64_t n)
{
        char text[PREFIX_FORMAT_MAX];
        struct log_fields fields = { .source = source->base.family == AF_INET6
                                                       ? prefix_format(source, text)
                                                       : address_format(&source->base, text) };

        log_event(LOG_NOTICE, MESSAGE_REFUSALS_SUPPRESSED, &fields,
                  "%llu more refusals of %s%s were not logged.", (unsigned long long) n, fields.source,
                  others ? " and others" : "");
}

static void on_twins(void *userdata, const struct dns_name *name, const struct name_state *state,
                     const struct address *source, const struct address *other)
{
        char other_text[ADDRESS_FORMAT_MAX], reason[128];
        struct texts texts;
        struct log_fields fields = make_owned_fields(&texts, name, state);

        fields.source = address_format(source, texts.source);
        snprintf(reason, sizeof(reason), "one key changes it from %s and from %s in turn", fields.source,
                 address_format(other, other_text));
        fields.reason = reason;
        log_event(LOG_WARNING, MESSAGE_TWINS, &fields,
                  "%s: %s. If one of the two is a copy of the other, give it a key of its own.", fields.name,
                  reason);
}

static void on_not_stored(void *userdata, const struct dns_name *name, int error)
{
        struct texts texts;
        struct log_fields fields = make_fields(&texts, name, NULL);

        fields.reason = strerror(-error);
        log_event(LOG_ERR, MESSAGE_STORE_FAILED, &fields,
                  "A change of %s could not be stored: %s. Nothing was changed; see to the disk.",
                  fields.name, fields.reason);
}

static void on_server_name_claimed(void *userdata, const struct dns_name *name,
                                   const struct name_state *state)
{
        char fingerprint[DNS_KEY_FINGERPRINT_MAX];
        struct texts texts;
        struct log_fields fields = make_owned_fields(&texts, name, state);

        log_event(LOG_WARNING, MESSAGE_SERVER_NAME_CLAIMED, &fields,
                  "%s is this registrar's own name, and was claimed by key %s from %s. Its records are taken "
                  "away and it takes no updates any more.",
                  fields.name, dns_key_fingerprint(state->key, fingerprint),
                  fields.source ?: "an unknown address");
}

static void on_upstream_changed(void *userdata, const struct upstream *upstream, const char *reason)
{
        struct log_fields fields = { .upstream = upstream->identity, .reason = reason };

        if (reason)
                log_event(LOG_WARNING, MESSAGE_UPSTREAM_FAILED, &fields,
                          "Upstream %s fails: %s. What is to be published is kept and tried again.",
                          upstream->identity, reason);
        else
                log_event(LOG_NOTICE, MESSAGE_UPSTREAM_RECOVERED, &fields, "Upstream %s works again.",
                          upstream->identity);
}

static void on_upstream_refused(void *userdata, const struct upstream *upstream, const struct dns_name *name,
                                const char *reason)
{
        struct texts texts;
        struct log_fields fields = make_fields(&texts, name, NULL);

        fields.upstream = upstream->identity;
        fields.reason = reason;
        log_event(LOG_NOTICE, MESSAGE_UPSTREAM_REFUSED, &fields, "Upstream %s will not have %s: %s.",
                  upstream->identity, fields.name, reason);
}

static void on_upstream_drifted(void *userdata, const struct upstream *upstream, const struct dns_name *owner)
{
        struct texts texts;
        struct log_fields fields = make_fields(&texts, owner, NULL);

        fields.upstream = upstream->identity;
        log_event(LOG_NOTICE, MESSAGE_UPSTREAM_DRIFTED, &fields,
                  "Upstream %s did not have what it should at %s; it is repaired.", upstream->identity,
                  fields.name);
}

static void on_upstream_drained(void *userdata, const struct upstream *upstream)
{
        if (upstream->state == UPSTREAM_LEFT_OVER)
                log_warning(
                        "Upstream %s is configured no more, and %u names and addresses could not be taken "
                        "away there. They are when it is configured again.",
                        upstream->identity, upstream->plan->n_units);
        else
                log_notice("Upstream %s is configured no more, and has nothing of ours any more.",
                           upstream->identity);
}

static const struct observer_ops observer_ops = {
        .claimed = on_claimed,
        .key_changed = on_key_changed,
        .released = on_released,
        .expired = on_expired,
        .expired_besides = on_expired_besides,
        .refused = on_refused,
        .refused_besides = on_refused_besides,
        .twins = on_twins,
        .not_stored = on_not_stored,
        .server_name_claimed = on_server_name_claimed,
        .upstream_changed = on_upstream_changed,
        .upstream_refused = on_upstream_refused,
        .upstream_drifted = on_upstream_drifted,
        .upstream_drained = on_upstream_drained,
};

int journal_new(struct context *context, struct journal **ret)
{
        struct journal *journal = calloc(1, sizeof(*journal));

        if (!journal)
                return -ENOMEM;
        journal->context = context;
        journal->observer = (struct observer){ .ops = &observer_ops, .userdata = journal };
        announcer_add(context->announcer, &journal->observer);
        *ret = journal;
        return 0;
}

struct journal *journal_free(struct journal *journal)
{
        if (!journal)
                return NULL;
        announcer_remove(journal->context->announcer, &journal->observer);
        free(journal);
        return NULL;
}
