/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/clock-watch.h"
#include "nsregd/context.h"
#include "util/log.h"

#define CLOCK_CHECK_USEC (30 * USEC_PER_SEC)

struct clock_watch {
        struct context *context;
        sd_event_source *source;
        bool synchronized;
        usec_t keys_held_until_usec; /* lease clock; 0: not held */
};

/* After a reboot with a clock that cannot be believed, ownership is not lost by time: not before the clock is
 * synchronized, or a day has passed. A machine whose clock nobody synchronizes is believed as long as its
 * clock goes forward. */
void clock_watch_begin(struct clock_watch *watch)
{
        const struct lease_clock *clock = store_clock(watch->context->store);
        struct lease_clock_now now;

        lease_clock_read_now(&now);
        watch->synchronized = now.synchronized || !clock->doubtful;
        if (watch->synchronized)
                watch->keys_held_until_usec = 0;
        else if (watch->keys_held_until_usec == 0) {
                watch->keys_held_until_usec = lease_clock_at(clock, now.boottime_usec) + KEYS_HELD_USEC;
                log_warning("This machine's clock is behind where it was, or far ahead and not synchronized: "
                            "no key lease ends for a day, or until it is synchronized.");
        }
        registry_hold_keys(watch->context->registry, watch->keys_held_until_usec);
        if (watch->synchronized)
                return;
        /* A source that exists is set without memory. */
        (void) sd_event_source_set_time_relative(watch->source, CLOCK_CHECK_USEC);
        (void) sd_event_source_set_enabled(watch->source, SD_EVENT_ONESHOT);
}

static int on_clock(sd_event_source *source, uint64_t usec, void *userdata)
{
        clock_watch_begin(userdata);
        return 0;
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
        r = sd_event_add_time(context->event, &watch->source, CLOCK_BOOTTIME, 0, USEC_PER_SEC, on_clock,
                              watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

struct clock_watch *clock_watch_free(struct clock_watch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->source);
        free(watch);
        return NULL;
}
