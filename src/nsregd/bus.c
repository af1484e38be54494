/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "bus/bus-authorize.h"
#include "bus/bus-connection.h"
#include "net/stream-set.h"
#include "nsregd/announce.h"
#include "nsregd/bus-guard.h"
#include "nsregd/bus-list.h"
#include "nsregd/bus-objects.h"
#include "nsregd/bus.h"
#include "nsregd/import.h"
#include "nsregd/left-over.h"
#include "nsregd/name-lock.h"
#include "nsregd/reload.h"
#include "nsregd/undo.h"
#include "nsregd/zones.h"
#include "upstream/publisher.h"
#include "util/log.h"

struct bus {
        struct context *context;
        struct bus_connection *connection;
        struct bus_lists *lists;
        struct observer observer;
};

/* --- reading --- */

static int on_list_registrations(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct context *context = userdata;

        return bus_list_registrations(context->bus->lists, message, error);
}

static int on_list_records(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const struct context *context = userdata;

        return bus_list_records(context->bus->lists, message, error);
}

static int on_list_reserved(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct context *context = userdata;

        return bus_list_reserved(context->bus->lists, message, error);
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

static int abandon_import(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct context *context = userdata;
        struct served_zone *served;
        struct dns_name name;
        const char *text;
        int r;

        r = sd_bus_message_read(message, "s", &text);
        if (r >= 0)
                r = bus_parse_name(text, &name, error);
        if (r < 0)
                return r;
        served = zones_serving(context->zones, &name);
        if (!served)
                return sd_bus_error_setf(error, "org.nsreg.Error.NoSuchZone", "Zone %s is not served here",
                                         text);
        if (!served->claims_held)
                return sd_bus_error_setf(error, "org.nsreg.Error.Already",
                                         "No key file of zone %s waits to be imported", text);
        r = import_abandon(context, served->zone);
        return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

static int on_abandon_import(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, abandon_import, userdata);
}

static int forget(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const struct context *context = userdata;
        const char *upstream;
        int r;

        r = sd_bus_message_read(message, "s", &upstream);
        if (r >= 0)
                r = left_over_forget(context->left_over, upstream);
        if (r == -EBUSY)
                return sd_bus_error_setf(error, "org.nsreg.Error.InUse", "Upstream %s is configured",
                                         upstream);
        if (r == -ENOENT)
                return sd_bus_error_setf(error, "org.nsreg.Error.NoSuchUpstream",
                                         "Nothing is left over at an upstream %s", upstream);
        return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

static int on_forget(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, forget, userdata);
}

static int flush(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct context *context = userdata;

        undos_lift_blocks(context->undos);
        publisher_flush(context->publisher);
        return sd_bus_reply_method_return(message, NULL);
}

static int on_flush(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, flush, userdata);
}

static int reconcile(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct context *context = userdata;
        int r;

        undos_lift_blocks(context->undos);
        r = publisher_reconcile(context->publisher, context->registry);
        return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
}

static int on_reconcile(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, reconcile, userdata);
}

static void on_reloaded(void *userdata, int error, const char *why)
{
        sd_bus_message *message = userdata;

        /* To a caller that has left there is nothing to say. */
        if (error < 0)
                (void) sd_bus_reply_method_errorf(message, "org.nsreg.Error.InvalidConfiguration", "%s",
                                                  why ?: strerror(-error));
        else
                (void) sd_bus_reply_method_return(message, NULL);
        sd_bus_message_unref(message);
}

static int reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct context *context = userdata;
        int r;

        r = reload_begin(context->reload, on_reloaded, sd_bus_message_ref(message));
        if (r >= 0)
                return 1;
        sd_bus_message_unref(message);
        return r;
}

static int on_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, reload, userdata);
}

/* --- properties --- */

static int append_statistics(sd_bus_message *reply, const struct context *context)
{
        const struct statistics *statistics = &context->statistics;
        struct stream_statistics streams;
        struct store_statistics store;
        int r;

        stream_set_statistics(context->streams, &streams);
        store_statistics(context->store, &store);
        r = sd_bus_message_append(
                reply, "a{st}", 26, "requests", statistics->requests, "queries", statistics->queries,
                "claims", statistics->claims, "refreshes", statistics->refreshes, "changes",
                statistics->changes, "releases", statistics->releases, "expiries", statistics->expiries,
                "refusals", statistics->refusals, "verifications", statistics->verifications,
                "verification-failures", statistics->verification_failures, "connections-accepted",
                streams.accepted, "connections-refused", streams.refused, "connections-evicted",
                streams.evicted, "connection-timeouts", streams.timeouts, "replies-dropped",
                streams.replies_dropped, "waiting", (uint64_t) context->n_requests, "store-transactions",
                store.transactions, "store-changes", store.changes, "store-failures", store.failures,
                "store-pending", store.pending, "store-retried", store.retried, "store-rebuilt",
                store.rebuilt, "store-failing", (uint64_t) (store.failing_usec > 0), "sources",
                (uint64_t) quota_sources(context->quota), "names-locked",
                (uint64_t) name_locks_count(context->locks), "publications-awaited",
                (uint64_t) publisher_waiting(context->publisher));
        return r;
}

