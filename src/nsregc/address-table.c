/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/address-table.h"

#include <stdio.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "nsregc/address-rank.h"
#include "nsregc/link-choice.h"
#include "util/macro.h"

#define LIFETIME_INFINITE UINT32_MAX
#define FEW_ADDRESSES     16 /* any registrar takes that many */

struct address_attributes {
        const struct nlattr *address, *local, *flags, *cacheinfo;
};

static int address_attribute(const struct nlattr *attribute, void *data)
{
        struct address_attributes *attributes = data;

        switch (mnl_attr_get_type(attribute)) {
        case IFA_ADDRESS:
                attributes->address = attribute;
                break;
        case IFA_LOCAL:
                attributes->local = attribute;
                break;
        case IFA_FLAGS:
                if (mnl_attr_get_payload_len(attribute) >= sizeof(uint32_t))
                        attributes->flags = attribute;
                break;
        case IFA_CACHEINFO:
                if (mnl_attr_get_payload_len(attribute) >= sizeof(struct ifa_cacheinfo))
                        attributes->cacheinfo = attribute;
                break;
        }
        return MNL_CB_OK;
}

/* False for what is no address of ours to look at. */
static bool entry_read(const struct nlmsghdr *header, usec_t now, struct address_entry *ret)
{
        const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
        struct address_attributes attributes = { 0 };
        const struct nlattr *address;

        if (mnl_nlmsg_get_payload_len(header) < sizeof(*message) ||
            (message->ifa_family != AF_INET && message->ifa_family != AF_INET6))
                return false;
        if (mnl_attr_parse(header, sizeof(*message), address_attribute, &attributes) < 0)
                return false;

        /* On a point-to-point link IFA_ADDRESS is the other end. */
        address = attributes.local ?: attributes.address;
        if (!address || mnl_attr_get_payload_len(address) != (message->ifa_family == AF_INET ? 4 : 16))
                return false;

        *ret = (struct address_entry){
                .address = address_from_bytes(message->ifa_family, mnl_attr_get_payload(address)),
                .prefix_length = message->ifa_prefixlen,
                .scope = message->ifa_scope,
                .flags = attributes.flags ? mnl_attr_get_u32(attributes.flags) : message->ifa_flags,
                .ifindex = message->ifa_index,
                .valid_until_usec = USEC_INFINITY,
        };
        if (attributes.cacheinfo) {
                struct ifa_cacheinfo info;

                memcpy(&info, mnl_attr_get_payload(attributes.cacheinfo), sizeof(info));
                if (info.ifa_valid != LIFETIME_INFINITE)
                        ret->valid_until_usec = usec_add(now, info.ifa_valid * USEC_PER_SEC);
        }
        return true;
}

static struct address_entry *entry_find(const struct address_table *table, const struct address_entry *like)
{
        for (size_t i = 0; i < table->n_addresses; i++) {
                struct address_entry *entry = &table->addresses[i];

                if (entry->ifindex == like->ifindex && entry->prefix_length == like->prefix_length &&
                    address_equal(&entry->address, &like->address))
                        return entry;
        }
        return NULL;
}

static int address_put(struct address_table *table, const struct address_entry *new_entry)
{
        struct address_entry *entry = entry_find(table, new_entry);
        bool is_new = !entry;

        if (is_new) {
                entry = reallocarray(table->addresses, table->n_addresses + 1, sizeof(*entry));
                if (!entry)
                        return -ENOMEM;
                table->addresses = entry;
                entry = &table->addresses[table->n_addresses++];
        }
        *entry = *new_entry;
        return is_new ? ADDRESS_TABLE_OTHER : ADDRESS_TABLE_LIFETIME;
}

static int address_drop(struct address_table *table, const struct address_entry *like)
{
        struct address_entry *entry = entry_find(table, like);

        if (!entry)
                return 0;
        *entry = table->addresses[--table->n_addresses];
        return ADDRESS_TABLE_OTHER;
}

/* Its addresses go with it, whether or not the kernel says so one by one. */
static int link_drop(struct address_table *table, uint32_t ifindex)
{
        for (size_t i = 0; i < table->n_addresses;) {
                if (table->addresses[i].ifindex == ifindex)
                        table->addresses[i] = table->addresses[--table->n_addresses];
                else
                        i++;
        }
        link_table_remove(&table->links, ifindex);
        return ADDRESS_TABLE_OTHER;
}

