/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a source is, wherever something is counted or limited by source: a /32 or /128, and for IPv6 the sums
 * at /64 and /56 too, since a host may take any address of its network. */

#include "util/address.h"

#define SOURCE_LEVELS 3 /* narrowest first; IPv4 uses one */

static inline unsigned source_levels(const struct address *address)
{
        return address->family == AF_INET6 ? SOURCE_LEVELS : 1;
}

static inline struct prefix source_prefix(const struct address *address, unsigned level)
{
        static const unsigned lengths[SOURCE_LEVELS] = { 128, 64, 56 };

        return prefix_from_address(address, address->family == AF_INET6 ? lengths[level] : 32);
}

/* A host's own network, as far as anybody can tell: a /32 or /64. */
static inline struct prefix source_network(const struct address *address)
{
        return source_prefix(address, address->family == AF_INET6 ? 1 : 0);
}

/* The prefixes that a holder of something counts in, narrowest first; returns how many. The last one is what
 * may hold no more than half of a total: a /32 or /56, but of exempt networks, which no rate binds, all that
 * one entry of the list has. */
static inline unsigned source_chain(const struct address *address, const struct prefix_list *exempt,
                                    struct prefix chain[static SOURCE_LEVELS])
{
        unsigned n = source_levels(address);

        for (unsigned i = 0; i < n; i++)
                chain[i] = source_prefix(address, i);
        for (size_t i = 0; i < exempt->n_items; i++) {
                const struct prefix *prefix = &exempt->items[i];

                if (!prefix_contains(prefix, address) || prefix->length >= chain[n - 1].length)
                        continue;
                if (n == SOURCE_LEVELS)
                        chain[n - 1] = *prefix;
                else
                        chain[n++] = *prefix;
                break;
        }
        return n;
}

/* How many times as much as a single source may have. */
static inline uint32_t source_factor(unsigned level)
{
        static const uint32_t factors[SOURCE_LEVELS] = { 1, 4, 8 };

        return factors[level];
}
