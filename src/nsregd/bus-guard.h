/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* No connection of the bus keeps the others waiting: while there is more to do than can be done, each has so
 * many calls a second, and is told so beyond them before anything is done. For bus.c only. */

#include <systemd/sd-bus.h>

#include "nsregd/context.h"

/* The slot floats. 0 or -errno. */
int bus_guard_add(sd_bus *bus, struct context *context);
