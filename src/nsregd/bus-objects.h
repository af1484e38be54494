/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The objects below the context's: zones, upstreams, names. Found when they are asked for, so that nothing is
 * kept for them. For bus.c only. */

#include <systemd/sd-bus.h>

#include "nsregd/context.h"
#include "upstream/publisher.h"

#define BUS_PATH          "/org/nsreg/Registry1"
#define BUS_ZONE_PATH     BUS_PATH "/zone"
#define BUS_UPSTREAM_PATH BUS_PATH "/upstream"
#define BUS_NAME_PATH     BUS_PATH "/name"

#define BUS_MANAGER_INTERFACE      "org.nsreg.Registry1.Manager"
#define BUS_ZONE_INTERFACE         "org.nsreg.Registry1.Zone"
#define BUS_UPSTREAM_INTERFACE     "org.nsreg.Registry1.Upstream"
#define BUS_REGISTRATION_INTERFACE "org.nsreg.Registry1.Registration"

#define BUS_ACTION "org.nsreg.manage"

/* Adds vtables, enumerators and object managers; the slots float. 0 or -errno. */
int bus_objects_add(sd_bus *bus, struct context *context);

/* Tells those who watch the tree that zones and upstreams come, or (before they are freed) go. */
void bus_objects_emit(sd_bus *bus, struct context *context, bool come);

/* As people write it: without the final dot; the root keeps it. Returns text. */
char *bus_name_text(const struct dns_name *name, char text[static DNS_NAME_FORMAT_MAX]);

/* Paths are owned by the caller. 0 or -ENOMEM. */
int bus_zone_path(const struct registry_zone *zone, char **ret);
int bus_upstream_path(const struct upstream *upstream, char **ret);
int bus_name_path(const struct dns_name *name, char **ret);

/* "a(iayt)" of a name. */
int bus_append_addresses(sd_bus_message *message, const struct context *context,
                         const struct name_state *state);
/* Name, type, data, end of the lease; "named": the registration's name before these. */
int bus_append_record(sd_bus_message *message, const struct context *context, const struct dns_name *host,
                      const struct record *record, bool named);
/* A lease's end as real time. */
uint64_t bus_real_usec(const struct context *context, usec_t lease_usec);
/* Is a name as it should be at all upstreams of its zone. */
bool bus_is_published(const struct name_entry *entry);

/* Parses and looks up; negative with the error filled in: InvalidName, NoSuchZone, NoSuchName. */
int bus_parse_name(const char *text, struct dns_name *ret, sd_bus_error *error);
int bus_find_name(struct context *context, const char *text, struct name_entry **ret, sd_bus_error *error);

/* Administrative methods, continued when they are allowed: "name" and "block" are read by the caller. */
enum bus_administration {
        BUS_REVOKE,
        BUS_REVOKE_AND_BLOCK,
        BUS_WITHDRAW,
        BUS_RESERVE,
        BUS_UNRESERVE,
};
int bus_administer(struct context *context, sd_bus_message *message, enum bus_administration what,
                   const struct dns_name *name, sd_bus_error *error);
