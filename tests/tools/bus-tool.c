/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* bus-tool woken: says on the bus what logind says when the machine wakes.
 *
 * bus-tool flood COUNT: asks for so many pages of registrations at once, and tells how many were made, how
 * many refused for being too many, and how many failed otherwise.
 *
 * bus-tool change COUNT: likewise, for what only an administrator may do.
 *
 * bus-tool tree COUNT: likewise, for all the names there are.
 *
 * bus-tool leave COUNT: asks for pages, and is gone. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

static unsigned n_made, n_refused, n_failed;

static int on_page(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        if (!sd_bus_message_is_method_error(reply, NULL))
                n_made++;
        else if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_LIMITS_EXCEEDED))
                n_refused++;
        else
                n_failed++;
        return 0;
}

enum question { PAGES, CHANGES, TREES };

static int ask_one(sd_bus *bus, enum question what)
{
        static const char service[] = "org.nsreg.Registry1", root[] = "/org/nsreg/Registry1",
                          manager[] = "org.nsreg.Registry1.Manager";

        switch (what) {
        case PAGES:
                return sd_bus_call_method_async(bus, NULL, service, root, manager, "ListRegistrations",
                                                on_page, NULL, "sssu", "", "", "", 0);
        case CHANGES:
                return sd_bus_call_method_async(bus, NULL, service, root, manager, "Flush", on_page, NULL,
                                                NULL);
        case TREES:
                return sd_bus_call_method_async(bus, NULL, service, "/org/nsreg/Registry1/name",
                                                "org.freedesktop.DBus.Introspectable", "Introspect", on_page,
                                                NULL, NULL);
        }
        return -EINVAL;
}

static int ask(sd_bus *bus, unsigned count, enum question what)
{
        int r = 0;

        for (unsigned i = 0; i < count && r >= 0; i++)
                r = ask_one(bus, what);
        return r < 0 ? r : sd_bus_flush(bus);
}

/* A bus lets nobody wait for more answers than this, by its default. */
#define OUTSTANDING 100

static int flood(sd_bus *bus, unsigned count, enum question what)
{
        unsigned n_asked = 0, n_answered = 0;
        int r = 0;

        while (r >= 0 && n_answered < count) {
                for (; r >= 0 && n_asked < count && n_asked - n_answered < OUTSTANDING; n_asked++)
                        r = ask_one(bus, what);
                if (r >= 0)
                        r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
                n_answered = n_made + n_refused + n_failed;
        }
        printf("%u %u %u\n", n_made, n_refused, n_failed);
        return r;
}

static int say_woken(sd_bus *bus)
{
        int r = sd_bus_request_name(bus, "org.freedesktop.login1", 0);

        return r < 0 ? r
                     : sd_bus_emit_signal(bus, "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
                                          "PrepareForSleep", "b", 0);
}

int main(int argc, char *argv[])
{
        sd_bus *bus = NULL;
        int r = sd_bus_open_system(&bus);

        if (r >= 0) {
                if (argc == 2 && strcmp(argv[1], "woken") == 0)
                        r = say_woken(bus);
                else if (argc == 3 && strcmp(argv[1], "flood") == 0)
                        r = flood(bus, (unsigned) atoi(argv[2]), PAGES);
                else if (argc == 3 && strcmp(argv[1], "change") == 0)
                        r = flood(bus, (unsigned) atoi(argv[2]), CHANGES);
                else if (argc == 3 && strcmp(argv[1], "tree") == 0)
                        r = flood(bus, (unsigned) atoi(argv[2]), TREES);
                else if (argc == 3 && strcmp(argv[1], "leave") == 0)
                        r = ask(bus, (unsigned) atoi(argv[2]), PAGES);
                else
                        r = -EINVAL;
        }
        if (r < 0)
                fprintf(stderr, "bus-tool: %s\n", strerror(-r));
        sd_bus_flush_close_unref(bus);
        return r < 0;
}