int address_table_apply(struct address_table *table, const struct nlmsghdr *header, usec_t now_usec_)
{
        const struct ifinfomsg *link = mnl_nlmsg_get_payload(header);
        struct address_entry entry;
        int r;

        switch (header->nlmsg_type) {
        case RTM_NEWADDR:
                return entry_read(header, now_usec_, &entry) ? address_put(table, &entry) : 0;
        case RTM_DELADDR:
                return entry_read(header, now_usec_, &entry) ? address_drop(table, &entry) : 0;
        case RTM_NEWLINK:
                r = link_table_apply(&table->links, header, now_usec_);
                return r > 0 ? ADDRESS_TABLE_OTHER : r;
        case RTM_DELLINK:
                /* Bridges tell of ports that leave them in the same words, but with their own family. */
                if (mnl_nlmsg_get_payload_len(header) < sizeof(*link) || link->ifi_family != AF_UNSPEC)
                        return 0;
                return link_drop(table, (uint32_t) link->ifi_index);
        default:
                return 0;
        }
}

void address_table_dump_begin(struct address_table *table, bool links)
{
        for (size_t i = 0; !links && i < table->n_addresses; i++)
                table->addresses[i].stale = true;
        for (size_t i = 0; links && i < table->links.n_items; i++)
                table->links.items[i].stale = true;
}

void address_table_dump_end(struct address_table *table, bool links)
{
        for (size_t i = 0; !links && i < table->n_addresses;) {
                if (table->addresses[i].stale)
                        table->addresses[i] = table->addresses[--table->n_addresses];
                else
                        i++;
        }
        if (links)
                link_table_remove_stale(&table->links);
}

void address_table_clear(struct address_table *table)
{
        free(table->addresses);
        link_table_clear(&table->links);
        *table = (struct address_table){ 0 };
}

/* The rule of the address itself that leaves it out, or NULL. Other scopes than global are nobody's. */
static const char *address_rule(const struct address_rules *rules, const struct address_entry *entry,
                                usec_t now)
{
        if (entry->flags & IFA_F_DADFAILED)
                return "another machine has the address";
        if (entry->flags & IFA_F_TENTATIVE)
                return "not known yet to be this machine's alone";
        if (entry->flags & IFA_F_DEPRECATED)
                return "deprecated";
        /* On IPv4 the same bit says "secondary", which is as good an address as any. */
        if (entry->address.family == AF_INET6 && (entry->flags & IFA_F_TEMPORARY) && !rules->ipv6_temporary)
                return "temporary";
        if (entry->valid_until_usec <= now)
                return "its lifetime is over";
        return prefix_list_contains(rules->exclude_subnets, &entry->address) ? "excluded by exclude-subnets"
                                                                             : NULL;
}

static enum link_verdict entry_link_verdict(const struct address_table *table,
                                            const struct address_rules *rules,
                                            const struct address_entry *entry, usec_t now)
{
        return link_judge(&table->links, link_table_find(&table->links, entry->ifindex), rules->interfaces,
                          now);
}

static bool entry_usable(const struct address_table *table, const struct address_rules *rules,
                         const struct address_entry *entry, usec_t now)
{
        return entry->scope == RT_SCOPE_UNIVERSE && !address_rule(rules, entry, now) &&
               entry_link_verdict(table, rules, entry, now) == LINK_TAKEN;
}

/* Left out for where it leads alone: better than none. */
static bool entry_spare(const struct address_table *table, const struct address_rules *rules,
                        const struct address_entry *entry, usec_t now)
{
        if (entry->scope != RT_SCOPE_UNIVERSE || address_rule(rules, entry, now))
                return false;
        switch (entry_link_verdict(table, rules, entry, now)) {
        case LINK_POINT_TO_POINT:
        case LINK_KIND_NEVER:
        case LINK_NO_DEFAULT_ROUTE:
        case LINK_BRIDGE_INSIDE:
        case LINK_LOWER:
                return true;
        case LINK_TAKEN:
        case LINK_UNKNOWN:
        case LINK_EXCLUDED:
        case LINK_NOT_NAMED:
        case LINK_DOWN:
        case LINK_LOOPBACK:
                return false;
        }
        return false;
}

static unsigned entry_rank(const struct address_table *table, const struct address_entry *entry)
{
        const struct link_entry *link = link_table_find(&table->links, entry->ifindex);
        bool temporary = entry->address.family == AF_INET6 && (entry->flags & IFA_F_TEMPORARY);

        return address_rank(&entry->address, link && link->default_route,
                            entry->valid_until_usec == USEC_INFINITY && !temporary);
}

static int entries_collect(const struct address_table *table, const struct address_rules *rules, usec_t now,
                           bool (*wanted)(const struct address_table *, const struct address_rules *,
                                          const struct address_entry *, usec_t),
                           struct address_set *set)
{
        int r = 0;

