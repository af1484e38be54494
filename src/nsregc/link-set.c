/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/link-set.h"

#include <errno.h>
#include <stdlib.h>

void link_set_add(struct link_set *set, uint32_t ifindex)
{
        if (link_set_has(set, ifindex))
                return;
        if (set->n_items == LINK_SET_MAX)
                set->all = true;
        else
                set->items[set->n_items++] = ifindex;
}

void link_set_merge(struct link_set *set, const struct link_set *more)
{
        set->all |= more->all;
        for (size_t i = 0; i < more->n_items; i++)
                link_set_add(set, more->items[i]);
}

bool link_set_has(const struct link_set *set, uint32_t ifindex)
{
        for (size_t i = 0; i < set->n_items; i++)
                if (set->items[i] == ifindex)
                        return true;
        return set->all;
}

bool link_set_equal(const struct link_set *a, const struct link_set *b)
{
        if (a->all || b->all)
                return a->all == b->all;
        for (size_t i = 0; i < a->n_items; i++)
                if (!link_set_has(b, a->items[i]))
                        return false;
        return a->n_items == b->n_items;
}

struct link_domain *link_domain_list_find(const struct link_domain_list *list, const struct dns_name *name)
{
        for (size_t i = 0; i < list->n_items; i++)
                if (dns_name_equal(&list->items[i].name, name))
                        return &list->items[i];
        return NULL;
}

int link_domain_list_add(struct link_domain_list *list, const struct dns_name *name,
                         const struct link_set *links)
{
        struct link_domain *domain = link_domain_list_find(list, name), *items;

        if (!domain) {
                items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                list->items = items;
                domain = &items[list->n_items++];
                *domain = (struct link_domain){ .name = *name };
        }
        link_set_merge(&domain->links, links);
        return 0;
}

void link_domain_list_clear(struct link_domain_list *list)
{
        free(list->items);
        *list = (struct link_domain_list){ 0 };
}
