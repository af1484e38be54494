/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/bus.h"
#include "bus/bus-authorize.h"
#include "bus/bus-connection.h"
#include "nsregd/bus-list.h"
#include "nsregd/bus-objects.h"
#include "util/log.h"

/* Expiries told one by one within a second; the rest is one number. */
#define EXPIRIES_PER_SECOND 10

struct bus {
        struct manager *manager;
        struct bus_connection *connection;
        struct bus_lists *lists;
        sd_event_source *expiry_source;
        unsigned n_expired; /* within this second */
        uint64_t n_untold;
};

/* --- reading --- */

static int on_list_registrations(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct manager *manager = userdata;

        return bus_list_registrations(manager->bus->lists, message, error);
}

static int on_list_reserved(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct manager *manager = userdata;

        return bus_list_reserved(manager->bus->lists, message, error);
}

static int on_get_registration(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *path = NULL;
        struct name_entry *entry;
        struct dns_name name;
        const char *text;
        int r;

        r = sd_bus_message_read(message, "s", &text);
        if (r >= 0)
                r = bus_find_name(userdata, text, &entry, error);
        if (r < 0)
                return r;
        name = name_entry_name(entry);
        r = bus_name_path(&name, &path);
        return r < 0 ? r : sd_bus_reply_method_return(message, "o", path);
}

/* --- changing --- */

static int administer(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *member = sd_bus_message_get_member(message), *text;
        enum bus_administration what;
        struct dns_name name;
        int block = false, r;

        r = sd_bus_message_read(message, "s", &text);
        if (r >= 0 && streq(member, "Revoke"))
                r = sd_bus_message_read(message, "b", &block);
        if (r >= 0)
                r = bus_parse_name(text, &name, error);
        if (r < 0)
                return r;
        if (streq(member, "Revoke"))
                what = block ? BUS_REVOKE_AND_BLOCK : BUS_REVOKE;
        else if (streq(member, "Withdraw"))
                what = BUS_WITHDRAW;
        else
                what = streq(member, "Reserve") ? BUS_RESERVE : BUS_UNRESERVE;
        return bus_administer(userdata, message, what, &name, error);
}

static int on_administer(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, administer, userdata);
}

static int flush(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct manager *manager = userdata;

        publisher_flush(manager->publisher);
        return sd_bus_reply_method_return(message, NULL);
}

static int on_flush(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, flush, userdata);
}

static int reconcile(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct manager *manager = userdata;
        int r = publisher_reconcile(manager->publisher, manager->registry);

        return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

static int on_reconcile(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, reconcile, userdata);
}

static int reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct manager *manager = userdata;
        _cleanup_free_ char *why = NULL;
        int r;

        r = manager_reload(manager, &why);
        if (r < 0)
                return sd_bus_error_setf(error, "org.nsreg.Error.InvalidConfiguration", "%s",
                                         why ?: strerror(-r));
        return sd_bus_reply_method_return(message, NULL);
}

static int on_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, reload, userdata);
}

/* --- properties --- */

static int append_statistics(sd_bus_message *reply, const struct manager *manager)
{
        const struct statistics *statistics = &manager->statistics;
        struct stream_statistics streams;
        struct store_statistics store;
        int r;

        stream_set_statistics(manager->streams, &streams);
        store_statistics(manager->store, &store);
        r = sd_bus_message_append(
                reply, "a{st}", 20, "requests", statistics->requests, "queries", statistics->queries,
                "claims", statistics->claims, "refreshes", statistics->refreshes, "changes",
                statistics->changes, "releases", statistics->releases, "expiries", statistics->expiries,
                "refusals", statistics->refusals, "verifications", statistics->verifications,
                "verification-failures", statistics->verification_failures, "connections-accepted",
                streams.accepted, "connections-refused", streams.refused, "connections-evicted",
                streams.evicted, "connection-timeouts", streams.timeouts, "replies-dropped",
                streams.replies_dropped, "waiting", (uint64_t) manager->n_requests, "store-transactions",
                store.transactions, "store-changes", store.changes, "store-failures", store.failures,
                "store-pending", store.pending);
        return r;
}

