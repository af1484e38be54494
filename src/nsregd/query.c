/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <stdio.h>

#include "dns/edns.h"
#include "nsregd/context.h"
#include "nsregd/query.h"
#include "nsregd/reply.h"
#include "nsregd/zones.h"
#include "upstream/publisher.h"

#define SOA_REFRESH_SEC 3600
#define SOA_RETRY_SEC   600
#define SOA_EXPIRE_SEC  86400
#define OWN_TTL_SEC     60 /* of what nsregd says about itself, and of "there is no such name" */

struct query {
        struct context *context;
        const struct dns_message *message;
        const struct net_peer *peer;
        struct served_zone *zone;
        const struct upstream_config *builtin; /* of the zone, or NULL */
        const struct dns_name *origin;         /* apex: of the zone, or of a reverse zone of it */
        struct dns_builder builder;
        bool found;    /* the name exists */
        bool answered; /* there is an answer */
};

static const struct upstream_config *find_builtin(const struct served_zone *zone)
{
        for (const struct attachment *attachment = publisher_attachments(zone->zone); attachment;
             attachment = attachment->next)
                if (attachment->config->type == UPSTREAM_BUILTIN)
                        return attachment->config;
        return NULL;
}

/* The innermost zone that the name is in: a registration zone, or a reverse zone that is answered here. */
static bool find_zone(struct query *query)
{
        const struct dns_name *name = &query->message->question_name;
        struct served_zone *served = zones_serving_of(query->context->zones, name);

        if (served) {
                query->zone = served;
                query->origin = &served->policy.zone;
                query->builtin = find_builtin(served);
                return true;
        }
        LIST_FOREACH (served, zones_list(query->context->zones), zones) {
                const struct upstream_config *builtin = served->joining || served->leaving
                                                                ? NULL
                                                                : find_builtin(served);

                for (size_t j = 0; builtin && j < builtin->reverse_zones.n_items; j++) {
                        const struct dns_name *reverse = &builtin->reverse_zones.items[j];

                        if (!dns_name_is_subdomain(name, reverse) ||
                            (query->origin && query->origin->length >= reverse->length))
                                continue;
                        query->zone = served;
                        query->origin = reverse;
                        query->builtin = builtin;
                }
        }
        return query->zone;
}

static struct dns_name server_name(const struct query *query)
{
        return zone_server_name(query->context->zones, query->zone->zone);
}

static bool asks(const struct query *query, uint16_t type)
{
        return query->message->question_type == type ||
               (query->message->question_type == DNS_TYPE_ANY && !query->answered);
}

static void write_soa(struct query *query, enum dns_section section)
{
        struct dns_name mname = server_name(query), rname;

        if (dns_name_prepend("hostmaster", 10, query->origin, &rname) < 0)
                rname = *query->origin;
        dns_builder_rr_begin(&query->builder, section, query->origin, DNS_TYPE_SOA, DNS_CLASS_IN,
                             OWN_TTL_SEC);
        dns_builder_rdata_name(&query->builder, &mname);
        dns_builder_rdata_name(&query->builder, &rname);
        wire_write_u32(&query->builder.writer, query->zone->serial);
        wire_write_u32(&query->builder.writer, SOA_REFRESH_SEC);
        wire_write_u32(&query->builder.writer, SOA_RETRY_SEC);
        wire_write_u32(&query->builder.writer, SOA_EXPIRE_SEC);
        wire_write_u32(&query->builder.writer, OWN_TTL_SEC);
        dns_builder_rr_end(&query->builder);
}

static void write_name(struct query *query, enum dns_section section, const struct dns_name *owner,
                       uint16_t type, uint32_t ttl_sec, const struct dns_name *target)
{
        dns_builder_rr_begin(&query->builder, section, owner, type, DNS_CLASS_IN, ttl_sec);
        dns_builder_rdata_name(&query->builder, target);
        dns_builder_rr_end(&query->builder);
}

/* The address that was asked is one that the asker can reach. */
static void write_server_address(struct query *query, enum dns_section section, const struct dns_name *name)
{
        if (query->peer->local.family && !address_is_unspecified(&query->peer->local))
                dns_builder_address(&query->builder, section, name, DNS_CLASS_IN, OWN_TTL_SEC,
                                    &query->peer->local);
}

