/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What nsregctl can do. Each verb gets its own words (argv[0] is the verb) and returns 0 or negative, having
 * said what went wrong. */

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "nsregctl/json.h"
#include "nsregctl/table.h"

#define REGISTRY_SERVICE "org.nsreg.Registry1"
#define REGISTRY_PATH    "/org/nsreg/Registry1"
#define REGISTRY_MANAGER "org.nsreg.Registry1.Manager"
#define CLIENT_SERVICE   "org.nsreg.Client1"
#define CLIENT_PATH      "/org/nsreg/Client1"
#define CLIENT_MANAGER   "org.nsreg.Client1.Manager"

struct context {
        sd_bus *bus;
        enum output output;
        bool legend;
        bool block;
        const char *type; /* list: records of this type; NULL: names */
        bool prometheus;
        struct json *whole; /* tables become a part of this; may be NULL */
};

int verb_status(struct context *context, int argc, char *argv[]);
int verb_list(struct context *context, int argc, char *argv[]);
int verb_show(struct context *context, int argc, char *argv[]);
int verb_zones(struct context *context, int argc, char *argv[]);
int verb_upstreams(struct context *context, int argc, char *argv[]);
int verb_reserved(struct context *context, int argc, char *argv[]);
int verb_change(struct context *context, int argc, char *argv[]); /* revoke, withdraw, reserve, unreserve */
int verb_simple(struct context *context, int argc, char *argv[]); /* flush, reconcile, reload */
int verb_monitor(struct context *context, int argc, char *argv[]);
int verb_statistics(struct context *context, int argc, char *argv[]);
int verb_client(struct context *context, int argc, char *argv[]);

/* Records of context->type, of a zone or of names like this; both may be empty. */
int list_records(struct context *context, const char *zone, const char *glob);
/* All say so and return negative. */
int say_none_like(const char *glob);
int say_no_memory(void);
int say_unreadable(int r);
/* The table of the client's zones. */
int client_status(struct context *context);
/* An a(iayt): the addresses as one text, owned by the caller, and the earliest end of a lease. */
int read_addresses(sd_bus_message *message, char **ret, uint64_t *ret_end_usec);

/* As sd_bus_call_method(), but what does not run is not started: looking is no reason to. */
int call_method(struct context *context, const char *service, const char *path, const char *interface,
                const char *member, sd_bus_error *error, sd_bus_message **ret, const char *types, ...);
/* The answer is at the property's value. */
int call_get(struct context *context, const char *service, const char *path, const char *interface,
             const char *property, const char *type, sd_bus_error *error, sd_bus_message **ret);
/* A person may be asked for a password, a daemon may have work to do: waits for as long as it takes. */
void be_patient(struct context *context);
/* Says what a bus error means, and what to do; returns r. */
int report(const char *service, const sd_bus_error *error, int r);
/* All managed objects below "path": for each object that has "interface", calls back with the message inside
 * its a{sv}. A negative return ends it. */
typedef int (*object_callback)(void *userdata, const char *path, sd_bus_message *properties);
int each_object(struct context *context, const char *service, const char *path, const char *interface,
                object_callback callback, void *userdata);
/* Enters the next {sv}: 1 and the key, 0 at the end, or negative. Then the variant is read with
 * property_string() and the like, which leave it. */
int next_property(sd_bus_message *message, const char **ret_key);
int property_string(sd_bus_message *message, const char **ret);
int property_number(sd_bus_message *message, char type, uint64_t *ret);
int property_skip(sd_bus_message *message);
/* An "as" or "ao" joined by blanks; owned by the caller. */
int property_strings(sd_bus_message *message, char **ret);
