/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells when the wall clock was set: by a person, by time synchronisation, or on waking from sleep. */

#include <systemd/sd-event.h>

#include "util/macro.h"

struct clock_watch;

int clock_watch_new(sd_event *event, void (*changed)(void *userdata), void *userdata,
                    struct clock_watch **ret);
struct clock_watch *clock_watch_free(struct clock_watch *watch);
DEFINE_CLEANUP(struct clock_watch *, clock_watch_free)
