/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/hold.h"
#include "nsregd/context.h"
#include "util/log.h"

#define CLOCK_CHECK_USEC (5 * USEC_PER_SEC)
/* Names whose leases are moved in one turn of the loop: well below 5 ms. */
#define MOVED_PER_TURN 2000

struct hold {
        struct context *context;
        struct registry_hold held;
        struct lease_watch watch;
        bool begun;
        bool synchronized;
        sd_event_source *clock_source; /* while the clock is doubtful, or time off is not counted yet */
        sd_event_source *move_source;  /* while time off is being counted */
        usec_t since_usec;             /* what was granted before, on the lease clock, ... */
        usec_t off_usec;               /* ... ends so much earlier */
        struct dns_name zone;          /* how far that has come */
        char label[DNS_LABEL_MAX + 1];
};

static struct registry_zone *next_zone(const struct registry *registry, const struct registry_zone *zone)
{
        return zone ? zone->next : registry->zones;
}

/* Zones are looked up by name each time: a reload may come between two slices. */
static int on_move(sd_event_source *source, void *userdata)
{
        struct hold *hold = userdata;
        struct registry *registry = hold->context->registry;
        struct registry_zone *zone = hold->zone.length > 0 ? registry_find_zone(registry, &hold->zone)
                                                           : registry->zones;

        for (unsigned i = 0; zone && i < MOVED_PER_TURN; i++) {
                struct name_entry *entry = registry_after(zone, hold->label);

                hold->zone = zone->policy->zone;
                if (entry) {
                        (void) registry_take_time_off(entry, hold->since_usec, hold->off_usec);
                        strcpy(hold->label, entry->label);
                        continue;
                }
                hold->label[0] = '\0';
                zone = next_zone(registry, zone);
                if (zone)
                        hold->zone = zone->policy->zone;
        }
        if (zone)
                return 0;
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static void count_time_off(struct hold *hold, const struct lease_clock_now *now)
{
        struct store *store = hold->context->store;
        char text[TIME_SPAN_FORMAT_MAX];
        usec_t off_usec;

        off_usec = store_take_time_off(store, now, &hold->since_usec);
        if (off_usec == 0)
                return;
        log_notice("This machine was off for %s; that time is counted now.",
                   time_span_format(text, sizeof(text), off_usec));
        lease_hold_time_off(&hold->held, store_lease_now(store));
        hold->off_usec = off_usec;
        hold->zone.length = 0;
        hold->label[0] = '\0';
        /* Leases that are not moved end late, never early: a failure here harms nobody. */
        (void) sd_event_source_set_enabled(hold->move_source, SD_EVENT_ON);
}

void hold_look(struct hold *hold)
{
        struct context *context = hold->context;
        const struct lease_clock *clock = store_clock(context->store);
        struct lease_clock_now now;

        /* It was there when the store was opened. */
        if (lease_clock_read_now(&now) < 0)
                return;
        if (lease_watch_look(&hold->watch, &now)) {
                log_notice("This machine slept, or its clock stepped forward: for a while no lease ends.");
                lease_hold_begin(&hold->held, store_lease_now(context->store),
                                 context->config->restart_grace_usec);
        }
        if (clock->off_pending)
                count_time_off(hold, &now);
        hold->synchronized = now.synchronized || !clock->doubtful;
        registry_hold(context->registry, &hold->held);
        if (hold->synchronized && !clock->off_pending)
                return;
        /* Where the timer cannot be set, the next lease that ends looks again. */
        (void) sd_event_source_set_time_relative(hold->clock_source, CLOCK_CHECK_USEC);
        (void) sd_event_source_set_enabled(hold->clock_source, SD_EVENT_ONESHOT);
}

static int on_clock(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct hold *hold = userdata;

        hold_look(hold);
        return 0;
}

void hold_begin(struct hold *hold)
{
        struct context *context = hold->context;

        /* Who had to wait for the start could not refresh meanwhile. A new database holds nothing. */
        if (!hold->begun && !store_is_new(context->store))
                lease_hold_begin(&hold->held, store_lease_now(context->store),
                                 context->config->restart_grace_usec);
        hold_look(hold);
        if (!hold->begun && !hold->synchronized)
                log_warning("This machine's clock is behind where it was, or far ahead and not "
                            "synchronized: signatures are not judged by it.");
        hold->begun = true;
}

bool hold_is_synchronized(const struct hold *hold)
{
        return hold->synchronized;
}

struct hold *hold_new(struct context *context)
{
        struct hold *hold = calloc(1, sizeof(*hold));
        int r;

        if (!hold)
                return NULL;
        hold->context = context;
        r = sd_event_add_time(context->event, &hold->clock_source, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_clock,
                              hold);
        if (r >= 0)
                r = sd_event_source_set_enabled(hold->clock_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(context->event, &hold->move_source, on_move, hold);
        if (r >= 0)
                r = sd_event_source_set_enabled(hold->move_source, SD_EVENT_OFF);
        return r < 0 ? hold_free(hold) : hold;
}

struct hold *hold_free(struct hold *hold)
{
        if (!hold)
                return NULL;
        sd_event_source_disable_unref(hold->clock_source);
        sd_event_source_disable_unref(hold->move_source);
        free(hold);
        return NULL;
}