static int get_manager(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct context *context = userdata;
        struct stream_statistics streams;
        const struct served_zone *served;
        int r;

        if (streq(property, "Version"))
                return sd_bus_message_append(reply, "s", NSREG_VERSION);
        if (streq(property, "Registrations"))
                return sd_bus_message_append(reply, "t", context->registry->n_names);
        if (streq(property, "Connections")) {
                stream_set_statistics(context->streams, &streams);
                return sd_bus_message_append(reply, "u", streams.connections);
        }
        if (streq(property, "Statistics"))
                return append_statistics(reply, context);
        r = sd_bus_message_open_container(reply, 'a', "o");
        LIST_FOREACH (served, zones_list(context->zones), zones) {
                _cleanup_free_ char *zone_path = NULL;

                if (r < 0)
                        break;
                if (served->joining)
                        continue;
                r = bus_zone_path(served->zone, &zone_path);
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
        SD_BUS_METHOD_WITH_ARGS(
                "ListRecords", SD_BUS_ARGS("s", zone, "s", glob, "s", after, "q", type, "u", limit),
                SD_BUS_RESULT("a(ssqayt)", records), on_list_records, SD_BUS_VTABLE_UNPRIVILEGED),
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
        SD_BUS_METHOD_WITH_ARGS("AbandonImport", SD_BUS_ARGS("s", zone), SD_BUS_NO_RESULT, on_abandon_import,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ForgetUpstream", SD_BUS_ARGS("s", upstream), SD_BUS_NO_RESULT, on_forget,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Flush", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_flush,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reconcile", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_reconcile,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("NameClaimed", SD_BUS_ARGS("s", name, "s", source), 0),
        SD_BUS_SIGNAL_WITH_ARGS("KeyChanged", SD_BUS_ARGS("s", name, "s", fingerprint), 0),
        SD_BUS_SIGNAL_WITH_ARGS("NameReleased", SD_BUS_ARGS("s", name), 0),
        SD_BUS_SIGNAL_WITH_ARGS("NameExpired", SD_BUS_ARGS("s", name), 0),
        SD_BUS_SIGNAL_WITH_ARGS("NamesExpired", SD_BUS_ARGS("t", count), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ClaimRefused", SD_BUS_ARGS("s", name, "s", source, "s", reason), 0),
        SD_BUS_VTABLE_END,
};

/* --- signals --- */

/* Signals that a bus has not taken, beyond which there are no more: one that has stopped is told what is when
 * it asks. */
#define SIGNALS_UNSENT_MAX 256
/* Octets, as the kernel counts them: it takes 16 MB, three quarters of a kB for the smallest one. */
#define SIGNALS_UNREAD_MAX (1024 * 1024)

static bool is_stuck(sd_bus *connection)
{
        uint64_t n = 0;
        int unread;

        return (sd_bus_get_n_queued_write(connection, &n) >= 0 && n > SIGNALS_UNSENT_MAX) ||
               (ioctl(sd_bus_get_fd(connection), SIOCOUTQ, &unread) >= 0 && unread > SIGNALS_UNREAD_MAX);
}

/* NULL: nobody listens. */
static sd_bus *get_bus(struct bus *bus)
{
        sd_bus *connection = bus ? bus_connection_get(bus->connection) : NULL;

        return connection && !is_stuck(connection) ? connection : NULL;
}

/* A signal that cannot be sent is lost, as signals are. */
static void on_claimed(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        char text[DNS_NAME_FORMAT_MAX], address[ADDRESS_FORMAT_MAX];
        struct bus *bus = userdata;

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, "NameClaimed", "ss",
                                          bus_name_text(name, text),
                                          state->source.family ? address_format(&state->source, address)
                                                               : "");
}

static void emit_name(struct bus *bus, const char *member, const struct dns_name *name)
{
        char text[DNS_NAME_FORMAT_MAX];

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, member, "s",
                                          bus_name_text(name, text));
}

static void on_released(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        emit_name(userdata, "NameReleased", name);
}

static void on_expired(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        emit_name(userdata, "NameExpired", name);
}

static void on_expired_besides(void *userdata, uint64_t n)
{
        struct bus *bus = userdata;

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, "NamesExpired", "t",
                                          n);
}

