/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/clock.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

struct clock_watch {
        sd_event_source *source;
        int fd;
        void (*changed)(void *userdata);
        void *userdata;
};

/* A timer that never comes: it is woken only by being cancelled. */
static int arm(struct clock_watch *watch)
{
        struct itimerspec never = { .it_value.tv_sec = (time_t) (INT64_MAX / 2000000000) };

        if (timerfd_settime(watch->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0)
                return -errno;
        return 0;
}

static int on_cancelled(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct clock_watch *watch = userdata;
        uint64_t ticks;

        (void) !read(fd, &ticks, sizeof(ticks));
        if (arm(watch) < 0)
                watch->source = sd_event_source_disable_unref(watch->source);
        watch->changed(watch->userdata);
        return 0;
}

int clock_watch_new(sd_event *event, void (*changed)(void *userdata), void *userdata,
                    struct clock_watch **ret)
{
        _cleanup_(clock_watch_freep) struct clock_watch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->changed = changed;
        watch->userdata = userdata;
        watch->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        if (watch->fd < 0)
                return -errno;
        r = arm(watch);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &watch->source, watch->fd, EPOLLIN, on_cancelled, watch);
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
        closep(&watch->fd);
        free(watch);
        return NULL;
}
