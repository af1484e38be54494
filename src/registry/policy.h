/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the configuration says about a registration zone, and what peers may cost. Plain values: filled by
 * config/, read by the registry and by the request's checks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "util/address.h"
#include "util/time.h"

enum ptr_policy {
        PTR_POLICY_ALLOWED_NETS, /* any claimed address inside allowed-nets may get a PTR */
        PTR_POLICY_SOURCE,       /* only an address that a request came from */
};

struct string_list {
        char **items; /* owned */
        size_t n_items;
};

struct name_list {
        struct dns_name *items; /* owned */
        size_t n_items;
};

/* Names below a host that may be registered, and what of: labels with "*" for any octets and "?" for one,
 * matched label by label on the wire. */
struct below_pattern {
        struct dns_name labels;
        uint32_t types; /* bits as of rdata_type_registrable() */
};

struct below_list {
        struct below_pattern *items; /* owned */
        size_t n_items;
};

#define BELOW_LABELS_MAX 4

struct zone_policy {
        struct dns_name zone;
        uint32_t max_key_ttl_sec;
        uint32_t max_addr_ttl_sec;
        uint32_t min_addr_ttl_sec;
        struct string_list
                reserved_names; /* exact labels or globs, lower case; on top of the built-in list */
        /* An empty list that was configured means nobody; one that was not is completed with the default. */
        struct prefix_list allowed_nets;
        bool allowed_nets_configured;  /* false: allowed_nets holds the default */
        struct prefix_list query_nets; /* default: allowed-nets */
        bool query_nets_configured;
        struct prefix_list updates_from; /* not configured: known names may update from everywhere */
        bool updates_from_configured;
        bool allow_any_addr;
        enum ptr_policy ptr_policy;
        struct name_list reverse_zones; /* of all upstreams together: where an address can get a PTR */
        uint32_t max_names;             /* 0 = no limit */
        uint32_t max_names_per_source;  /* four times as many for a /24 or /64; 0 = no limit */
        uint32_t max_records_per_name;
        uint32_t max_names_per_host; /* the host itself counted */
        uint32_t max_rdata_per_name; /* octets */
        uint32_t record_types;       /* at the host, beside addresses: bits as of rdata_type_registrable() */
        struct below_list names_below;
        uint32_t algorithms;     /* bit 1 << enum dns_algorithm */
        usec_t adopt_until_usec; /* real time; 0: not set */
};

#define ZONE_POLICY_MAX_KEY_TTL_SEC  (4320 * 3600)
#define ZONE_POLICY_MAX_ADDR_TTL_SEC 3600
#define ZONE_POLICY_MIN_ADDR_TTL_SEC 30
#define ZONE_POLICY_MAX_RECORDS      16
#define ZONE_POLICY_MAX_NAMES        8
#define ZONE_POLICY_MAX_RDATA        8192

/* `limits` of the configuration: bounds for all peers together. */
struct peer_limits {
        uint32_t connections;
        uint32_t connections_per_source;
        uint32_t message_bytes;
        uint32_t rrs_per_message;
        uint32_t in_flight_per_connection;
        uint32_t unread_output; /* bytes */
        usec_t message_timeout_usec;
        usec_t idle_timeout_usec;
        uint32_t updates_per_second_per_source;
        uint32_t verifications_per_second; /* 0 = half of what the machine is measured to do */
        uint32_t unknown_name_share;       /* per cent of verifications_per_second */
        uint32_t new_names_per_minute_per_source;
        uint32_t waiting;
        struct prefix_list exempt_nets;
};

#define PEER_LIMITS_DEFAULT                                                                                  \
        ((struct peer_limits){                                                                               \
                .connections = 4096,                                                                         \
                .connections_per_source = 256,                                                               \
                .message_bytes = 8192,                                                                       \
                .rrs_per_message = 64,                                                                       \
                .in_flight_per_connection = 64,                                                              \
                .unread_output = 64 * 1024,                                                                  \
                .message_timeout_usec = 5 * USEC_PER_SEC,                                                    \
                .idle_timeout_usec = 15 * USEC_PER_SEC,                                                      \
                .updates_per_second_per_source = 100,                                                        \
                .verifications_per_second = 0,                                                               \
                .unknown_name_share = 25,                                                                    \
                .new_names_per_minute_per_source = 60,                                                       \
                .waiting = 10000,                                                                            \
        })

/* A policy with the defaults of a zone. */
void zone_policy_init(struct zone_policy *policy, const struct dns_name *zone);
/* Fills allowed-nets (loopback, RFC 1918, fc00::/7) and query-nets where they were not configured. 0,
 * -ENOMEM.
 */
int zone_policy_complete(struct zone_policy *policy);
void zone_policy_clear(struct zone_policy *policy);
/* A deep copy. 0 or -ENOMEM, nothing left to clear. */
int zone_policy_copy(struct zone_policy *ret, const struct zone_policy *policy);

void string_list_clear(struct string_list *list);
int string_list_add(struct string_list *list, const char *string); /* copies; 0 or -ENOMEM */
void name_list_clear(struct name_list *list);
int name_list_add(struct name_list *list, const struct dns_name *name);

void below_list_clear(struct below_list *list);
int below_list_add(struct below_list *list, const struct below_pattern *pattern); /* copies; 0 or -ENOMEM */

/* Are records of this type taken at this name: the host, or below it ("below" as in record.h). */
bool zone_policy_takes(const struct zone_policy *policy, uint16_t type, const uint8_t *below,
                       size_t below_length);

/* Its bit in a set of types; 0: it is none that can be registered, or an address. */
uint32_t record_type_bit(uint16_t type);

/* May a request from this source claim a name. */
bool zone_policy_allows_source(const struct zone_policy *policy, const struct address *source);

enum address_verdict {
        ADDRESS_ACCEPTED,
        ADDRESS_NEVER, /* unspecified, multicast, broadcast, IPv4-mapped; loopback, link-local unless named */
        ADDRESS_NOT_ALLOWED, /* outside allowed-nets, and allow-any-addr is false */
};
enum address_verdict zone_policy_judge_address(const struct zone_policy *policy,
                                               const struct address *address);

/* Why an address is not taken, to follow "address ... is ". */
const char *address_verdict_text(enum address_verdict verdict, const struct address *address);

/* Is this label reserved: by the built-in list, by the configuration, or as the server's own name (may be
 * NULL). */
bool zone_policy_reserves(const struct zone_policy *policy, const struct dns_name *name,
                          const struct dns_name *server_name);