/* Leases and counters are no change. */
static void emit_registration_changed(struct bus *bus, const struct dns_name *name, const char *property)
{
        _cleanup_free_ char *path = NULL;

        if (get_bus(bus) && bus_name_path(name, &path) >= 0)
                (void) sd_bus_emit_properties_changed(get_bus(bus), path, BUS_REGISTRATION_INTERFACE,
                                                      property, NULL);
}

static void on_addresses_changed(void *userdata, const struct dns_name *name)
{
        emit_registration_changed(userdata, name, "Addresses");
}

static void on_key_changed(void *userdata, const struct dns_name *name, const struct name_state *state)
{
        char text[DNS_NAME_FORMAT_MAX], fingerprint[DNS_KEY_FINGERPRINT_MAX];
        struct bus *bus = userdata;

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, "KeyChanged", "ss",
                                          bus_name_text(name, text),
                                          dns_key_fingerprint(state->key, fingerprint));
}

static void on_records_changed(void *userdata, const struct dns_name *name)
{
        emit_registration_changed(userdata, name, "Records");
}

static void on_refused(void *userdata, const struct dns_name *name, const struct address *source,
                       const struct decision *decision, bool owner_mismatch)
{
        char text[DNS_NAME_FORMAT_MAX], address[ADDRESS_FORMAT_MAX];
        struct bus *bus = userdata;

        if (get_bus(bus))
                (void) sd_bus_emit_signal(get_bus(bus), BUS_PATH, BUS_MANAGER_INTERFACE, "ClaimRefused",
                                          "sss", name ? bus_name_text(name, text) : "",
                                          source->family ? address_format(source, address) : "",
                                          decision->text);
}

static void emit_upstream(struct bus *bus, const struct upstream *upstream)
{
        _cleanup_free_ char *path = NULL;

        if (get_bus(bus) && bus_upstream_path(upstream, &path) >= 0)
                (void) sd_bus_emit_properties_changed(get_bus(bus), path, BUS_UPSTREAM_INTERFACE, "State",
                                                      "LastError", NULL);
}

static void on_upstream_changed(void *userdata, const struct upstream *upstream, const char *reason)
{
        emit_upstream(userdata, upstream);
}

static void on_upstream_drained(void *userdata, const struct upstream *upstream)
{
        emit_upstream(userdata, upstream);
}

static void on_reconfigured(void *userdata, bool done)
{
        struct bus *bus = userdata;

        if (get_bus(bus))
                bus_objects_emit(get_bus(bus), bus->context, done);
}

static const struct observer_ops observer_ops = {
        .claimed = on_claimed,
        .released = on_released,
        .expired = on_expired,
        .expired_besides = on_expired_besides,
        .addresses_changed = on_addresses_changed,
        .key_changed = on_key_changed,
        .records_changed = on_records_changed,
        .refused = on_refused,
        .upstream_changed = on_upstream_changed,
        .upstream_drained = on_upstream_drained,
        .reconfigured = on_reconfigured,
};

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
                                     bus->context);
        if (r >= 0)
                r = bus_guard_add(connection, bus->context);
        if (r >= 0)
                r = bus_objects_add(connection, bus->context);
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

int bus_new(struct context *context, struct bus **ret)
{
        static const struct bus_connection_ops ops = { .up = on_up, .down = on_down };
        _cleanup_(bus_freep) struct bus *bus = calloc(1, sizeof(*bus));
        int r;

        if (!bus)
                return -ENOMEM;
        bus->context = context;
        bus->observer = (struct observer){ .ops = &observer_ops, .userdata = bus };
        announcer_add(context->announcer, &bus->observer);
        r = bus_lists_new(context, &bus->lists);
        if (r >= 0)
                r = bus_connection_new(context->event, &ops, bus, &bus->connection);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

struct bus *bus_free(struct bus *bus)
{
        if (!bus)
                return NULL;
        announcer_remove(bus->context->announcer, &bus->observer);
        bus_connection_free(bus->connection);
        bus_lists_free(bus->lists);
        free(bus);
        return NULL;
}
