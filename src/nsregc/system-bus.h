/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The system bus, which may be absent, go, and come back. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "util/macro.h"

struct system_bus;

/* up: the connection was made (again): matches and names are to be set up. down: it is gone; everything that
 * hangs on it (slots) is to be let go before this returns. */
struct system_bus_ops {
        void (*up)(void *userdata, sd_bus *bus);
        void (*down)(void *userdata, sd_bus *bus);
};

int system_bus_new(sd_event *event, const struct system_bus_ops *ops, void *userdata,
                   struct system_bus **ret);
struct system_bus *system_bus_free(struct system_bus *bus);
DEFINE_CLEANUP(struct system_bus *, system_bus_free)

/* NULL while there is none. Borrowed. */
sd_bus *system_bus_get(struct system_bus *bus);
