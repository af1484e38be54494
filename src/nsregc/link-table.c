/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/link-table.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "util/macro.h"

/* <linux/if.h> and <net/if.h> do not go together. */
enum {
        OPERSTATE_UNKNOWN = 0,
        OPERSTATE_UP = 6,
};
#define FLAG_DORMANT (1u << 17)

struct link_attributes {
        const struct nlattr *name, *operstate, *master, *lower, *lower_namespace, *info, *kind;
};

static int link_attribute(const struct nlattr *attribute, void *data)
{
        struct link_attributes *attributes = data;
        bool word = mnl_attr_get_payload_len(attribute) >= sizeof(uint32_t);

        switch (mnl_attr_get_type(attribute)) {
        case IFLA_IFNAME:
                if (mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
                        attributes->name = attribute;
                break;
        case IFLA_OPERSTATE:
                if (mnl_attr_get_payload_len(attribute) >= sizeof(uint8_t))
                        attributes->operstate = attribute;
                break;
        case IFLA_MASTER:
                attributes->master = word ? attribute : NULL;
                break;
        case IFLA_LINK:
                attributes->lower = word ? attribute : NULL;
                break;
        case IFLA_LINK_NETNSID:
                attributes->lower_namespace = attribute;
                break;
        case IFLA_LINKINFO:
                attributes->info = attribute;
                break;
        }
        return MNL_CB_OK;
}

static int info_attribute(const struct nlattr *attribute, void *data)
{
        struct link_attributes *attributes = data;

        if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND &&
            mnl_attr_validate(attribute, MNL_TYPE_STRING) >= 0)
                attributes->kind = attribute;
        return MNL_CB_OK;
}

struct link_entry *link_table_find(const struct link_table *table, uint32_t ifindex)
{
        for (size_t i = 0; i < table->n_items; i++)
                if (table->items[i].ifindex == ifindex)
                        return &table->items[i];
        return NULL;
}

static struct link_entry *link_add(struct link_table *table, uint32_t ifindex)
{
        struct link_entry *items = reallocarray(table->items, table->n_items + 1, sizeof(*items));

        if (!items)
                return NULL;
        table->items = items;
        items[table->n_items] = (struct link_entry){ .ifindex = ifindex };
        return &items[table->n_items++];
}

static uint32_t number_of(const struct nlattr *attribute)
{
        return attribute ? mnl_attr_get_u32(attribute) : 0;
}

static void kind_copy(const struct nlattr *attribute, char kind[static LINK_KIND_MAX])
{
        size_t length =
                attribute ? MIN((size_t) mnl_attr_get_payload_len(attribute), (size_t) LINK_KIND_MAX - 1) : 0;

        memset(kind, 0, LINK_KIND_MAX);
        if (length > 0)
                memcpy(kind, mnl_attr_get_payload(attribute), length);
}

static void link_read(struct link_entry *link, const struct ifinfomsg *message,
                      const struct link_attributes *attributes)
{
        link->flags = message->ifi_flags;
        memset(link->name, 0, sizeof(link->name));
        strncpy(link->name, mnl_attr_get_str(attributes->name), sizeof(link->name) - 1);
        /* What wireless drivers tell in the same words has the name only. */
        if (!attributes->operstate)
                return;
        link->operstate = mnl_attr_get_u8(attributes->operstate);
        link->master = number_of(attributes->master);
        link->lower = number_of(attributes->lower);
        link->lower_elsewhere = attributes->lower_namespace != NULL;
        kind_copy(attributes->kind, link->kind);
}

static bool link_same(const struct link_entry *a, const struct link_entry *b)
{
        return streq(a->name, b->name) && streq(a->kind, b->kind) && link_runs(a) == link_runs(b) &&
               ((a->flags ^ b->flags) & (IFF_UP | IFF_LOOPBACK | IFF_POINTOPOINT)) == 0 &&
               a->master == b->master && a->lower == b->lower && a->lower_elsewhere == b->lower_elsewhere;
}

int link_table_apply(struct link_table *table, const struct nlmsghdr *header, usec_t now)
{
        const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
        struct link_attributes attributes = { 0 };
        struct link_entry *link, before;
        bool is_new;

        if (mnl_nlmsg_get_payload_len(header) < sizeof(*message) || message->ifi_family != AF_UNSPEC ||
            mnl_attr_parse(header, sizeof(*message), link_attribute, &attributes) < 0 || !attributes.name)
                return 0;
        if (attributes.info)
                (void) mnl_attr_parse_nested(attributes.info, info_attribute, &attributes);

        link = link_table_find(table, (uint32_t) message->ifi_index);
        is_new = !link;
        link = link ?: link_add(table, (uint32_t) message->ifi_index);
        if (!link)
                return -ENOMEM;
        before = *link;
        link_read(link, message, &attributes);
        link->stale = false;
        if (link_runs(link) || !(link->flags & IFF_UP))
                link->lost_usec = 0;
        else if (!is_new && link_runs(&before))
                link->lost_usec = now;
        return is_new || !link_same(link, &before);
}

void link_table_remove(struct link_table *table, uint32_t ifindex)
{
        struct link_entry *link = link_table_find(table, ifindex);

        if (link)
                *link = table->items[--table->n_items];
}

void link_table_remove_stale(struct link_table *table)
{
        size_t n = 0;

        for (size_t i = 0; i < table->n_items; i++)
                if (!table->items[i].stale)
                        table->items[n++] = table->items[i];
        table->n_items = n;
}

void link_table_clear(struct link_table *table)
{
        free(table->items);
        *table = (struct link_table){ 0 };
}

bool link_runs(const struct link_entry *link)
{
        return (link->flags & IFF_UP) && (link->flags & IFF_RUNNING) && !(link->flags & FLAG_DORMANT) &&
               (link->operstate == OPERSTATE_UP || link->operstate == OPERSTATE_UNKNOWN);
}

bool link_runs_or_may_again(const struct link_entry *link, usec_t now)
{
        return link_runs(link) || (link->lost_usec > 0 && now < usec_add(link->lost_usec, LINK_GRACE_USEC));
}

usec_t link_table_next_loss(const struct link_table *table, usec_t now)
{
        usec_t next = USEC_INFINITY;

        for (size_t i = 0; i < table->n_items; i++)
                if (!link_runs(&table->items[i]) && link_runs_or_may_again(&table->items[i], now))
                        next = MIN(next, usec_add(table->items[i].lost_usec, LINK_GRACE_USEC));
        return next;
}
