/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/address-table.h"

#include <stdio.h>

#include <fnmatch.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "nsregc/address-rank.h"
#include "util/macro.h"

#define LIFETIME_INFINITE UINT32_MAX

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

        if (!entry) {
                entry = reallocarray(table->addresses, table->n_addresses + 1, sizeof(*entry));
                if (!entry)
                        return -ENOMEM;
                table->addresses = entry;
                entry = &table->addresses[table->n_addresses++];
        }
        *entry = *new_entry;
        return 1;
}

static int address_drop(struct address_table *table, const struct address_entry *like)
{
        struct address_entry *entry = entry_find(table, like);

        if (!entry)
                return 0;
        *entry = table->addresses[--table->n_addresses];
        return 1;
}

static int link_name_attribute(const struct nlattr *attribute, void *data)
{
        if (mnl_attr_get_type(attribute) == IFLA_IFNAME &&
            mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
                *(const char **) data = mnl_attr_get_str(attribute);
        return MNL_CB_OK;
}

static struct link_entry *link_find(const struct address_table *table, uint32_t ifindex)
{
        for (size_t i = 0; i < table->n_links; i++)
                if (table->links[i].ifindex == ifindex)
                        return &table->links[i];
        return NULL;
}

static int link_put(struct address_table *table, uint32_t ifindex, const char *name)
{
        struct link_entry *link = link_find(table, ifindex);

        if (!link) {
                link = reallocarray(table->links, table->n_links + 1, sizeof(*link));
                if (!link)
                        return -ENOMEM;
                table->links = link;
                link = &table->links[table->n_links++];
                *link = (struct link_entry){ .ifindex = ifindex };
        }
        bool changed = strncmp(link->name, name, sizeof(link->name) - 1) != 0;
        strncpy(link->name, name, sizeof(link->name) - 1);
        link->stale = false;
        return changed;
}

/* Its addresses go with it, whether or not the kernel says so one by one. */
static int link_drop(struct address_table *table, uint32_t ifindex)
{
        struct link_entry *link = link_find(table, ifindex);

        for (size_t i = 0; i < table->n_addresses;) {
                if (table->addresses[i].ifindex == ifindex)
                        table->addresses[i] = table->addresses[--table->n_addresses];
                else
                        i++;
        }
        if (link)
                *link = table->links[--table->n_links];
        return 1;
}

int address_table_apply(struct address_table *table, const struct nlmsghdr *header, usec_t now_usec_)
{
        const struct ifinfomsg *link = mnl_nlmsg_get_payload(header);
        struct address_entry entry;
        const char *name = NULL;

        switch (header->nlmsg_type) {
        case RTM_NEWADDR:
                return entry_read(header, now_usec_, &entry) ? address_put(table, &entry) : 0;
        case RTM_DELADDR:
                return entry_read(header, now_usec_, &entry) ? address_drop(table, &entry) : 0;
        case RTM_NEWLINK:
                if (mnl_nlmsg_get_payload_len(header) < sizeof(*link) || link->ifi_family != AF_UNSPEC ||
                    mnl_attr_parse(header, sizeof(*link), link_name_attribute, &name) < 0 || !name)
                        return 0;
                return link_put(table, (uint32_t) link->ifi_index, name);
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
        for (size_t i = 0; links && i < table->n_links; i++)
                table->links[i].stale = true;
}

void address_table_dump_end(struct address_table *table, bool links)
{
        for (size_t i = 0; !links && i < table->n_addresses;) {
                if (table->addresses[i].stale)
                        table->addresses[i] = table->addresses[--table->n_addresses];
                else
                        i++;
        }
        for (size_t i = 0; links && i < table->n_links;) {
                if (table->links[i].stale)
                        table->links[i] = table->links[--table->n_links];
                else
                        i++;
        }
}

void address_table_clear(struct address_table *table)
{
        free(table->addresses);
        free(table->links);
        *table = (struct address_table){ 0 };
}

bool interface_matches(const struct string_list *globs, const char *name)
{
        bool wanted = false, any_wanted = false;

        for (size_t i = 0; globs && i < globs->n_items; i++) {
                const char *glob = globs->items[i];
                bool exclude = glob[0] == '!';

                if (!exclude)
                        any_wanted = true;
                if (fnmatch(exclude ? glob + 1 : glob, name, 0) != 0)
                        continue;
                if (exclude)
                        return false;
                wanted = true;
        }
        return wanted || !any_wanted;
}

static bool entry_usable(const struct address_table *table, const struct address_rules *rules,
                         const struct address_entry *entry, usec_t now)
{
        const struct link_entry *link = link_find(table, entry->ifindex);
        uint32_t unwanted = IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED;

        /* On IPv4 the same bit says "secondary", which is as good an address as any. */
        if (entry->address.family == AF_INET6 && !rules->ipv6_temporary)
                unwanted |= IFA_F_TEMPORARY;
        if (entry->scope != RT_SCOPE_UNIVERSE || (entry->flags & unwanted) != 0)
                return false;
        if (entry->valid_until_usec <= now)
                return false;
        /* An address may be told before its link's name is. */
        if (!interface_matches(rules->interfaces, link ? link->name : ""))
                return false;
        return !prefix_list_contains(rules->exclude_subnets, &entry->address);
}

int address_set_add_ranked(struct address_set *set, const struct address *address, usec_t valid_until_usec,
                           unsigned rank)
{
        size_t place = 0;

        while (place < set->n_items && address_compare(&set->items[place].address, address) < 0)
                place++;
        if (place < set->n_items && address_equal(&set->items[place].address, address)) {
                set->items[place].valid_until_usec = MAX(set->items[place].valid_until_usec,
                                                         valid_until_usec);
                set->items[place].rank = MIN(set->items[place].rank, rank);
                return 0;
        }
        struct usable_address *items = reallocarray(set->items, set->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        set->items = items;
        memmove(&items[place + 1], &items[place], (set->n_items - place) * sizeof(*items));
        items[place] = (struct usable_address){ *address, valid_until_usec, rank };
        set->n_items++;
        return 0;
}

int address_set_add(struct address_set *set, const struct address *address, usec_t valid_until_usec)
{
        return address_set_add_ranked(set, address, valid_until_usec, 0);
}

static unsigned entry_rank(const struct address_entry *entry)
{
        bool temporary = entry->address.family == AF_INET6 && (entry->flags & IFA_F_TEMPORARY);

        return address_rank(&entry->address, false, entry->valid_until_usec == USEC_INFINITY && !temporary);
}

int address_set_compute(const struct address_table *table, const struct address_rules *rules, usec_t now,
                        struct address_set *ret)
{
        struct address_set set = { 0 };
        int r = 0;

        for (size_t i = 0; i < table->n_addresses && r >= 0; i++)
                if (entry_usable(table, rules, &table->addresses[i], now))
                        r = address_set_add_ranked(&set, &table->addresses[i].address,
                                                   table->addresses[i].valid_until_usec,
                                                   entry_rank(&table->addresses[i]));
        for (size_t i = 0; i < rules->n_extra && r >= 0; i++)
                r = address_set_add(&set, &rules->extra[i], USEC_INFINITY);
        if (r < 0) {
                address_set_clear(&set);
                return r;
        }
        *ret = set;
        return 0;
}

bool address_set_equal(const struct address_set *a, const struct address_set *b)
{
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++)
                if (!address_equal(&a->items[i].address, &b->items[i].address))
                        return false;
        return true;
}

bool address_set_contains(const struct address_set *set, const struct address *address)
{
        for (size_t i = 0; i < set->n_items; i++)
                if (address_equal(&set->items[i].address, address))
                        return true;
        return false;
}

int address_set_merge(struct address_set *set, const struct address_set *more)
{
        int r = 0;

        for (size_t i = 0; i < more->n_items && r >= 0; i++)
                r = address_set_add_ranked(set, &more->items[i].address, more->items[i].valid_until_usec,
                                           more->items[i].rank);
        return r;
}

void address_set_subtract(struct address_set *set, const struct address_set *less)
{
        size_t n = 0;

        for (size_t i = 0; i < set->n_items; i++)
                if (!address_set_contains(less, &set->items[i].address))
                        set->items[n++] = set->items[i];
        set->n_items = n;
}

int address_set_copy(const struct address_set *from, struct address_set *to)
{
        struct address_set copy = { 0 };
        int r = address_set_merge(&copy, from);

        if (r < 0) {
                address_set_clear(&copy);
                return r;
        }
        address_set_clear(to);
        *to = copy;
        return 0;
}

void address_set_clear(struct address_set *set)
{
        free(set->items);
        *set = (struct address_set){ 0 };
}

char *address_set_text(const struct address_set *set, const struct address_set *without,
                       char buffer[static ADDRESS_SET_TEXT_MAX])
{
        size_t n = 0;

        buffer[0] = '\0';
        for (size_t i = 0; i < set->n_items; i++) {
                char text[ADDRESS_FORMAT_MAX];
                size_t length = strlen(buffer);

                if ((without && address_set_contains(without, &set->items[i].address)) || n++ >= 8)
                        continue;
                (void) snprintf(buffer + length, ADDRESS_SET_TEXT_MAX - length, "%s%s",
                                length > 0 ? ", " : "", address_format(&set->items[i].address, text));
        }
        return buffer;
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