static void answer_apex(struct query *query)
{
        struct dns_name server = server_name(query);

        query->found = true;
        if (asks(query, DNS_TYPE_SOA)) {
                write_soa(query, DNS_SECTION_ANSWER);
                query->answered = true;
        }
        if (query->builtin && asks(query, DNS_TYPE_NS)) {
                write_name(query, DNS_SECTION_ANSWER, query->origin, DNS_TYPE_NS, OWN_TTL_SEC, &server);
                query->answered = true;
        }
}

static void answer_srv(struct query *query)
{
        struct dns_name server = server_name(query);
        const struct nsregd_config *config = query->context->config;
        uint16_t port = config->listen_port_given ? config->listen_port : query->peer->local_port;

        query->found = true;
        if (!asks(query, DNS_TYPE_SRV))
                return;
        dns_builder_rr_begin(&query->builder, DNS_SECTION_ANSWER, &query->message->question_name,
                             DNS_TYPE_SRV, DNS_CLASS_IN, OWN_TTL_SEC);
        wire_write_u16(&query->builder.writer, 0);
        wire_write_u16(&query->builder.writer, 0);
        wire_write_u16(&query->builder.writer, port);
        dns_builder_rdata_name(&query->builder, &server);
        dns_builder_rr_end(&query->builder);
        write_server_address(query, DNS_SECTION_ADDITIONAL, &server);
        query->answered = true;
}

/* Names that nsregd has in every zone, relative to its apex. */
enum own_name {
        OWN_NONE,
        OWN_EMPTY,    /* something is below: _tcp, _udp, _dns-sd._udp */
        OWN_SRV,      /* _nsreg._tcp */
        OWN_BROWSING, /* r, b and dr of _dns-sd._udp, RFC 6763 section 11 */
};

static enum own_name find_own_name(const struct query *query)
{
        static const struct {
                const char *prefix;
                enum own_name what;
                bool builtin;
        } names[] = {
                { "_tcp.", OWN_EMPTY, false },
                { "_nsreg._tcp.", OWN_SRV, false },
                { "_udp.", OWN_EMPTY, true },
                { "_dns-sd._udp.", OWN_EMPTY, true },
                { "r._dns-sd._udp.", OWN_BROWSING, true },
                { "b._dns-sd._udp.", OWN_BROWSING, true },
                { "dr._dns-sd._udp.", OWN_BROWSING, true },
        };
        const struct dns_name *name = &query->message->question_name;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                struct dns_name prefix, own;

                if ((names[i].builtin && !query->builtin) || dns_name_parse(names[i].prefix, &prefix) < 0 ||
                    dns_name_concat(&prefix, query->origin, &own) < 0)
                        continue;
                if (dns_name_equal(&own, name))
                        return names[i].what;
        }
        return OWN_NONE;
}

static void answer_browsing(struct query *query)
{
        query->found = true;
        if (!asks(query, DNS_TYPE_PTR))
                return;
        write_name(query, DNS_SECTION_ANSWER, &query->message->question_name, DNS_TYPE_PTR, OWN_TTL_SEC,
                   query->origin);
        query->answered = true;
}

/* A cached record should not outlive its lease by much: not at all, in fact. */
static uint32_t record_ttl(const struct query *query, const struct record *record)
{
        usec_t left_usec = usec_sub(record->end_usec, store_lease_now(query->context->store));

        return (uint32_t) MIN((usec_t) query->builtin->record_ttl_sec, left_usec / USEC_PER_SEC + 1);
}

/* Is the name that is asked for above one that has records: then it exists, empty (RFC 8020). */
static bool is_above(const struct record_value *name, const struct record_value *asked)
{
        return name->below_length > asked->below_length &&
               (asked->below_length == 0 || memcmp(name->below + name->below_length - asked->below_length,
                                                   asked->below, asked->below_length) == 0);
}

