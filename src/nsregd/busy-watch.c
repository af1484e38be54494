/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/busy-watch.h"
#include "nsregd/context.h"

#define WINDOW_USEC (20 * USEC_PER_MSEC)
/* A loop that waits for less of its time than this per cent is busy. */
#define IDLE_PERCENT 25

struct busy_watch {
        struct context *context;
        sd_event_source *source; /* never comes; for its being asked before the loop sleeps */
        usec_t window_usec;      /* since when it is counted */
        usec_t asleep_usec;      /* when the loop went to sleep last; 0: not yet */
        usec_t idle_usec;        /* slept within the window */
};

static int on_prepare(sd_event_source *source, void *userdata)
{
        struct busy_watch *watch = userdata;
        usec_t now = now_usec(CLOCK_MONOTONIC);
        uint64_t woken;

        if (watch->asleep_usec > 0 && sd_event_now(watch->context->event, CLOCK_MONOTONIC, &woken) == 0 &&
            woken > watch->asleep_usec)
                watch->idle_usec += woken - watch->asleep_usec;
        watch->asleep_usec = now;
        if (now - watch->window_usec < WINDOW_USEC)
                return 0;
        quota_set_busy(watch->context->quota,
                       watch->idle_usec * 100 < (now - watch->window_usec) * IDLE_PERCENT);
        watch->window_usec = now;
        watch->idle_usec = 0;
        return 0;
}

static int on_never(sd_event_source *source, uint64_t usec, void *userdata)
{
        return 0;
}

int busy_watch_new(struct context *context, struct busy_watch **ret)
{
        _cleanup_(busy_watch_freep) struct busy_watch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->context = context;
        watch->window_usec = now_usec(CLOCK_MONOTONIC);
        r = sd_event_add_time(context->event, &watch->source, CLOCK_MONOTONIC, USEC_INFINITY, USEC_PER_SEC,
                              on_never, watch);
        if (r >= 0)
                r = sd_event_source_set_prepare(watch->source, on_prepare);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

struct busy_watch *busy_watch_free(struct busy_watch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->source);
        free(watch);
        return NULL;
}
