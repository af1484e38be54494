/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Says on the bus what logind says when the machine wakes. bus-tool woken */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

int main(int argc, char *argv[])
{
        sd_bus *bus = NULL;
        int r = -EINVAL;

        if (argc == 2 && strcmp(argv[1], "woken") == 0)
                r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.freedesktop.login1", 0);
        if (r >= 0)
                r = sd_bus_emit_signal(bus, "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
                                       "PrepareForSleep", "b", 0);
        if (r < 0)
                fprintf(stderr, "bus-tool: %s\n", strerror(-r));
        sd_bus_flush_close_unref(bus);
        return r < 0;
}
