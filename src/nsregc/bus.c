/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/bus.h"

#include "bus/bus-authorize.h"
#include "nsregc/manager.h"
#include "util/log.h"

#define BUS_NAME          "org.nsreg.Client1"
#define BUS_PATH          "/org/nsreg/Client1"
#define BUS_ZONE_PATH     BUS_PATH "/zone"
#define MANAGER_INTERFACE BUS_NAME ".Manager"
#define ZONE_INTERFACE    BUS_NAME ".Zone"
#define ACTION            "org.nsreg.manage"
#define WAITERS_MAX       64

/* What was told of a zone last: the objects of the bus are these copies, so that a registration may come and
 * go without anybody reading what is gone. */
struct zone_object {
        struct zone_object *next;
        struct registration_info info; /* but for "registered", which is the copy below */
        struct address_set registered;
        char *path;
        bool seen;
};

struct client_bus {
        struct manager *manager;
        sd_bus *connection;
        struct zone_object *zones;
        char name[DNS_LABEL_MAX + 1];
        struct address_set addresses;
        enum registration_state state;
        sd_bus_message *waiters[WAITERS_MAX]; /* calls of Settle, AddRecord and RemoveRecord */
        size_t n_waiters;
};

static const char *plain_name(const struct dns_name *name, char text[static DNS_NAME_FORMAT_MAX])
{
        size_t length = strlen(dns_name_format(name, text));

        if (length > 1)
                text[length - 1] = '\0';
        return text;
}

static struct zone_object *zone_object_free(struct zone_object *object)
{
        address_set_clear(&object->registered);
        free(object->path);
        free(object);
        return NULL;
}

