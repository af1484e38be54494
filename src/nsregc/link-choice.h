/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which links' addresses are worth registering: those by which others reach the machine, not those of
 * networks that exist only inside it. Pure. */

#include <stdbool.h>

#include "nsregc/link-table.h"
#include "registry/policy.h"

enum link_verdict {
        LINK_TAKEN,
        LINK_UNKNOWN,   /* nothing was told of it yet */
        LINK_EXCLUDED,  /* by name, in the configuration */
        LINK_NOT_NAMED, /* the configuration names others */
        LINK_DOWN,
        LINK_LOOPBACK,
        LINK_POINT_TO_POINT,
        LINK_KIND_NEVER,       /* tunnels, overlays, and what leads nowhere */
        LINK_NO_DEFAULT_ROUTE, /* of a kind that leads into a container, unless this is one */
        LINK_BRIDGE_INSIDE,    /* no port of it leads out of the machine */
        LINK_LOWER,            /* what it lies on is not taken */
};

/* "link" may be NULL. Globs as in the configuration: those without "!" name all that is taken, whatever it is
 * but down. */
enum link_verdict link_judge(const struct link_table *table, const struct link_entry *link,
                             const struct string_list *globs, usec_t now_usec);
/* Does it depend on a default route whether this one is taken. */
bool link_asks_for_route(const struct link_table *table, const struct link_entry *link,
                         const struct string_list *globs, usec_t now_usec);

#define LINK_VERDICT_TEXT_MAX 96
/* The rule that left it out, for people. */
const char *link_verdict_text(enum link_verdict verdict, const struct link_entry *link,
                              char buffer[static LINK_VERDICT_TEXT_MAX]);

/* Does a list of globs, some of them exclusions, take this interface. */
bool interface_matches(const struct string_list *globs, const char *name);