static void answer_records(struct query *query, const struct name_state *state,
                           const struct record_value *asked)
{
        uint16_t type = query->message->question_type;

        for (unsigned i = 0; i < state->n_records; i++) {
                const struct record *record = &state->records[i];
                struct record_value value = record_value(record);
                struct address address = record_address(record);

                if (address.family ? prefix_list_contains(&query->builtin->exclude_nets, &address)
                                   : !(query->builtin->record_types & record_type_bit(value.type)))
                        continue;
                query->found |= is_above(&value, asked);
                if (!record_is_beside(&value, asked))
                        continue;
                query->found = true;
                if (type == DNS_TYPE_ANY && !query->answered)
                        type = value.type; /* minimal, RFC 8482 */
                if (type != value.type)
                        continue;
                dns_builder_rr(&query->builder, DNS_SECTION_ANSWER, &query->message->question_name, type,
                               DNS_CLASS_IN, record_ttl(query, record), value.rdata, value.length);
                query->answered = true;
        }
}

static void answer_server(struct query *query)
{
        uint16_t type = query->peer->local.family == AF_INET ? DNS_TYPE_A : DNS_TYPE_AAAA;

        query->found = true;
        if (!query->peer->local.family || !asks(query, type))
                return;
        write_server_address(query, DNS_SECTION_ANSWER, &query->message->question_name);
        query->answered = true;
}

static void answer_forward(struct query *query)
{
        const struct dns_name *name = &query->message->question_name;
        struct dns_name server = server_name(query), host;
        struct record_value asked = {};
        const struct name_entry *entry;

        if (dns_name_equal(name, query->origin)) {
                answer_apex(query);
                return;
        }
        switch (find_own_name(query)) {
        case OWN_SRV:
                answer_srv(query);
                return;
        case OWN_BROWSING:
                answer_browsing(query);
                return;
        case OWN_EMPTY:
                query->found = true;
                return;
        case OWN_NONE:
                break;
        }
        /* Whatever is registered at the registrar's own name is not what it is to be found by. */
        if (dns_name_equal(name, &server)) {
                if (query->builtin)
                        answer_server(query);
                return;
        }
        entry = registry_find_host(query->zone->zone, name, &host);
        if (!entry)
                return;
        asked.below_length = (uint8_t) (name->length - host.length);
        asked.below = name->wire;
        if (query->builtin)
                answer_records(query, entry->state, &asked);
        else
                query->found = asked.below_length == 0 ? entry->state->n_records > 0
                                                       : name_state_has_name(entry->state, &asked);
}

/* The builtin server of a zone, where the zone has its PTRs for this name there. */
static const struct upstream_config *find_builtin_of(const struct registry_zone *zone,
                                                     const struct dns_name *name)
{
        for (const struct attachment *attachment = publisher_attachments(zone); attachment;
             attachment = attachment->next)
                for (size_t i = 0; !attachment->upstream && i < attachment->config->reverse_zones.n_items;
                     i++)
                        if (dns_name_is_subdomain(name, &attachment->config->reverse_zones.items[i]))
                                return attachment->config;
        return NULL;
}

static void answer_reverse(struct query *query)
{
        const struct dns_name *name = &query->message->question_name;
        const struct upstream_config *builtin;
        struct name_entry *owner;
        struct dns_name target;
        struct address address;
        struct prefix prefix;

        if (dns_name_equal(name, query->origin)) {
                answer_apex(query);
                return;
        }
        if (dns_name_reverse_parse(name, &address) < 0) {
                /* A name above one that has a PTR exists, empty (RFC 8020). */
                query->found = dns_name_reverse_parse_prefix(name, &prefix) >= 0 &&
                               registry_has_address_in(query->context->registry, &prefix);
                return;
        }
        owner = registry_ptr_owner(query->context->registry, &address);
        if (!owner)
                return;
        /* Several zones may have the same reverse zone, or one inside another's: it is one namespace. */
        builtin = find_builtin_of(owner->zone, name);
        if (!builtin || prefix_list_contains(&builtin->exclude_nets, &address))
                return;
        query->found = true;
        if (!asks(query, DNS_TYPE_PTR))
                return;
        target = name_entry_name(owner);
        write_name(query, DNS_SECTION_ANSWER, name, DNS_TYPE_PTR, builtin->record_ttl_sec, &target);
        query->answered = true;
}

