/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel says about links and addresses, and the rules that make of it the set worth registering.
 * Pure: fed with rtnetlink messages, time as an argument, no socket. */

#include <linux/netlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nsregc/address-set.h"
#include "nsregc/link-set.h"
#include "nsregc/link-table.h"
#include "registry/policy.h"
#include "util/address.h"
#include "util/time.h"

struct address_entry {
        struct address address;
        uint8_t prefix_length;
        uint8_t scope;  /* RT_SCOPE_ */
        uint32_t flags; /* IFA_F_ */
        uint32_t ifindex;
        usec_t valid_until_usec; /* BOOTTIME; USEC_INFINITY */
        bool stale;              /* not seen yet in the dump under way */
};

struct address_table {
        struct address_entry *addresses;
        size_t n_addresses;
        struct link_table links;
};

struct address_rules {
        const struct string_list *interfaces;      /* globs; "!" in front excludes; none: all */
        const struct prefix_list *exclude_subnets; /* never */
        const struct address *extra;               /* always */
        size_t n_extra;
        bool ipv6_temporary;
        const struct link_set *links; /* of these alone, and the extra ones; NULL: of all */
};

enum {
        ADDRESS_TABLE_LIFETIME = 1, /* or the flags of an address */
        ADDRESS_TABLE_OTHER,        /* links or addresses came, went, or are others now */
};

/* RTM_NEWADDR, DELADDR, NEWLINK, DELLINK; others are ignored. "now" is BOOTTIME. What changed, 0, or -ENOMEM.
 */
int address_table_apply(struct address_table *table, const struct nlmsghdr *header, usec_t now_usec);
/* A dump of links, or of addresses, begins: what it does not name is gone at its end. To be called when its
 * first message arrives, not when it is asked for: events of before may still wait in the socket. */
void address_table_dump_begin(struct address_table *table, bool links);
void address_table_dump_end(struct address_table *table, bool links);
void address_table_clear(struct address_table *table);

/* 0 or -ENOMEM. */
int address_set_compute(const struct address_table *table, const struct address_rules *rules, usec_t now_usec,
                        struct address_set *ret);
/* Those that only lead to where nobody looks for the machine: for when there are no others. */
int address_set_compute_spare(const struct address_table *table, const struct address_rules *rules,
                              usec_t now_usec, struct address_set *ret);
/* Does it make a difference which links have a default route. */
bool address_table_asks_for_routes(const struct address_table *table, const struct address_rules *rules,
                                   usec_t now_usec);

/* Addresses of global scope that are not registered, and why. */
struct left_out {
        struct address address;
        char interface[IFNAMSIZ];
        char rule[96];
};

struct left_out_list {
        struct left_out *items;
        size_t n_items;
};

/* "items" is the caller's to free. 0 or -ENOMEM. */
int address_table_left_out(const struct address_table *table, const struct address_rules *rules,
                           usec_t now_usec, struct left_out_list *ret);

/* The networks that usable addresses lie in (RFC 6763 section 11), each once. 0 or -ENOMEM. */
int address_table_networks(const struct address_table *table, const struct address_rules *rules,
                           usec_t now_usec, struct prefix_list *ret);
/* The links with usable addresses in this network. */
struct link_set address_table_links(const struct address_table *table, const struct address_rules *rules,
                                    const struct prefix *network, usec_t now_usec);