static int append_addresses(sd_bus_message *reply, const struct address_set *set)
{
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (size_t i = 0; i < set->n_items && r >= 0; i++) {
                char text[ADDRESS_FORMAT_MAX];

                r = sd_bus_message_append(reply, "s", address_format(&set->items[i].address, text));
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* ------ zones ------ */

static int get_zone(sd_bus *connection, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct zone_object *object = userdata;
        const struct registration_info *info = &object->info;
        char text[DNS_NAME_FORMAT_MAX];

        if (streq(property, "Zone"))
                return sd_bus_message_append(reply, "s", plain_name(&info->zone, text));
        if (streq(property, "Name"))
                return sd_bus_message_append(reply, "s", plain_name(&info->name, text));
        if (streq(property, "State"))
                return sd_bus_message_append(reply, "s", registration_state_to_string(info->state));
        if (streq(property, "Server"))
                return sd_bus_message_append(reply, "s", info->server);
        if (streq(property, "LastError"))
                return sd_bus_message_append(reply, "s", info->reason);
        if (streq(property, "Registered"))
                return append_addresses(reply, &object->registered);

        /* NextRefreshUSec: wall clock, as everywhere on the bus. */
        uint64_t next = 0;
        if (info->next_usec != USEC_INFINITY)
                next = now_usec(CLOCK_REALTIME) + usec_sub(info->next_usec, now_usec(CLOCK_BOOTTIME));
        return sd_bus_message_append(reply, "t", next);
}

static const sd_bus_vtable zone_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Zone", "s", get_zone, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", get_zone, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("State", "s", get_zone, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Server", "s", get_zone, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastError", "s", get_zone, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("NextRefreshUSec", "t", get_zone, 0, 0),
        SD_BUS_PROPERTY("Registered", "as", get_zone, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

static int find_zone(sd_bus *connection, const char *path, const char *interface, void *userdata, void **ret,
                     sd_bus_error *error)
{
        struct client_bus *bus = userdata;

        for (struct zone_object *object = bus->zones; object; object = object->next)
                if (streq(object->path, path)) {
                        *ret = object;
                        return 1;
                }
        return 0;
}

static int enumerate_zones(sd_bus *connection, const char *prefix, void *userdata, char ***ret,
                           sd_bus_error *error)
{
        struct client_bus *bus = userdata;
        char **paths;
        size_t n = 0;

        for (struct zone_object *object = bus->zones; object; object = object->next)
                n++;
        paths = calloc(n + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;
        n = 0;
        for (struct zone_object *object = bus->zones; object; object = object->next)
                if ((paths[n] = strdup(object->path)))
                        n++;
        *ret = paths;
        return 0;
}

/* ------ manager ------ */

static int append_left_out(sd_bus_message *reply, const struct manager *manager)
{
        struct left_out_list list;
        int r = manager_left_out(manager, &list);

        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(sss)");
        for (size_t i = 0; i < list.n_items && r >= 0; i++) {
                char text[ADDRESS_FORMAT_MAX];

                r = sd_bus_message_append(reply, "(sss)", address_format(&list.items[i].address, text),
                                          list.items[i].interface, list.items[i].rule);
        }
        free(list.items);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_manager(sd_bus *connection, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct client_bus *bus = userdata;

        if (streq(property, "Version"))
                return sd_bus_message_append(reply, "s", NSREG_VERSION);
        if (streq(property, "Name"))
                return sd_bus_message_append(reply, "s", bus->name);
        if (streq(property, "Addresses"))
                return append_addresses(reply, &bus->addresses);
        if (streq(property, "LeftOut"))
                return append_left_out(reply, bus->manager);
        if (streq(property, "State"))
                return sd_bus_message_append(reply, "s", registration_state_to_string(bus->state));

        char fingerprint[DNS_KEY_FINGERPRINT_MAX];
        return sd_bus_message_append(reply, "s",
                                     dns_key_fingerprint(&manager_pair(bus->manager)->key, fingerprint));
}

static int allowed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        struct client_bus *bus = userdata;
        const char *member = sd_bus_message_get_member(message);
        _cleanup_free_ char *why = NULL;

        if (streq(member, "Release"))
                manager_release(bus->manager);
        else if (!streq(member, "Reload"))
                manager_refresh(bus->manager);
        else if (manager_reload(bus->manager, &why) < 0)
                return sd_bus_error_set(error, "org.nsreg.Error.InvalidConfiguration",
                                        why ?: "The configuration cannot be read");
        return sd_bus_reply_method_return(message, NULL);
}

static bool waits_for_records(sd_bus_message *message)
{
        return !streq(sd_bus_message_get_member(message), "Settle");
}

static bool is_answered(const struct client_bus *bus, sd_bus_message *message, bool *ret_good, char **ret_why)
{
        return waits_for_records(message) ? manager_records_settled(bus->manager, ret_good, ret_why)
                                          : manager_settled(bus->manager, ret_good, ret_why);
}

static void waiters_answer(struct client_bus *bus)
{
        for (size_t i = bus->n_waiters; i-- > 0;) {
                sd_bus_message *message = bus->waiters[i];
                _cleanup_free_ char *why = NULL;
                bool good;

                if (!is_answered(bus, message, &good, &why))
                        continue;
                bus->waiters[i] = bus->waiters[--bus->n_waiters];
                /* Whoever is gone needs no answer. */
                if (good)
                        (void) sd_bus_reply_method_return(message, NULL);
                else
                        (void) sd_bus_reply_method_errorf(message, "org.nsreg.Error.NotRegistered", "%s",
                                                          why ?: "Not everything is registered");
                sd_bus_message_unref(message);
        }
}

static int wait_for_answer(struct client_bus *bus, sd_bus_message *message, sd_bus_error *error)
{
        if (bus->n_waiters == WAITERS_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many wait already");
        bus->waiters[bus->n_waiters++] = sd_bus_message_ref(message);
        waiters_answer(bus);
        return 1;
}

static int allowed_record(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        bool add = streq(sd_bus_message_get_member(message), "AddRecord");
        const char *below, *type, *data, *why = "";
        struct client_bus *bus = userdata;
        struct extra_record record;
        bool found = true;
        int r;

        r = sd_bus_message_read(message, "sss", &below, &type, &data);
        if (r < 0)
                return r;
        r = extra_record_parse(below, type, data, &record, &why);
        if (r == -EINVAL)
                return sd_bus_error_setf(error, "org.nsreg.Error.InvalidRecord", "Not a record: %s", why);
        if (r < 0)
                return r;
        if (add)
                r = manager_add_record(bus->manager, &record);
        else
                found = manager_remove_record(bus->manager, &record, false);
        extra_record_clear(&record);
        if (r == -ENOBUFS)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "There are too many records");
        if (!found)
                return sd_bus_error_set(error, "org.nsreg.Error.NoSuchRecord", "There is no such record");
        return r < 0 ? r : wait_for_answer(bus, message, error);
}

static int on_record_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, ACTION, allowed_record, userdata);
}

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, ACTION, allowed, userdata);
}

static void waiters_drop(struct client_bus *bus)
{
        while (bus->n_waiters > 0)
                sd_bus_message_unref(bus->waiters[--bus->n_waiters]);
}

static int on_settle(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return wait_for_answer(userdata, message, error);
}

#define METHOD(name) SD_BUS_METHOD(name, NULL, NULL, on_method, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_manager, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Name", "s", get_manager, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("KeyFingerprint", "s", get_manager, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Addresses", "as", get_manager, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LeftOut", "a(sss)", get_manager, 0, 0),
        SD_BUS_PROPERTY("State", "s", get_manager, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        METHOD("Refresh"),
        METHOD("Release"),
        METHOD("Rediscover"),
        METHOD("Reload"),
        SD_BUS_METHOD_WITH_ARGS("AddRecord", SD_BUS_ARGS("s", name, "s", type, "s", data), SD_BUS_NO_RESULT,
                                on_record_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveRecord", SD_BUS_ARGS("s", name, "s", type, "s", data),
                                SD_BUS_NO_RESULT, on_record_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Settle", NULL, NULL, on_settle, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* ------ what is different ------ */

static struct zone_object *object_for(struct client_bus *bus, const struct registration_info *info,
                                      bool *ret_new)
{
        char text[DNS_NAME_FORMAT_MAX];
        struct zone_object *object;

        *ret_new = false;
        for (object = bus->zones; object; object = object->next)
                if (dns_name_equal(&object->info.zone, &info->zone))
                        return object;
        object = calloc(1, sizeof(*object));
        if (!object)
                return NULL;
        if (sd_bus_path_encode(BUS_ZONE_PATH, plain_name(&info->zone, text), &object->path) < 0)
                return zone_object_free(object);
        object->next = bus->zones;
        bus->zones = object;
        *ret_new = true;
        return object;
}

static void object_update(struct client_bus *bus, struct zone_object *object,
                          const struct registration_info *info, bool is_new)
{
        struct registration_info before = object->info;
        char *changed[6] = { 0 };
        size_t n = 0;

        if (!dns_name_equal(&before.name, &info->name))
                changed[n++] = (char *) "Name";
        if (before.state != info->state)
                changed[n++] = (char *) "State";
        if (!streq(before.server, info->server))
                changed[n++] = (char *) "Server";
        if (!streq(before.reason, info->reason))
                changed[n++] = (char *) "LastError";
        if (!address_set_equal(&object->registered, info->registered))
                changed[n++] = (char *) "Registered";
        object->info = *info;
        object->info.registered = NULL;
        (void) address_set_copy(info->registered, &object->registered);
        if (!bus->connection)
                return;
        if (is_new)
                (void) sd_bus_emit_object_added(bus->connection, object->path);
        else if (n > 0)
                (void) sd_bus_emit_properties_changed_strv(bus->connection, object->path, ZONE_INTERFACE,
                                                           changed);
}

static void zones_sync(struct client_bus *bus)
{
        for (struct zone_object *object = bus->zones; object; object = object->next)
                object->seen = false;
        for (size_t i = 0; i < manager_count(bus->manager); i++) {
                struct registration_info info;
                struct zone_object *object;
                bool is_new;

                registration_get_info(manager_get(bus->manager, i), &info);
                object = object_for(bus, &info, &is_new);
                /* While an old name is given up in the same zone, the new one is the zone's. */
                if (!object || (object->seen && info.goal != GOAL_REGISTER))
                        continue;
                object->seen = true;
                object_update(bus, object, &info, is_new);
        }
        for (struct zone_object **link = &bus->zones; *link;) {
                struct zone_object *object = *link;

                if (object->seen) {
                        link = &object->next;
                        continue;
                }
                if (bus->connection)
                        (void) sd_bus_emit_object_removed(bus->connection, object->path);
                *link = object->next;
                zone_object_free(object);
        }
}

/* From good to bad: what a person has to look at decides. */
static enum registration_state worst_state(const struct client_bus *bus)
{
        static const enum registration_state order[] = {
                REGISTRATION_REFUSED,     REGISTRATION_UNREACHABLE, REGISTRATION_DISCOVERING,
                REGISTRATION_REGISTERING, REGISTRATION_RELEASING,   REGISTRATION_REGISTERED,
        };

        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                for (const struct zone_object *object = bus->zones; object; object = object->next)
                        if (object->info.state == order[i])
                                return order[i];
        return REGISTRATION_IDLE;
}

/* Looks at the manager and tells what is different from last time. */
static void on_changed(void *userdata)
{
        struct client_bus *bus = userdata;
        const char *label = manager_label(bus->manager) ?: "";
        const struct address_set *addresses = manager_addresses(bus->manager);
        enum registration_state state;
        char *changed[4] = { 0 };
        size_t n = 0;

        zones_sync(bus);
        state = worst_state(bus);
        if (!streq(bus->name, label))
                changed[n++] = (char *) "Name";
        if (!address_set_equal(&bus->addresses, addresses))
                changed[n++] = (char *) "Addresses";
        if (bus->state != state)
                changed[n++] = (char *) "State";
        strcpy(bus->name, label);
        (void) address_set_copy(addresses, &bus->addresses);
        bus->state = state;
        if (bus->connection && n > 0)
                (void) sd_bus_emit_properties_changed_strv(bus->connection, BUS_PATH, MANAGER_INTERFACE,
                                                           changed);
        waiters_answer(bus);
}

static int on_name_requested(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const sd_bus_error *failure = sd_bus_message_get_error(reply);

        if (failure)
                log_info("The bus name " BUS_NAME " could not be had: %s", failure->message);
        return 0;
}

static void on_bus(void *userdata, sd_bus *connection)
{
        struct client_bus *bus = userdata;
        int r;

        bus->connection = connection;
        if (!connection) {
                waiters_drop(bus);
                return;
        }
        r = sd_bus_add_object_manager(connection, NULL, BUS_PATH);
        if (r >= 0)
                r = sd_bus_add_object_vtable(connection, NULL, BUS_PATH, MANAGER_INTERFACE, manager_vtable,
                                             bus);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(connection, NULL, BUS_ZONE_PATH, ZONE_INTERFACE, zone_vtable,
                                               find_zone, bus);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(connection, NULL, BUS_ZONE_PATH, enumerate_zones, bus);
        if (r >= 0)
                r = sd_bus_request_name_async(connection, NULL, BUS_NAME, 0, on_name_requested, bus);
        if (r < 0)
                log_warning("The D-Bus interface could not be set up: %s", strerror(-r));
}

static const struct manager_watcher watcher = {
        .changed = on_changed,
        .bus = on_bus,
};

int client_bus_new(struct manager *manager, struct client_bus **ret)
{
        struct client_bus *bus = calloc(1, sizeof(*bus));

        if (!bus)
                return -ENOMEM;
        bus->manager = manager;
        bus->state = REGISTRATION_IDLE;
        *ret = bus;
        manager_watch(manager, &watcher, bus);
        return 0;
}

struct client_bus *client_bus_free(struct client_bus *bus)
{
        if (!bus)
                return NULL;
        while (bus->zones) {
                struct zone_object *object = bus->zones;

                bus->zones = object->next;
                zone_object_free(object);
        }
        waiters_drop(bus);
        address_set_clear(&bus->addresses);
        free(bus);
        return NULL;
}
