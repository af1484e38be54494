/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/place.h"

#include <stdio.h>
#include <string.h>

#include "nsregc/address-rank.h"
#include "nsregc/next-hop.h"

void place_make(char place[static PLACE_MAX], const char *server, const struct address *towards)
{
        char hop[NEXT_HOP_TEXT_MAX] = "";

        /* What cannot be found out is no difference. */
        if (towards)
                (void) next_hop(towards, hop);
        (void) snprintf(place, PLACE_MAX, "%.96s%s%s", server, hop[0] ? "/" : "", hop);
}

static const char *hop_of(const char *place)
{
        const char *hop = strchr(place, '/');

        return hop ? hop + 1 : "";
}

static bool is_global(const char *place)
{
        char host[PLACE_MAX];
        struct address address;

        (void) snprintf(host, sizeof(host), "%.*s", (int) strcspn(place, "@"), place);
        return address_parse(host, &address) >= 0 && address_is_global(&address);
}

bool place_same(const char *a, const char *b)
{
        size_t length = strcspn(a, "/");
        const char *hop_a = hop_of(a), *hop_b = hop_of(b);

        if (!a[0] || !b[0])
                return true;
        if (hop_a[0] && strcmp(hop_a, hop_b) == 0)
                return true;
        if (length != strcspn(b, "/") || strncmp(a, b, length) != 0)
                return false;
        return !hop_a[0] || !hop_b[0] || is_global(a);
}
