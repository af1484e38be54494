/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the kernel says about links and addresses, and the rules that make of it the set worth registering.
 * Pure: fed with rtnetlink messages, time as an argument, no socket. */

#include <linux/netlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

struct link_entry {
        uint32_t ifindex;
        char name[IFNAMSIZ];
        bool stale;
};

struct address_table {
        struct address_entry *addresses;
        size_t n_addresses;
        struct link_entry *links;
        size_t n_links;
};

struct address_rules {
        const struct string_list *interfaces;      /* globs; "!" in front excludes; none: all */
        const struct prefix_list *exclude_subnets; /* never */
        const struct address *extra;               /* always */
        size_t n_extra;
        bool ipv6_temporary;
};

struct usable_address {
        struct address address;
        usec_t valid_until_usec;
        unsigned rank; /* the lower, the rather it is registered where not all can be */
};

/* Sorted by address, each once. */
struct address_set {
        struct usable_address *items;
        size_t n_items;
};

/* For messages: those that are not in "without" (NULL: all), the first few of them; may be empty. */
#define ADDRESS_SET_TEXT_MAX (8 * 48)
char *address_set_text(const struct address_set *set, const struct address_set *without,
                       char buffer[static ADDRESS_SET_TEXT_MAX]);

/* RTM_NEWADDR, DELADDR, NEWLINK, DELLINK; others are ignored. "now" is BOOTTIME. 1: something changed (be it
 * a lifetime only), 0, or -ENOMEM. */
int address_table_apply(struct address_table *table, const struct nlmsghdr *header, usec_t now_usec);
/* A dump of links, or of addresses, begins: what it does not name is gone at its end. To be called when its
 * first message arrives, not when it is asked for: events of before may still wait in the socket. */
void address_table_dump_begin(struct address_table *table, bool links);
void address_table_dump_end(struct address_table *table, bool links);
void address_table_clear(struct address_table *table);

/* Does a list of globs, some of them exclusions, take this interface. */
bool interface_matches(const struct string_list *globs, const char *name);

/* 0 or -ENOMEM. */
int address_set_compute(const struct address_table *table, const struct address_rules *rules, usec_t now_usec,
                        struct address_set *ret);
/* The same addresses; lifetimes make no difference. */
bool address_set_equal(const struct address_set *a, const struct address_set *b);
bool address_set_contains(const struct address_set *set, const struct address *address);
int address_set_add(struct address_set *set, const struct address *address, usec_t valid_until_usec);
/* Of one that is there already the longer life and the better rank count. */
int address_set_add_ranked(struct address_set *set, const struct address *address, usec_t valid_until_usec,
                           unsigned rank);
int address_set_copy(const struct address_set *from, struct address_set *to);
int address_set_merge(struct address_set *set, const struct address_set *more);
void address_set_subtract(struct address_set *set, const struct address_set *less);
void address_set_clear(struct address_set *set);

/* The networks that usable addresses lie in (RFC 6763 section 11), each once. 0 or -ENOMEM. */
int address_table_networks(const struct address_table *table, const struct address_rules *rules,
                           usec_t now_usec, struct prefix_list *ret);