/* What is asked of a zone that other servers have: only what finds and feeds nsregd. */
static bool serves_type(const struct query *query)
{
        if (query->builtin)
                return true;
        return query->message->question_type == DNS_TYPE_SOA || query->message->question_type == DNS_TYPE_SRV;
}

static void begin(struct query *query, uint16_t flags, uint8_t *buffer, size_t size)
{
        const struct dns_message *message = query->message;

        dns_builder_begin(&query->builder, buffer, size, message->id,
                          (uint16_t) (DNS_FLAG_QR | (message->flags & DNS_FLAG_RD) | flags));
        if (message->counts[DNS_SECTION_QUESTION] == 1)
                dns_builder_question(&query->builder, &message->question_name, message->question_type,
                                     message->question_class);
}

static ssize_t finish(struct query *query, const struct dns_edns *asked, unsigned rcode)
{
        if (asked->present) {
                struct dns_edns edns = { .udp_size = DNS_UDP_MAX, .ede_code = DNS_EDE_NONE };

                dns_edns_write(&query->builder, &edns, rcode);
        }
        return dns_builder_end(&query->builder);
}

/* The RCODE of what is wrong with the question as such, or NOERROR. */
static unsigned check_question(const struct query *query, const struct dns_edns *edns, bool malformed)
{
        const struct dns_message *message = query->message;

        if (malformed || message->counts[DNS_SECTION_QUESTION] != 1)
                return DNS_RCODE_FORMERR;
        if (edns->present && edns->version != 0)
                return DNS_RCODE_BADVERS;
        if (message->question_class != DNS_CLASS_IN || message->question_type == DNS_TYPE_AXFR ||
            message->question_type == DNS_TYPE_IXFR)
                return DNS_RCODE_REFUSED;
        return DNS_RCODE_NOERROR;
}

ssize_t query_answer(struct context *context, const struct dns_message *message, const struct net_peer *peer,
                     bool udp, uint8_t *buffer, size_t size)
{
        struct query query = { .context = context, .message = message, .peer = peer };
        struct dns_edns edns = { .ede_code = DNS_EDE_NONE };
        bool malformed = dns_edns_parse(message, &edns) < 0;
        struct dns_builder_mark mark;
        unsigned rcode;
        ssize_t n;

        context->statistics.queries++;
        if (udp) {
                size_t taken = edns.present ? CLAMP(edns.udp_size, DNS_UDP_DEFAULT, DNS_UDP_MAX)
                                            : DNS_UDP_DEFAULT;

                size = MIN(size, taken);
        }
        rcode = check_question(&query, &edns, malformed);
        if (rcode == DNS_RCODE_NOERROR &&
            (!find_zone(&query) || !serves_type(&query) ||
             !prefix_list_contains(&query.zone->zone->policy->query_nets, &peer->remote)))
                rcode = DNS_RCODE_REFUSED;
        if (rcode != DNS_RCODE_NOERROR) {
                if (udp && !reply_may_be_short())
                        return 0;
                begin(&query, (uint16_t) (rcode & 0xf), buffer, size);
                return finish(&query, &edns, rcode);
        }

        begin(&query, DNS_FLAG_AA, buffer, size);
        mark = dns_builder_mark(&query.builder);
        if (query.origin == &query.zone->zone->policy->zone)
                answer_forward(&query);
        else
                answer_reverse(&query);
        if (!query.answered)
                write_soa(&query, DNS_SECTION_AUTHORITY);
        if (!query.found)
                wire_patch_u16(&query.builder.writer, 2,
                               (uint16_t) (DNS_FLAG_QR | DNS_FLAG_AA | (message->flags & DNS_FLAG_RD) |
                                           DNS_RCODE_NXDOMAIN));
        n = finish(&query, &edns, rcode);
        if (n != -EMSGSIZE)
                return n;

        dns_builder_reset(&query.builder, mark);
        begin(&query, DNS_FLAG_AA | DNS_FLAG_TC, buffer, size);
        return finish(&query, &edns, rcode);
}
