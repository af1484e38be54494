/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* nsregd on the system bus: dbus/org.nsreg.Registry1.xml is the contract. Works without a bus and through its
 * restart; NULL is a bus that is not there. */

#include "dns/name.h"
#include "registry/decision.h"
#include "util/address.h"
#include "util/macro.h"

struct bus;
struct manager;
struct upstream;

int bus_new(struct manager *manager, struct bus **ret);
struct bus *bus_free(struct bus *bus);
DEFINE_CLEANUP(struct bus *, bus_free)

void bus_name_claimed(struct bus *bus, const struct dns_name *name, const struct address *source);
void bus_name_released(struct bus *bus, const struct dns_name *name);
void bus_name_expired(struct bus *bus, const struct dns_name *name);
/* The addresses of a name changed; leases and counters are no change. */
void bus_name_changed(struct bus *bus, const struct dns_name *name);
void bus_claim_refused(struct bus *bus, const struct dns_name *name, const struct address *source,
                       const struct decision *decision);
void bus_upstream_changed(struct bus *bus, const struct upstream *upstream);
/* To be called before what a reload replaces goes, and again when all of the new is there. */
void bus_reload(struct bus *bus, bool done);
