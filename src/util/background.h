/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Work on many names, done in slices beside everything else. A defer source does not do for it: one stays
 * pending since it was made, so that each slice would go before every message that came meanwhile. A timer
 * that is due becomes pending when it is woken, and takes its turn. */

#include <systemd/sd-event.h>

/* Off until it is woken; *ret is owned by the caller (sd_event_source_disable_unref). 0 or -errno. */
int background_source_new(sd_event *event, sd_event_time_handler_t slice, void *userdata,
                          sd_event_source **ret);

/* One slice, as soon as those have had their turn that wait by now. A slice that leaves something to do
 * wakes its source again. Takes no memory. */
void background_source_wake(sd_event_source *source);