        for (size_t i = 0; i < table->n_addresses && r >= 0; i++) {
                const struct address_entry *entry = &table->addresses[i];

                if (rules->links && !link_set_has(rules->links, entry->ifindex))
                        continue;
                if (wanted(table, rules, entry, now))
                        r = address_set_add_ranked(set, &entry->address, entry->valid_until_usec,
                                                   entry_rank(table, entry));
        }
        return r;
}

int address_set_compute(const struct address_table *table, const struct address_rules *rules, usec_t now,
                        struct address_set *ret)
{
        struct address_set set = { 0 };
        int r = entries_collect(table, rules, now, entry_usable, &set);

        for (size_t i = 0; i < rules->n_extra && r >= 0; i++)
                r = address_set_add(&set, &rules->extra[i], USEC_INFINITY);
        if (r < 0) {
                address_set_clear(&set);
                return r;
        }
        *ret = set;
        return 0;
}

int address_set_compute_spare(const struct address_table *table, const struct address_rules *rules,
                              usec_t now, struct address_set *ret)
{
        struct address_set set = { 0 };
        int r = entries_collect(table, rules, now, entry_spare, &set);

        if (r < 0) {
                address_set_clear(&set);
                return r;
        }
        *ret = set;
        return 0;
}

bool address_table_asks_for_routes(const struct address_table *table, const struct address_rules *rules,
                                   usec_t now)
{
        size_t n = 0;

        for (size_t i = 0; i < table->n_addresses; i++) {
                const struct address_entry *entry = &table->addresses[i];

                if (entry->scope != RT_SCOPE_UNIVERSE || address_rule(rules, entry, now))
                        continue;
                if (link_asks_for_route(&table->links, link_table_find(&table->links, entry->ifindex),
                                        rules->interfaces, now))
                        return true;
                n += entry_usable(table, rules, entry, now);
        }
        /* Their order may matter then. */
        return n > FEW_ADDRESSES;
}

int address_table_left_out(const struct address_table *table, const struct address_rules *rules, usec_t now,
                           struct left_out_list *ret)
{
        struct left_out_list list = { 0 };

        for (size_t i = 0; i < table->n_addresses; i++) {
                const struct address_entry *entry = &table->addresses[i];
                const struct link_entry *link = link_table_find(&table->links, entry->ifindex);
                char text[LINK_VERDICT_TEXT_MAX];
                const char *rule;
                struct left_out *items;

                if (entry->scope != RT_SCOPE_UNIVERSE || entry_usable(table, rules, entry, now))
                        continue;
                rule = address_rule(rules, entry, now)
                               ?: link_verdict_text(entry_link_verdict(table, rules, entry, now), link, text);
                items = reallocarray(list.items, list.n_items + 1, sizeof(*items));
                if (!items) {
                        free(list.items);
                        return -ENOMEM;
                }
                list.items = items;
                items[list.n_items] = (struct left_out){ .address = entry->address };
                strcpy(items[list.n_items].interface, link ? link->name : "");
                (void) snprintf(items[list.n_items].rule, sizeof(items->rule), "%s", rule);
                list.n_items++;
        }
        *ret = list;
        return 0;
}

int address_table_networks(const struct address_table *table, const struct address_rules *rules, usec_t now,
                           struct prefix_list *ret)
{
        struct prefix_list networks = { 0 };

        for (size_t i = 0; i < table->n_addresses; i++) {
                const struct address_entry *entry = &table->addresses[i];
                struct prefix network;
                bool known = false;
                int r;

                if (!entry_usable(table, rules, entry, now))
                        continue;
                network = prefix_from_address(&entry->address, entry->prefix_length);
                for (size_t j = 0; j < networks.n_items && !known; j++)
                        known = networks.items[j].length == network.length &&
                                address_equal(&networks.items[j].base, &network.base);
                r = known ? 0 : prefix_list_add(&networks, &network);
                if (r < 0) {
                        prefix_list_clear(&networks);
                        return r;
                }
        }
        *ret = networks;
        return 0;
}

struct link_set address_table_links(const struct address_table *table, const struct address_rules *rules,
                                    const struct prefix *network, usec_t now)
{
        struct link_set links = { 0 };

        for (size_t i = 0; i < table->n_addresses; i++) {
                const struct address_entry *entry = &table->addresses[i];
                struct prefix own;

                if (!entry_usable(table, rules, entry, now))
                        continue;
                own = prefix_from_address(&entry->address, entry->prefix_length);
                if (own.length == network->length && address_equal(&own.base, &network->base))
                        link_set_add(&links, entry->ifindex);
        }
        return links;
}
