/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* nsregd on the system bus: dbus/org.nsreg.Registry1.xml is the contract. Works without a bus and through its
 * restart; NULL is a bus that is not there. */

#include "util/macro.h"

struct bus;
struct context;

int bus_new(struct context *context, struct bus **ret);
struct bus *bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus *, bus_free)