static int get_manager(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct manager *manager = userdata;
        struct stream_statistics streams;
        int r;

        if (streq(property, "Version"))
                return sd_bus_message_append(reply, "s", NSREG_VERSION);
        if (streq(property, "Registrations"))
                return sd_bus_message_append(reply, "t", manager->registry->n_names);
        if (streq(property, "Connections")) {
                stream_set_statistics(manager->streams, &streams);
                return sd_bus_message_append(reply, "u", streams.connections);
        }
        if (streq(property, "Statistics"))
                return append_statistics(reply, manager);
        r = sd_bus_message_open_container(reply, 'a', "o");
        for (size_t i = 0; i < manager->n_zones && r >= 0; i++) {
                _cleanup_free_ char *zone_path = NULL;

                r = bus_zone_path(manager->zones[i].zone, &zone_path);
                if (r >= 0)
                        r = sd_bus_message_append(reply, "o", zone_path);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_manager, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Zones", "ao", get_manager, 0, 0),
        SD_BUS_PROPERTY("Registrations", "t", get_manager, 0, 0),
        SD_BUS_PROPERTY("Connections", "u", get_manager, 0, 0),
        SD_BUS_PROPERTY("Statistics", "a{st}", get_manager, 0, 0),
        SD_BUS_METHOD_WITH_ARGS("ListRegistrations",
                                SD_BUS_ARGS("s", zone, "s", glob, "s", after, "u", limit),
                                SD_BUS_RESULT("a(sssqttsa(iayt)b)", registrations), on_list_registrations,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListReserved", SD_BUS_ARGS("s", after, "u", limit),
                                SD_BUS_RESULT("a(ss)", reserved), on_list_reserved,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetRegistration", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", registration),
                                on_get_registration, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Revoke", SD_BUS_ARGS("s", name, "b", block), SD_BUS_NO_RESULT, on_administer,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Withdraw", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, on_administer,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reserve", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, on_administer,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unreserve", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, on_administer,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Flush", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_flush,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reconcile", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_reconcile,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("NameClaimed", SD_BUS_ARGS("s", name, "s", source), 0),
        SD_BUS_SIGNAL_WITH_ARGS("NameReleased", SD_BUS_ARGS("s", name), 0),
        SD_BUS_SIGNAL_WITH_ARGS("NameExpired", SD_BUS_ARGS("s", name), 0),
        SD_BUS_SIGNAL_WITH_ARGS("NamesExpired", SD_BUS_ARGS("t", count), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ClaimRefused", SD_BUS_ARGS("s", name, "s", source, "s", reason), 0),
        SD_BUS_VTABLE_END,
};

/* --- signals --- */

static sd_bus *get_bus(struct bus *bus)
{
        return bus ? bus_connection_get(bus->connection) : NULL;
}

void bus_name_claimed(struct bus *bus, const struct dns_name *name, const struct address *source)
{
        char text[DNS_NAME_FORMAT_MAX], address[ADDRESS_FORMAT_MAX];

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, "NameClaimed", "ss",
                                          bus_name_text(name, text),
                                          source->family ? address_format(source, address) : "");
}

static void emit_name(struct bus *bus, const char *member, const struct dns_name *name)
{
        char text[DNS_NAME_FORMAT_MAX];

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, member, "s",
                                          bus_name_text(name, text));
}

void bus_name_released(struct bus *bus, const struct dns_name *name)
{
        emit_name(bus, "NameReleased", name);
}

static int on_expiry_second(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct bus *bus = userdata;

        if (get_bus(bus) && bus->n_untold > 0)
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, "NamesExpired", "t",
                                          bus->n_untold);
        bus->n_untold = 0;
        bus->n_expired = 0;
        return 0;
}

