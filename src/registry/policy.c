/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fnmatch.h>

#include "dns/rdata.h"
#include "registry/policy.h"
#include "util/macro.h"

static const char *const default_allowed_nets[] = {
        "127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
};

/* Names that clients look up by themselves and trust blindly. */
static const char *const builtin_reserved[] = { "localhost", "wpad", "isatap" };

void string_list_clear(struct string_list *list)
{
        for (size_t i = 0; i < list->n_items; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct string_list){};
}

int string_list_add(struct string_list *list, const char *string)
{
        char **items = reallocarray(list->items, list->n_items + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items] = strdup(string);
        if (!items[list->n_items])
                return -ENOMEM;
        list->n_items++;
        return 0;
}

void name_list_clear(struct name_list *list)
{
        free(list->items);
        *list = (struct name_list){};
}

int name_list_add(struct name_list *list, const struct dns_name *name)
{
        struct dns_name *items = reallocarray(list->items, list->n_items + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items++] = *name;
        return 0;
}

void below_list_clear(struct below_list *list)
{
        free(list->items);
        *list = (struct below_list){};
}

int below_list_add(struct below_list *list, const struct below_pattern *pattern)
{
        struct below_pattern *items = reallocarray(list->items, list->n_items + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items++] = *pattern;
        return 0;
}

void zone_policy_init(struct zone_policy *policy, const struct dns_name *zone)
{
        *policy = (struct zone_policy){
                .zone = *zone,
                .max_key_ttl_sec = ZONE_POLICY_MAX_KEY_TTL_SEC,
                .max_addr_ttl_sec = ZONE_POLICY_MAX_ADDR_TTL_SEC,
                .min_addr_ttl_sec = ZONE_POLICY_MIN_ADDR_TTL_SEC,
                .ptr_policy = PTR_POLICY_ALLOWED_NETS,
                .max_records_per_name = ZONE_POLICY_MAX_RECORDS,
                .max_names_per_host = ZONE_POLICY_MAX_NAMES,
                .max_rdata_per_name = ZONE_POLICY_MAX_RDATA,
                .algorithms = 1U << DNS_ALGORITHM_ECDSAP256SHA256 | 1U << DNS_ALGORITHM_ECDSAP384SHA384 |
                              1U << DNS_ALGORITHM_ED25519,
        };
}

int zone_policy_complete(struct zone_policy *policy)
{
        int r;

        if (!policy->allowed_nets_configured)
                for (size_t i = 0; i < ELEMENTSOF(default_allowed_nets); i++) {
                        r = prefix_list_parse_add(&policy->allowed_nets, default_allowed_nets[i]);
                        if (r < 0)
                                return r;
                }

        if (!policy->query_nets_configured)
                for (size_t i = 0; i < policy->allowed_nets.n_items; i++) {
                        r = prefix_list_add(&policy->query_nets, &policy->allowed_nets.items[i]);
                        if (r < 0)
                                return r;
                }

        return 0;
}

void zone_policy_clear(struct zone_policy *policy)
{
        string_list_clear(&policy->reserved_names);
        prefix_list_clear(&policy->allowed_nets);
        prefix_list_clear(&policy->query_nets);
        prefix_list_clear(&policy->updates_from);
        name_list_clear(&policy->reverse_zones);
        below_list_clear(&policy->names_below);
}

static int policy_copy_prefixes(struct prefix_list *to, const struct prefix_list *from)
{
        int r = 0;

        *to = (struct prefix_list){};
        for (size_t i = 0; i < from->n_items && r >= 0; i++)
                r = prefix_list_add(to, &from->items[i]);
        return r;
}

int zone_policy_copy(struct zone_policy *ret, const struct zone_policy *policy)
{
        struct zone_policy copy = *policy;
        int r, k;

        copy.reserved_names = (struct string_list){};
        copy.reverse_zones = (struct name_list){};
        copy.names_below = (struct below_list){};
        r = policy_copy_prefixes(&copy.allowed_nets, &policy->allowed_nets);
        k = policy_copy_prefixes(&copy.query_nets, &policy->query_nets);
        r = r < 0 ? r : k;
        k = policy_copy_prefixes(&copy.updates_from, &policy->updates_from);
        r = r < 0 ? r : k;
        for (size_t i = 0; i < policy->reserved_names.n_items && r >= 0; i++)
                r = string_list_add(&copy.reserved_names, policy->reserved_names.items[i]);
        for (size_t i = 0; i < policy->reverse_zones.n_items && r >= 0; i++)
                r = name_list_add(&copy.reverse_zones, &policy->reverse_zones.items[i]);
        for (size_t i = 0; i < policy->names_below.n_items && r >= 0; i++)
                r = below_list_add(&copy.names_below, &policy->names_below.items[i]);
        if (r < 0) {
                zone_policy_clear(&copy);
                return r;
        }
        *ret = copy;
        return 0;
}

