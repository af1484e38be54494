/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may change something: root, the user that the daemon runs as, or whoever polkit says. All questions are
 * asked asynchronously. */

#include <systemd/sd-bus.h>

/* Continues a method call that was allowed. Returns as a method handler does: negative, with the error filled
 * in, replies with it; else the callee has replied or will. */
typedef int (*bus_allowed)(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* Asks, then calls "allowed", or replies AccessDenied. For use as "return bus_authorize(...);" in a method
 * handler: 1 or negative. "userdata" must live as long as the bus connection. */
int bus_authorize(sd_bus_message *message, const char *action, bus_allowed allowed, void *userdata);
