/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/address-rank.h"

#include <errno.h>
#include <stdlib.h>

#include "util/macro.h"

enum reach {
        REACH_GLOBAL,
        REACH_UNIQUE_LOCAL,
        REACH_PRIVATE,
        REACH_OTHER,
};

static bool lies_in(const struct address *address, const char *prefix_text)
{
        struct prefix prefix;

        return prefix_parse(prefix_text, &prefix) >= 0 && prefix_contains(&prefix, address);
}

static enum reach address_reach(const struct address *address)
{
        /* RFC 1918, and what providers hand out behind their own translation (RFC 6598). */
        static const char *const private[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                               "100.64.0.0/10" };

        if (address_is_link_local(address) || address_is_loopback(address))
                return REACH_OTHER;
        if (lies_in(address, "fc00::/7"))
                return REACH_UNIQUE_LOCAL;
        for (size_t i = 0; i < ELEMENTSOF(private); i++)
                if (lies_in(address, private[i]))
                        return REACH_PRIVATE;
        return REACH_GLOBAL;
}

bool address_is_global(const struct address *address)
{
        return address_reach(address) == REACH_GLOBAL;
}

unsigned address_rank(const struct address *address, bool default_route, bool stable)
{
        /* 0 is for what somebody named. */
        return 1 + address_reach(address) * 4 + (default_route ? 0 : 2) + (stable ? 0 : 1);
}

static int rank_compare(const void *a, const void *b)
{
        const struct usable_address *x = a, *y = b;

        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        return address_compare(&x->address, &y->address);
}

static size_t first_of_family(const struct address_set *set, int family)
{
        size_t i = 0;

        while (i < set->n_items && set->items[i].address.family != family)
                i++;
        return i;
}

int address_set_best(const struct address_set *set, size_t n, struct address_set *ret)
{
        static const int families[] = { AF_INET, AF_INET6 };
        struct address_set sorted = { 0 }, best = { 0 };
        int r = address_set_copy(set, &sorted);

        if (r < 0)
                return r;
        if (n < sorted.n_items)
                qsort(sorted.items, sorted.n_items, sizeof(*sorted.items), rank_compare);
        else
                n = sorted.n_items;
        for (size_t i = 0; i < ELEMENTSOF(families) && n > 1; i++) {
                size_t first = first_of_family(&sorted, families[i]);

                if (first >= n && first < sorted.n_items)
                        sorted.items[n - 1] = sorted.items[first];
        }
        for (size_t i = 0; i < n && r >= 0; i++)
                r = address_set_add_ranked(&best, &sorted.items[i].address, sorted.items[i].valid_until_usec,
                                           sorted.items[i].rank);
        address_set_clear(&sorted);
        if (r < 0) {
                address_set_clear(&best);
                return r;
        }
        address_set_clear(ret);
        *ret = best;
        return 0;
}