uint32_t record_type_bit(uint16_t type)
{
        for (unsigned n = 0; rdata_type_registrable(n) != 0; n++)
                if (rdata_type_registrable(n) == type)
                        return UINT32_C(1) << n;
        return 0;
}

/* On octets: what a label looks like as text is of no account. */
static bool label_matches(const uint8_t *pattern, size_t pattern_length, const uint8_t *label, size_t length)
{
        while (pattern_length > 0 && *pattern != '*') {
                if (length == 0 || (*pattern != '?' && *pattern != *label))
                        return false;
                pattern++, pattern_length--;
                label++, length--;
        }
        if (pattern_length == 0)
                return length == 0;
        /* A label has 63 octets at most, and a pattern is the administrator's. */
        for (size_t i = 0; i <= length; i++)
                if (label_matches(pattern + 1, pattern_length - 1, label + i, length - i))
                        return true;
        return false;
}

static bool below_matches(const struct dns_name *pattern, const uint8_t *below, size_t length)
{
        const uint8_t *at = pattern->wire;

        while (length > 0 && *at > 0) {
                if (!label_matches(at + 1, *at, below + 1, *below))
                        return false;
                length -= 1U + *below;
                below += 1U + *below;
                at += 1U + *at;
        }
        return length == 0 && *at == 0;
}

bool zone_policy_takes(const struct zone_policy *policy, uint16_t type, const uint8_t *below,
                       size_t below_length)
{
        uint32_t bit = record_type_bit(type);

        if (below_length == 0)
                return type == DNS_TYPE_A || type == DNS_TYPE_AAAA || (policy->record_types & bit);
        for (size_t i = 0; i < policy->names_below.n_items; i++)
                if ((policy->names_below.items[i].types & bit) &&
                    below_matches(&policy->names_below.items[i].labels, below, below_length))
                        return true;
        return false;
}

bool zone_policy_allows_source(const struct zone_policy *policy, const struct address *source)
{
        return prefix_list_contains(&policy->allowed_nets, source);
}

/* An administrator who wants loopback or link-local addresses registered writes a prefix that lies inside
 * that range; 0.0.0.0/0 does not mean them. */
static bool named_inside(const struct zone_policy *policy, const struct address *address,
                         bool (*in_range)(const struct address *))
{
        if (!policy->allowed_nets_configured)
                return false;
        for (size_t i = 0; i < policy->allowed_nets.n_items; i++) {
                const struct prefix *prefix = &policy->allowed_nets.items[i];

                if (in_range(&prefix->base) && prefix_contains(prefix, address))
                        return true;
        }
        return false;
}

enum address_verdict zone_policy_judge_address(const struct zone_policy *policy,
                                               const struct address *address)
{
        if (address_is_unspecified(address) || address_is_multicast(address) ||
            address_is_broadcast(address) || address_is_v4mapped(address))
                return ADDRESS_NEVER;
        /* 0.0.0.0/8 is "this network", RFC 1122 section 3.2.1.3. */
        if (address->family == AF_INET && address->bytes[0] == 0)
                return ADDRESS_NEVER;
        if (address_is_loopback(address))
                return named_inside(policy, address, address_is_loopback) ? ADDRESS_ACCEPTED : ADDRESS_NEVER;
        if (address_is_link_local(address))
                return named_inside(policy, address, address_is_link_local) ? ADDRESS_ACCEPTED
                                                                            : ADDRESS_NEVER;
        if (policy->allow_any_addr || prefix_list_contains(&policy->allowed_nets, address))
                return ADDRESS_ACCEPTED;
        return ADDRESS_NOT_ALLOWED;
}

const char *address_verdict_text(enum address_verdict verdict, const struct address *address)
{
        if (verdict != ADDRESS_NEVER)
                return "outside the networks this zone allows";
        if (address_is_loopback(address) || address_is_link_local(address))
                return "of this machine or link only, which allowed-nets would have to name";
        if (address_is_unspecified(address))
                return "the unspecified address, which nobody has";
        if (address_is_multicast(address))
                return "a multicast address, which is never registered";
        if (address_is_broadcast(address))
                return "the broadcast address, which is never registered";
        if (address_is_v4mapped(address))
                return "IPv4 in the form of IPv6, which is never registered; use an A record";
        return "of 0.0.0.0/8, which is never registered";
}

bool zone_policy_reserves(const struct zone_policy *policy, const struct dns_name *name,
                          const struct dns_name *server_name)
{
        char label[DNS_LABEL_MAX + 1];

        dns_name_copy_label(name, label);

        if (server_name && dns_name_equal(name, server_name))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(builtin_reserved); i++)
                if (streq(label, builtin_reserved[i]))
                        return true;
        for (size_t i = 0; i < policy->reserved_names.n_items; i++)
                if (fnmatch(policy->reserved_names.items[i], label, FNM_CASEFOLD) == 0)
                        return true;
        return false;
}
