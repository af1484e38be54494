/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "upstream/nsupdate-internal.h"

/* A message is not made as large as it may be: others wait behind it. */
#define STREAM_MAX 32000

static void write_set(struct dns_builder *builder, enum dns_section section, const struct dns_name *owner,
                      const struct rrset *set, uint16_t class, uint32_t ttl_sec)
{
        struct rrset_item item;
        uint32_t position = 0;

        while (rrset_next(set, &position, &item))
                dns_builder_rr(builder, section, owner, item.type, class, ttl_sec, item.rdata, item.length);
}

/* The RRset is as it should be, or absent (RFC 2136 sections 2.4.2 and 2.4.3). */
static void write_prerequisites(struct dns_builder *builder, const struct unit *unit)
{
        struct dns_name owner = unit_owner(unit);
        struct plan_position position = {};
        struct plan_item item;

        while (plan_item_next(unit, &position, &item)) {
                if (!item.before)
                        continue;
                if (rrset_is_empty(item.before))
                        dns_builder_rr(builder, DNS_SECTION_ANSWER, &owner, item.type, DNS_CLASS_NONE, 0,
                                       NULL, 0);
                else
                        write_set(builder, DNS_SECTION_ANSWER, &owner, item.before, DNS_CLASS_IN, 0);
        }
}

/* A shared RR is deleted by its value: beside ours there may be others. */
static void write_changes(struct dns_builder *builder, const struct upstream *upstream,
                          const struct unit *unit)
{
        bool shared = unit_mode(unit) == UNIT_SHARED;
        struct dns_name owner = unit_owner(unit);
        struct plan_position position = {};
        struct plan_item item;

        while (plan_item_next(unit, &position, &item)) {
                if (!item.after)
                        continue;
                if (!shared && !(item.before && rrset_is_empty(item.before)))
                        dns_builder_rr(builder, DNS_SECTION_AUTHORITY, &owner, item.type, DNS_CLASS_ANY, 0,
                                       NULL, 0);
                if (shared && rrset_is_empty(item.after))
                        write_set(builder, DNS_SECTION_AUTHORITY, &owner, &item.part->rr, DNS_CLASS_NONE, 0);
                write_set(builder, DNS_SECTION_AUTHORITY, &owner, item.after, DNS_CLASS_IN,
                          upstream_record_ttl(upstream, unit, item.after));
        }
}

static ssize_t write_batch(const struct nsupdate *driver, const struct plan_batch *batch, uint16_t id,
                           void *buffer, size_t size)
{
        struct dns_builder builder;

        dns_builder_begin(&builder, buffer, size, id, DNS_OPCODE_UPDATE << 11);
        dns_builder_question(&builder, &batch->plan->lanes[batch->lane].zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        for (unsigned i = 0; i < batch->n_units; i++)
                write_prerequisites(&builder, batch->units[i]);
        for (unsigned i = 0; i < batch->n_units; i++)
                write_changes(&builder, driver->upstream, batch->units[i]);
        return dns_builder_end(&builder);
}

size_t nsupdate_room(const struct nsupdate *driver)
{
        return nsupdate_signs(driver) ? tsig_key_room(&driver->upstream->config->tsig_key) : 0;
}

ssize_t nsupdate_write_update(const struct nsupdate *driver, struct plan_batch *batch, uint16_t id,
                              void *buffer, size_t size)
{
        size_t room = nsupdate_room(driver);
        size_t limit = (driver->upstream->config->tcp ? STREAM_MAX : NSUPDATE_DATAGRAM_MAX) - room;

        for (;;) {
                ssize_t written = write_batch(driver, batch, id, buffer, size - room);

                if (written >= 0 && (size_t) written <= limit)
                        return written;
                if (batch->n_units == 1)
                        return written;
                /* So many as fit if all are alike, a few less to be sure. */
                if (written < 0)
                        plan_trim(batch, batch->n_units / 2);
                else
                        plan_trim(batch,
                                  MAX((unsigned) (batch->n_units * limit / (size_t) written * 15 / 16), 1U));
        }
}

ssize_t nsupdate_write_nothing(const struct dns_name *zone, uint16_t id, void *buffer, size_t size)
{
        struct dns_builder builder;

        dns_builder_begin(&builder, buffer, size, id, DNS_OPCODE_UPDATE << 11);
        dns_builder_question(&builder, zone, DNS_TYPE_SOA, DNS_CLASS_IN);
        return dns_builder_end(&builder);
}

ssize_t nsupdate_write_query(const struct dns_name *owner, uint16_t type, uint16_t id, void *buffer,
                             size_t size)
{
        struct dns_builder builder;

        dns_builder_begin(&builder, buffer, size, id, 0);
        dns_builder_question(&builder, owner, type, DNS_CLASS_IN);
        return dns_builder_end(&builder);
}
