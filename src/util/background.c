/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <assert.h>

#include "util/background.h"
#include "util/macro.h"

int background_source_new(sd_event *event, sd_event_time_handler_t slice, void *userdata,
                          sd_event_source **ret)
{
        sd_event_source *source;
        int r;

        r = sd_event_add_time(event, &source, CLOCK_MONOTONIC, 0, 1, slice, userdata);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (r < 0) {
                sd_event_source_disable_unref(source);
                return r;
        }
        *ret = source;
        return 0;
}

void background_source_wake(sd_event_source *source)
{
        int r;

        /* Pending: it keeps its turn. An error: the loop has finished, and nothing has a turn. */
        if (sd_event_source_get_pending(source) != 0)
                return;
        r = sd_event_source_set_time(source, 0);
        assert(r >= 0);
        r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        assert(r >= 0);
}
