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

/* How many times as much as a single source may have. */
static inline uint32_t source_factor(unsigned level)
{
        static const uint32_t factors[SOURCE_LEVELS] = { 1, 4, 8 };

        return factors[level];
}
