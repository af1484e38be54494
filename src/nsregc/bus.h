/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* org.nsreg.Client1 (dbus/org.nsreg.Client1.xml): what the manager is doing, on the system bus. It watches
 * the manager, which is to be freed first. */

#include "util/macro.h"

struct client_bus;
struct manager;

int client_bus_new(struct manager *manager, struct client_bus **ret);
struct client_bus *client_bus_free(struct client_bus *bus);
DEFINE_CLEANUP(struct client_bus *, client_bus_free)
