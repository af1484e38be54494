/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The machine's links as the kernel tells of them. Pure: fed with rtnetlink messages, time as an argument. */

#include <linux/netlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/time.h"

#define LINK_KIND_MAX   16
#define LINK_GRACE_USEC (5 * USEC_PER_SEC) /* a cable may be pulled and put back */

struct link_entry {
        uint32_t ifindex;
        char name[IFNAMSIZ];
        char kind[LINK_KIND_MAX]; /* "veth", "bridge"; empty: the hardware's own */
        uint32_t flags;           /* IFF_ */
        uint8_t operstate;        /* IF_OPER_ */
        uint32_t master;          /* a port of this bridge or the like; 0: of none */
        uint32_t lower;           /* what a vlan or a macvlan lies on; 0: not told */
        bool lower_elsewhere;     /* that is in another namespace */
        bool default_route;       /* in the main table; as last asked for */
        usec_t lost_usec;         /* BOOTTIME at which it ceased to run; 0: runs, or never ran */
        bool stale;               /* not seen yet in the dump under way */
};

struct link_table {
        struct link_entry *items;
        size_t n_items;
};

struct link_entry *link_table_find(const struct link_table *table, uint32_t ifindex);
/* RTM_NEWLINK. 1: something changed that may make a difference, 0, or -ENOMEM. */
int link_table_apply(struct link_table *table, const struct nlmsghdr *header, usec_t now_usec);
void link_table_remove(struct link_table *table, uint32_t ifindex);
void link_table_remove_stale(struct link_table *table);
void link_table_clear(struct link_table *table);

/* It can carry packets now. */
bool link_runs(const struct link_entry *link);
/* It does, or ceased to so lately that nobody is told. */
bool link_runs_or_may_again(const struct link_entry *link, usec_t now_usec);
/* When the next of those that lost their carrier has lost it for good; USEC_INFINITY: none. */
usec_t link_table_next_loss(const struct link_table *table, usec_t now_usec);
