/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/clock-watch.h"
#include "nsregd/context.h"
#include "util/background.h"
#include "util/log.h"

#define CLOCK_CHECK_USEC (5 * USEC_PER_SEC)
/* Names whose leases are moved in one turn of the loop: well below 5 ms. */
#define MOVED_PER_TURN 2000

struct clock_watch {
        struct context *context;
        struct registry_hold held;
        struct lease_watch clocks;
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
static int on_move(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct clock_watch *watch = userdata;
        struct registry *registry = watch->context->registry;
        struct registry_zone *zone = watch->zone.length > 0 ? registry_find_zone(registry, &watch->zone)
                                                            : registry->zones;

        for (unsigned i = 0; zone && i < MOVED_PER_TURN; i++) {
                struct name_entry *entry = registry_after(zone, watch->label);

                watch->zone = zone->policy->zone;
                if (entry) {
                        (void) registry_take_time_off(entry, watch->since_usec, watch->off_usec);
                        strcpy(watch->label, entry->label);
                        continue;
                }
                watch->label[0] = '\0';
                zone = next_zone(registry, zone);
                if (zone)
                        watch->zone = zone->policy->zone;
        }
        if (zone)
                background_source_wake(source);
        return 0;
}

static void count_time_off(struct clock_watch *watch, const struct lease_clock_now *now)
{
        struct store *store = watch->context->store;
        char text[TIME_SPAN_FORMAT_MAX];
        usec_t off_usec;

        off_usec = store_take_time_off(store, now, &watch->since_usec);
        if (off_usec == 0)
                return;
        log_notice("This machine was off for %s; that time is counted now.",
                   time_span_format(text, sizeof(text), off_usec));
        lease_hold_time_off(&watch->held, store_lease_now(store));
        watch->off_usec = off_usec;
        watch->zone.length = 0;
        watch->label[0] = '\0';
        /* Leases that are not moved end late, never early: a failure here harms nobody. */
        background_source_wake(watch->move_source);
}

void clock_watch_look(struct clock_watch *watch)
{
        struct context *context = watch->context;
        const struct lease_clock *clock = store_clock(context->store);
        struct lease_clock_now now;

        /* It was there when the store was opened. */
        if (lease_clock_read_now(&now) < 0)
                return;
        if (lease_watch_look(&watch->clocks, &now)) {
                log_notice("This machine slept, or its clock stepped forward: for a while no lease ends.");
                lease_hold_begin(&watch->held, store_lease_now(context->store),
                                 context->config->restart_grace_usec);
        }
        if (clock->off_pending)
                count_time_off(watch, &now);
        watch->synchronized = now.synchronized || !clock->doubtful;
        registry_hold(context->registry, &watch->held);
        store_hold(context->store, &watch->held);
        if (watch->synchronized && !clock->off_pending)
                return;
        /* Where the timer cannot be set, the next lease that ends looks again. */
        (void) sd_event_source_set_time_relative(watch->clock_source, CLOCK_CHECK_USEC);
        (void) sd_event_source_set_enabled(watch->clock_source, SD_EVENT_ONESHOT);
}

static int on_clock(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct clock_watch *watch = userdata;

        clock_watch_look(watch);
        return 0;
}

void clock_watch_begin(struct clock_watch *watch)
{
        struct context *context = watch->context;

        /* Who had to wait for the start could not refresh meanwhile. A new database holds nothing. */
        if (!watch->begun && !store_is_new(context->store))
                lease_hold_begin(&watch->held, store_lease_now(context->store),
                                 context->config->restart_grace_usec);
        clock_watch_look(watch);
        if (!watch->begun && !watch->synchronized)
                log_warning("This machine's clock is behind where it was, or far ahead and not "
                            "synchronized: signatures are not judged by it.");
        watch->begun = true;
}

bool clock_watch_is_synchronized(const struct clock_watch *watch)
{
        return watch->synchronized;
}

int clock_watch_new(struct context *context, struct clock_watch **ret)
{
        _cleanup_(clock_watch_freep) struct clock_watch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->context = context;
        r = sd_event_add_time(context->event, &watch->clock_source, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_clock,
                              watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->clock_source, SD_EVENT_OFF);
        if (r >= 0)
                r = background_source_new(context->event, on_move, watch, &watch->move_source);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

struct clock_watch *clock_watch_free(struct clock_watch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->clock_source);
        sd_event_source_disable_unref(watch->move_source);
        free(watch);
        return NULL;
}
