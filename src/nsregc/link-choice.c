/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/link-choice.h"

#include <fnmatch.h>
#include <stdio.h>

#include "util/macro.h"

#define DEPTH_MAX 8 /* links lie on links; nobody stacks them higher, and a circle ends here */

static bool is_one_of(const char *kind, const char *const *kinds)
{
        for (; *kinds; kinds++)
                if (streq(kind, *kinds))
                        return true;
        return false;
}

/* What is reached through these has an address of its own elsewhere, or is nowhere. "tun" is tap as well. */
static bool kind_is_never(const char *kind)
{
        static const char *const kinds[] = {
                "tun",  "wireguard", "ovpn",      "ipip",   "sit",       "ip6tnl", "vti",
                "vti6", "xfrm",      "vxlan",     "geneve", "ppp",       "dummy",  "ifb",
                "vrf",  "ip6gre",    "ip6gretap", "erspan", "ip6erspan", NULL,
        };

        return strncmp(kind, "gre", 3) == 0 || is_one_of(kind, kinds);
}

static bool kind_leads_inside(const char *kind)
{
        static const char *const kinds[] = { "veth", "netkit", "openvswitch", NULL };

        return is_one_of(kind, kinds);
}

static bool kind_lies_on_another(const char *kind)
{
        static const char *const kinds[] = {
                "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", NULL,
        };

        return is_one_of(kind, kinds);
}

bool interface_matches(const struct string_list *globs, const char *name)
{
        bool wanted = false, any_wanted = false;

        for (size_t i = 0; globs && i < globs->n_items; i++) {
                const char *glob = globs->items[i];
                bool exclude = glob[0] == '!';

                if (!exclude)
                        any_wanted = true;
                if (fnmatch(exclude ? glob + 1 : glob, name, 0) != 0)
                        continue;
                if (exclude)
                        return false;
                wanted = true;
        }
        return wanted || !any_wanted;
}

static bool any_named(const struct string_list *globs)
{
        for (size_t i = 0; globs && i < globs->n_items; i++)
                if (globs->items[i][0] != '!')
                        return true;
        return false;
}

static enum link_verdict judge(const struct link_table *table, const struct link_entry *link, usec_t now,
                               unsigned depth);

/* A port leads out of the machine when it would be taken for itself, and is no end of a cable in here. */
static bool bridge_leads_out(const struct link_table *table, const struct link_entry *bridge, usec_t now,
                             unsigned depth)
{
        for (size_t i = 0; i < table->n_items; i++) {
                const struct link_entry *port = &table->items[i];

                if (port->master == bridge->ifindex && !kind_leads_inside(port->kind) &&
                    judge(table, port, now, depth + 1) == LINK_TAKEN)
                        return true;
        }
        return false;
}

static enum link_verdict judge_lower(const struct link_table *table, const struct link_entry *link,
                                     usec_t now, unsigned depth)
{
        const struct link_entry *lower = link->lower_elsewhere ? NULL : link_table_find(table, link->lower);

        /* One in another namespace is the host's, which gave us this one to be reached by. */
        if (!lower || judge(table, lower, now, depth + 1) == LINK_TAKEN)
                return LINK_TAKEN;
        return LINK_LOWER;
}

static enum link_verdict judge(const struct link_table *table, const struct link_entry *link, usec_t now,
                               unsigned depth)
{
        if (!link_runs_or_may_again(link, now))
                return LINK_DOWN;
        if (link->flags & IFF_LOOPBACK)
                return LINK_LOOPBACK;
        if (link->flags & IFF_POINTOPOINT)
                return LINK_POINT_TO_POINT;
        if (kind_is_never(link->kind))
                return LINK_KIND_NEVER;
        if (link->default_route)
                return LINK_TAKEN;
        if (kind_leads_inside(link->kind))
                return LINK_NO_DEFAULT_ROUTE;
        if (depth >= DEPTH_MAX)
                return LINK_TAKEN;
        if (streq(link->kind, "bridge"))
                return bridge_leads_out(table, link, now, depth) ? LINK_TAKEN : LINK_BRIDGE_INSIDE;
        if (kind_lies_on_another(link->kind))
                return judge_lower(table, link, now, depth);
        return LINK_TAKEN;
}

enum link_verdict link_judge(const struct link_table *table, const struct link_entry *link,
                             const struct string_list *globs, usec_t now)
{
        if (!link)
                return LINK_UNKNOWN;
        if (!interface_matches(globs, link->name))
                return any_named(globs) ? LINK_NOT_NAMED : LINK_EXCLUDED;
        if (any_named(globs))
                return link_runs_or_may_again(link, now) ? LINK_TAKEN : LINK_DOWN;
        return judge(table, link, now, 0);
}

bool link_asks_for_route(const struct link_table *table, const struct link_entry *link,
                         const struct string_list *globs, usec_t now)
{
        if (!link || any_named(globs) || !interface_matches(globs, link->name))
                return false;
        for (unsigned depth = 0; link && depth < DEPTH_MAX; depth++) {
                if (kind_leads_inside(link->kind) || streq(link->kind, "bridge"))
                        return true;
                if (!kind_lies_on_another(link->kind) || link->lower_elsewhere)
                        return false;
                link = link_table_find(table, link->lower);
        }
        return false;
}

const char *link_verdict_text(enum link_verdict verdict, const struct link_entry *link,
                              char buffer[static LINK_VERDICT_TEXT_MAX])
{
        switch (verdict) {
        case LINK_TAKEN:
                return "";
        case LINK_UNKNOWN:
                return "the link is not known yet";
        case LINK_EXCLUDED:
                return "excluded by interfaces";
        case LINK_NOT_NAMED:
                return "not named by interfaces";
        case LINK_DOWN:
                return "the link is down";
        case LINK_LOOPBACK:
                return "loopback";
        case LINK_POINT_TO_POINT:
                return "a point-to-point link";
        case LINK_KIND_NEVER:
                (void) snprintf(buffer, LINK_VERDICT_TEXT_MAX, "a link of kind %s", link->kind);
                return buffer;
        case LINK_NO_DEFAULT_ROUTE:
                (void) snprintf(buffer, LINK_VERDICT_TEXT_MAX, "a link of kind %s without a default route",
                                link->kind);
                return buffer;
        case LINK_BRIDGE_INSIDE:
                return "a bridge inside this machine, without a default route";
        case LINK_LOWER:
                return "the link below it is left out";
        }
        return "";
}
