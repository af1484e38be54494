/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bus/bus-connection.h"

#include "util/log.h"
#include "util/time.h"

#define ADDRESS_DEFAULT "unix:path=/run/dbus/system_bus_socket"
#define RETRY_USEC      (5 * USEC_PER_SEC)
#define ACCURACY_USEC   USEC_PER_SEC

struct bus_connection {
        sd_event *event;
        sd_bus *bus;
        bool ready;
        sd_event_source *retry;
        sd_bus_slot *connected, *disconnected, *sleep;
        const struct bus_connection_ops *ops;
        void *userdata;
};

static void bus_open(struct bus_connection *bus);

static void bus_drop(struct bus_connection *bus)
{
        bool was_ready = bus->ready;

        bus->ready = false;
        if (was_ready)
                bus->ops->down(bus->userdata, bus->bus);
        bus->sleep = sd_bus_slot_unref(bus->sleep);
        bus->connected = sd_bus_slot_unref(bus->connected);
        bus->disconnected = sd_bus_slot_unref(bus->disconnected);
        if (bus->bus) {
                sd_bus_detach_event(bus->bus);
                bus->bus = sd_bus_close_unref(bus->bus);
        }
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct bus_connection *bus = userdata;

        bus_drop(bus);
        bus_open(bus);
        return 0;
}

static void retry_later(struct bus_connection *bus, usec_t delay)
{
        bus->retry = sd_event_source_disable_unref(bus->retry);
        (void) sd_event_add_time_relative(bus->event, &bus->retry, CLOCK_MONOTONIC, delay, ACCURACY_USEC,
                                          on_retry, bus);
}

static int on_prepare_for_sleep(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct bus_connection *bus = userdata;
        int asleep;

        if (sd_bus_message_read(message, "b", &asleep) >= 0 && !asleep)
                bus->ops->woken(bus->userdata);
        return 0;
}

static int on_connected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct bus_connection *bus = userdata;

        bus->ready = true;
        if (bus->ops->woken)
                (void) sd_bus_match_signal_async(bus->bus, &bus->sleep, "org.freedesktop.login1",
                                                 "/org/freedesktop/login1", "org.freedesktop.login1.Manager",
                                                 "PrepareForSleep", on_prepare_for_sleep, NULL, bus);
        bus->ops->up(bus->userdata, bus->bus);
        return 0;
}

/* Not dropped here, within its own dispatch, but in the loop's next turn. */
static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct bus_connection *bus = userdata;

        log_debug("system bus: disconnected");
        retry_later(bus, USEC_PER_SEC);
        return 0;
}

static int bus_try(struct bus_connection *bus)
{
        const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
        int r;

        r = sd_bus_new(&bus->bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus->bus, address && address[0] ? address : ADDRESS_DEFAULT);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus->bus, true);
        if (r < 0)
                return r;
        r = sd_bus_set_exit_on_disconnect(bus->bus, false);
        if (r < 0)
                return r;
        /* A bus that is not there yet is waited for, without polling. */
        r = sd_bus_set_watch_bind(bus->bus, true);
        if (r < 0)
                return r;
        r = sd_bus_set_connected_signal(bus->bus, true);
        if (r < 0)
                return r;
        r = sd_bus_start(bus->bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus->bus, bus->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(bus->bus, &bus->connected, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Connected", on_connected, NULL, bus);
        if (r < 0)
                return r;
        return sd_bus_match_signal_async(bus->bus, &bus->disconnected, "org.freedesktop.DBus.Local",
                                         "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                         "Disconnected", on_disconnected, NULL, bus);
}

static void bus_open(struct bus_connection *bus)
{
        int r = bus_try(bus);

        if (r < 0) {
                log_debug("system bus: %s", strerror(-r));
                bus_drop(bus);
                /* Where not even the directory of its socket exists there will hardly ever be one. */
                if (r != -ENOENT)
                        retry_later(bus, RETRY_USEC);
        }
}

int bus_connection_new(sd_event *event, const struct bus_connection_ops *ops, void *userdata,
                       struct bus_connection **ret)
{
        struct bus_connection *bus = calloc(1, sizeof(*bus));

        if (!bus)
                return -ENOMEM;
        bus->event = sd_event_ref(event);
        bus->ops = ops;
        bus->userdata = userdata;
        bus_open(bus);
        *ret = bus;
        return 0;
}

struct bus_connection *bus_connection_free(struct bus_connection *bus)
{
        if (!bus)
                return NULL;
        sd_event_source_disable_unref(bus->retry);
        bus_drop(bus);
        sd_event_unref(bus->event);
        free(bus);
        return NULL;
}

sd_bus *bus_connection_get(struct bus_connection *bus)
{
        return bus && bus->ready ? bus->bus : NULL;
}
