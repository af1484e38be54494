/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Links that something was found on. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

#define LINK_SET_MAX 16

struct link_set {
        bool all; /* it is of no link, or of more than are counted */
        uint8_t n_items;
        uint32_t items[LINK_SET_MAX]; /* ifindexes, each once */
};

void link_set_add(struct link_set *set, uint32_t ifindex);
void link_set_merge(struct link_set *set, const struct link_set *more);
bool link_set_has(const struct link_set *set, uint32_t ifindex);
bool link_set_equal(const struct link_set *a, const struct link_set *b);

/* A domain that links have, each once. */
struct link_domain {
        struct dns_name name;
        struct link_set links;
};

struct link_domain_list {
        struct link_domain *items;
        size_t n_items;
};

/* One that is there gets these links besides. 0 or -ENOMEM. */
int link_domain_list_add(struct link_domain_list *list, const struct dns_name *name,
                         const struct link_set *links);
struct link_domain *link_domain_list_find(const struct link_domain_list *list, const struct dns_name *name);
void link_domain_list_clear(struct link_domain_list *list);
