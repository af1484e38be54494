/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/bus-ask.h"

#include <systemd/sd-bus.h>

#define BUS_NAME          "org.nsreg.Client1"
#define BUS_PATH          "/org/nsreg/Client1"
#define MANAGER_INTERFACE BUS_NAME ".Manager"

struct bus_ask {
        sd_bus *bus;
};

static int name_has_owner(sd_bus *bus)
{
        sd_bus_message *reply = NULL;
        int has = false, r;

        r = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                               "NameHasOwner", NULL, &reply, "s", BUS_NAME);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &has);
        sd_bus_message_unref(reply);
        return r < 0 ? r : has;
}

int bus_ask_open(struct bus_ask **ret)
{
        _cleanup_(bus_ask_freep) struct bus_ask *ask = calloc(1, sizeof(*ask));
        int r;

        if (!ask)
                return -ENOMEM;
        if (sd_bus_open_system(&ask->bus) < 0)
                return -ENOENT;
        r = name_has_owner(ask->bus);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        /* It ends when the zones have answered, which may take as long as their time-outs. */
        r = sd_bus_set_method_call_timeout(ask->bus, UINT64_MAX);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ask);
        return 0;
}

struct bus_ask *bus_ask_free(struct bus_ask *ask)
{
        if (!ask)
                return NULL;
        sd_bus_flush_close_unref(ask->bus);
        free(ask);
        return NULL;
}

int bus_ask_run(struct bus_ask *ask, bool release, char **why)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(ask->bus, BUS_NAME, BUS_PATH, MANAGER_INTERFACE,
                               release ? "Release" : "Refresh", &error, NULL, NULL);
        if (r >= 0)
                r = sd_bus_call_method(ask->bus, BUS_NAME, BUS_PATH, MANAGER_INTERFACE, "Settle", &error,
                                       NULL, NULL);
        if (r < 0)
                *why = strdup(error.message ?: strerror(-r));
        sd_bus_error_free(&error);
        return r < 0 ? r : 0;
}

int bus_ask_record(struct bus_ask *ask, bool add, const char *below, const char *type, const char *data,
                   char **why)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call_method(ask->bus, BUS_NAME, BUS_PATH, MANAGER_INTERFACE,
                               add ? "AddRecord" : "RemoveRecord", &error, NULL, "sss", below, type, data);
        if (r < 0)
                *why = strdup(error.message ?: strerror(-r));
        sd_bus_error_free(&error);
        return r < 0 ? r : 0;
}