void bus_name_expired(struct bus *bus, const struct dns_name *name)
{
        if (!get_bus(bus))
                return;
        if (bus->n_expired++ == 0) {
                (void) sd_event_source_set_time_relative(bus->expiry_source, USEC_PER_SEC);
                (void) sd_event_source_set_enabled(bus->expiry_source, SD_EVENT_ONESHOT);
        }
        if (bus->n_expired <= EXPIRIES_PER_SECOND)
                emit_name(bus, "NameExpired", name);
        else
                bus->n_untold++;
}

void bus_name_changed(struct bus *bus, const struct dns_name *name)
{
        _cleanup_free_ char *path = NULL;

        if (get_bus(bus) && bus_name_path(name, &path) >= 0)
                (void) sd_bus_emit_properties_changed(get_bus(bus), path, BUS_REGISTRATION_INTERFACE,
                                                      "Addresses", NULL);
}

void bus_claim_refused(struct bus *bus, const struct dns_name *name, const struct address *source,
                       const struct decision *decision)
{
        char text[DNS_NAME_FORMAT_MAX], address[ADDRESS_FORMAT_MAX];

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, "ClaimRefused",
                                          "sss", name ? bus_name_text(name, text) : "",
                                          source->family ? address_format(source, address) : "",
                                          decision->text);
}

void bus_upstream_changed(struct bus *bus, const struct upstream *upstream)
{
        _cleanup_free_ char *path = NULL;

        if (get_bus(bus) && bus_upstream_path(upstream, &path) >= 0)
                (void) sd_bus_emit_properties_changed(get_bus(bus), path, BUS_UPSTREAM_INTERFACE, "State",
                                                      "LastError", NULL);
}

void bus_reload(struct bus *bus, bool done)
{
        if (get_bus(bus))
                bus_objects_emit(get_bus(bus), bus->manager, done);
}

/* --- connection --- */

static int on_name_requested(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *failure = sd_bus_message_get_error(reply);

        if (failure)
                log_warning(
                        "The bus name org.nsreg.Registry1 could not be had: %s. Is the bus policy installed?",
                        failure->message);
        return 0;
}

static void on_up(void *userdata, sd_bus *connection)
{
        struct bus *bus = userdata;
        int r;

        r = sd_bus_add_object_vtable(connection, NULL, BUS_PATH, BUS_MANAGER_INTERFACE, manager_vtable,
                                     bus->manager);
        if (r >= 0)
                r = bus_objects_add(connection, bus->manager);
        if (r >= 0)
                r = sd_bus_request_name_async(connection, NULL, "org.nsreg.Registry1", 0, on_name_requested,
                                              bus);
        if (r < 0)
                log_warning("The D-Bus interface could not be set up: %s.", strerror(-r));
}

static void on_down(void *userdata, sd_bus *connection)
{
        struct bus *bus = userdata;

        /* Everything else hangs on the connection and goes with it. */
        bus_lists_clear(bus->lists);
}

int bus_new(struct manager *manager, struct bus **ret)
{
        static const struct bus_connection_ops ops = { .up = on_up, .down = on_down };
        _cleanup_(bus_freep) struct bus *bus = calloc(1, sizeof(*bus));
        int r;

        if (!bus)
                return -ENOMEM;
        bus->manager = manager;
        r = sd_event_add_time(manager->event, &bus->expiry_source, CLOCK_MONOTONIC, 0, 100 * USEC_PER_MSEC,
                              on_expiry_second, bus);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->expiry_source, SD_EVENT_OFF);
        if (r >= 0)
                r = bus_lists_new(manager, &bus->lists);
        if (r >= 0)
                r = bus_connection_new(manager->event, &ops, bus, &bus->connection);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

struct bus *bus_free(struct bus *bus)
{
        if (!bus)
                return NULL;
        bus_connection_free(bus->connection);
        bus_lists_free(bus->lists);
        sd_event_source_disable_unref(bus->expiry_source);
        free(bus);
        return NULL;
}
