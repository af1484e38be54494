/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The system bus, which may be absent, go, and come back. */

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "util/macro.h"

struct bus_connection;

/* up: the connection was made (again): matches and names are to be set up. down: it is gone; everything that
 * hangs on it (slots) is to be let go before this returns. */
struct bus_connection_ops {
        void (*up)(void *userdata, sd_bus *bus);
        void (*down)(void *userdata, sd_bus *bus);
        void (*woken)(void *userdata); /* the machine slept, as logind tells; may be NULL */
};

int bus_connection_new(sd_event *event, const struct bus_connection_ops *ops, void *userdata,
                       struct bus_connection **ret);
struct bus_connection *bus_connection_free(struct bus_connection *bus);
DEFINE_CLEANUP(struct bus_connection *, bus_connection_free)

/* NULL while there is none. Borrowed. */
sd_bus *bus_connection_get(struct bus_connection *bus);
