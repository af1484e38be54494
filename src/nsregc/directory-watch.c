/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/directory-watch.h"

#include <fnmatch.h>
#include <sys/inotify.h>

struct directory_watch {
        sd_event_source *source;
        const char *pattern;
        void (*changed)(void *userdata);
        void *userdata;
};

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        struct directory_watch *watch = userdata;

        if ((event->mask & IN_Q_OVERFLOW) ||
            (event->len > 0 && fnmatch(watch->pattern, event->name, FNM_PERIOD) == 0))
                watch->changed(watch->userdata);
        return 0;
}

int directory_watch_new(sd_event *event, const char *directory, const char *pattern,
                        void (*changed)(void *userdata), void *userdata, struct directory_watch **ret)
{
        _cleanup_(directory_watch_freep) struct directory_watch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->pattern = pattern;
        watch->changed = changed;
        watch->userdata = userdata;
        r = sd_event_add_inotify(event, &watch->source, directory,
                                 IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR,
                                 on_inotify, watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

struct directory_watch *directory_watch_free(struct directory_watch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->source);
        free(watch);
        return NULL;
}
