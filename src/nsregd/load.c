/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/load.h"
#include <systemd/sd-daemon.h>

#include "nsregd/context.h"
#include "nsregd/inherit.h"
#include "nsregd/left-over.h"
#include "nsregd/zones.h"
#include "upstream/publisher.h"
#include "util/log.h"

static int load_name(void *userdata, const struct dns_name *zone_name, const char *label,
                     struct name_state *state)
{
        struct context *context = userdata;
        struct registry_zone *zone = registry_find_zone(context->registry, zone_name);
        int r;

        /* A zone that is configured no more: its names stay on the disk for its return. */
        if (!zone) {
                name_state_free(state);
                return 1;
        }
        r = registry_load(zone, label, state);
        if (r < 0) {
                name_state_free(state);
                return r;
        }
        if (state->claimed)
                quota_count_name(context->quota, &state->source, 1);
        /* A large database takes its time; as long as it goes on the service manager waits. Without one there
         * is nobody to tell. */
        if (zone->n_entries % 65536 == 0)
                (void) sd_notify(false, "EXTEND_TIMEOUT_USEC=60000000");
        return 0;
}

static int load_unit(void *userdata, const struct unit_row *row)
{
        struct context *context = userdata;

        if (!publisher_find(context->publisher, row->upstream))
                return left_over_add(context->left_over, row);
        return publisher_load_row(context->publisher, row);
}

static int load_serial(void *userdata, const struct dns_name *zone_name, uint32_t serial)
{
        struct context *context = userdata;
        struct registry_zone *zone = registry_find_zone(context->registry, zone_name);
        struct served_zone *served = zone ? zones_find(context->zones, zone) : NULL;

        /* One more than the last: what ended while the daemon was away is a change. */
        if (served && served->builtin)
                served->serial = served->next_serial = serial + 1;
        return 0;
}

static const struct store_loader loader = { .name = load_name, .unit = load_unit, .serial = load_serial };

/* A claim to which nobody objected is not written again for that. What the rows say is published everywhere
 * was accepted everywhere, so it is established, whatever a server says later. */
static void settle_provisional(struct registry_zone *zone)
{
        for (struct name_entry *entry = registry_after(zone, ""); entry; entry = registry_next(entry)) {
                bool published = true;

                if (entry->state->provisional == PROVISIONAL_NO)
                        continue;
                for (const struct attachment *attachment = publisher_attachments(zone); attachment;
                     attachment = attachment->next)
                        published = published && publisher_is_published(attachment, entry);
                if (published)
                        entry->state->provisional = PROVISIONAL_NO;
        }
}

/* The names of the zones that are configured. */
int load_state(struct context *context)
{
        _cleanup_free_ char *why = NULL;
        int r;

        r = store_load_serials(context->store, &loader, context, &why);
        if (r >= 0)
                r = store_load_names(context->store, &loader, context, &why);
        publisher_load_begin(context->publisher);
        for (struct registry_zone *zone = context->registry->zones; zone && r >= 0; zone = zone->next)
                for (struct name_entry *entry = registry_after(zone, ""); entry && r >= 0;
                     entry = registry_next(entry))
                        r = publisher_load_name(context->publisher, context->registry, entry);
        if (r >= 0)
                r = inherit_rows(context, &why);
        if (r >= 0)
                r = store_load_units(context->store, &loader, context, &why);
        for (struct registry_zone *zone = context->registry->zones; zone && r >= 0; zone = zone->next)
                settle_provisional(zone);
        left_over_tell(context->left_over);
        if (r < 0)
                log_error("Cannot read the database in %s: %s.", context->config->data_dir,
                          why ?: strerror(-r));
        return r;
}
