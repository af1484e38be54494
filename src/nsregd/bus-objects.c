/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/bus-objects.h"
#include "bus/bus-authorize.h"
#include "nsregd/admin.h"
#include "nsregd/zones.h"

/* Names that show in the tree; the rest is found by name and page. */
#define ENUMERATED_MAX UINT64_C(1000)

char *bus_name_text(const struct dns_name *name, char text[static DNS_NAME_FORMAT_MAX])
{
        size_t length = strlen(dns_name_format(name, text));

        if (length > 1)
                text[length - 1] = '\0';
        return text;
}

int bus_zone_path(const struct registry_zone *zone, char **ret)
{
        char text[DNS_NAME_FORMAT_MAX];

        return sd_bus_path_encode(BUS_ZONE_PATH, bus_name_text(&zone->policy->zone, text), ret);
}

int bus_upstream_path(const struct upstream *upstream, char **ret)
{
        return asprintf(ret, BUS_UPSTREAM_PATH "/%u", upstream->number) < 0 ? -ENOMEM : 0;
}

int bus_name_path(const struct dns_name *name, char **ret)
{
        char text[DNS_NAME_FORMAT_MAX];

        return sd_bus_path_encode(BUS_NAME_PATH, bus_name_text(name, text), ret);
}

uint64_t bus_real_usec(const struct context *context, usec_t lease_usec)
{
        struct registry_time now = context_time(context);

        return lease_to_real(lease_usec, &now);
}

bool bus_is_published(const struct name_entry *entry)
{
        for (const struct attachment *attachment = publisher_attachments(entry->zone); attachment;
             attachment = attachment->next)
                if (!publisher_is_published(attachment, entry))
                        return false;
        return true;
}

int bus_append_addresses(sd_bus_message *message, const struct context *context,
                         const struct name_state *state)
{
        int r = sd_bus_message_open_container(message, 'a', "(iayt)");

        for (unsigned i = 0; i < state->n_records && r >= 0; i++) {
                const struct record *record = &state->records[i];
                struct address address = record_address(record);

                if (!address.family)
                        continue;
                r = sd_bus_message_open_container(message, 'r', "iayt");
                if (r >= 0)
                        r = sd_bus_message_append(message, "i", address.family);
                if (r >= 0)
                        r = sd_bus_message_append_array(message, 'y', address.bytes, address_size(&address));
                if (r >= 0)
                        r = sd_bus_message_append(message, "t", bus_real_usec(context, record->end_usec));
                if (r >= 0)
                        r = sd_bus_message_close_container(message);
        }
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int bus_append_record(sd_bus_message *message, const struct context *context, const struct dns_name *host,
                      const struct record *record, bool named)
{
        struct record_value value = record_value(record);
        char text[DNS_NAME_FORMAT_MAX], host_text[DNS_NAME_FORMAT_MAX];
        struct dns_name owner;
        int r;

        r = record_owner(host, &value, &owner);
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'r', named ? "ssqayt" : "sqayt");
        if (r >= 0 && named)
                r = sd_bus_message_append(message, "s", bus_name_text(host, host_text));
        if (r >= 0)
                r = sd_bus_message_append(message, "sq", bus_name_text(&owner, text), value.type);
        if (r >= 0)
                r = sd_bus_message_append_array(message, 'y', value.rdata, value.length);
        if (r >= 0)
                r = sd_bus_message_append(message, "t", bus_real_usec(context, record->end_usec));
        return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_records(sd_bus_message *message, const struct context *context,
                          const struct name_entry *entry)
{
        struct dns_name host = name_entry_name(entry);
        int r = sd_bus_message_open_container(message, 'a', "(sqayt)");

        for (unsigned i = 0; i < entry->state->n_records && r >= 0; i++)
                if (!record_is_address(&entry->state->records[i]))
                        r = bus_append_record(message, context, &host, &entry->state->records[i], false);
        return r < 0 ? r : sd_bus_message_close_container(message);
}

int bus_parse_name(const char *text, struct dns_name *ret, sd_bus_error *error)
{
        if (dns_name_parse(text, ret) >= 0)
                return 0;
        return sd_bus_error_set(error, "org.nsreg.Error.InvalidName", "That is not a domain name");
}

int bus_find_name(struct context *context, const char *text, struct name_entry **ret, sd_bus_error *error)
{
        struct registry_zone *zone;
        struct name_entry *entry;
        struct dns_name name;
        int r;

        r = bus_parse_name(text, &name, error);
        if (r < 0)
                return r;
        zone = registry_find_zone_of(context->registry, &name);
        if (!zone)
                return sd_bus_error_setf(error, "org.nsreg.Error.NoSuchZone",
                                         "No zone served here contains %s; give the full name", text);
        entry = registry_find(zone, &name);
        if (!entry || !entry->state->claimed)
                return sd_bus_error_setf(error, "org.nsreg.Error.NoSuchName", "%s is not claimed", text);
        *ret = entry;
        return 0;
}

/* --- administration --- */

static void on_administered(void *userdata, enum admin_result result)
{
        sd_bus_message *message = userdata;

        switch (result) {
        case ADMIN_OK:
                (void) sd_bus_reply_method_return(message, NULL);
                break;
        case ADMIN_NO_SUCH_NAME:
                (void) sd_bus_reply_method_errorf(message, "org.nsreg.Error.NoSuchName",
                                                  "The name is not claimed");
                break;
        case ADMIN_NO_SUCH_ZONE:
                (void) sd_bus_reply_method_errorf(
                        message, "org.nsreg.Error.NoSuchZone",
                        "No zone served here contains the name; give the full name");
                break;
        case ADMIN_INVALID_NAME:
                (void) sd_bus_reply_method_errorf(message, "org.nsreg.Error.InvalidName",
                                                  "The name is not a host name one label below a zone");
                break;
        case ADMIN_ALREADY:
                (void) sd_bus_reply_method_errorf(
                        message, "org.nsreg.Error.Already",
                        "There is nothing to do: it is so already, or the name is claimed");
                break;
        case ADMIN_NOT_STORED:
                (void) sd_bus_reply_method_errorf(message, "org.nsreg.Error.NotStored",
                                                  "The change could not be stored; nothing was changed");
                break;
        }
        sd_bus_message_unref(message);
}

int bus_administer(struct context *context, sd_bus_message *message, enum bus_administration what,
                   const struct dns_name *name, sd_bus_error *error)
{
        int r;

        sd_bus_message_ref(message);
        switch (what) {
        case BUS_REVOKE:
        case BUS_REVOKE_AND_BLOCK:
                r = admin_revoke(context, name, what == BUS_REVOKE_AND_BLOCK, on_administered, message);
                break;
        case BUS_WITHDRAW:
                r = admin_withdraw(context, name, on_administered, message);
                break;
        case BUS_RESERVE:
                r = admin_reserve(context, name, on_administered, message);
                break;
        default:
                r = admin_unreserve(context, name, on_administered, message);
                break;
        }
        if (r < 0)
                sd_bus_message_unref(message);
        return r;
}

/* --- zones --- */

static struct registry_zone *decode_zone(struct context *context, const char *path)
{
        _cleanup_free_ char *text = NULL;
        struct dns_name name;

        if (sd_bus_path_decode(path, BUS_ZONE_PATH, &text) <= 0 || dns_name_parse(text, &name) < 0)
                return NULL;
        return registry_find_zone(context->registry, &name);
}

static int find_zone(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                     sd_bus_error *error)
{
        struct context *context = userdata;
        struct registry_zone *zone = decode_zone(context, path);

        if (!zone)
                return 0;
        *ret = zones_find(context->zones, zone);
        return 1;
}

static int enumerate_zones(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
        struct context *context = userdata;
        char **paths = calloc(zones_count(context->zones) + 1, sizeof(*paths));
        const struct served_zone *served;
        size_t n = 0;

        if (!paths)
                return -ENOMEM;
        LIST_FOREACH (served, zones_list(context->zones), zones)
                if (!served->joining && bus_zone_path(served->zone, &paths[n]) >= 0)
                        n++;
        *ret = paths;
        return 0;
}

static int get_zone(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct served_zone *served = userdata;
        const struct registry_zone *zone = served->zone;
        char text[DNS_NAME_FORMAT_MAX], prefix[PREFIX_FORMAT_MAX];
        int r;

        if (streq(property, "Name"))
                return sd_bus_message_append(reply, "s", bus_name_text(&zone->policy->zone, text));
        if (streq(property, "Registrations"))
                return sd_bus_message_append(reply, "u", zone->n_names);
        if (streq(property, "Records"))
                return sd_bus_message_append(reply, "u", zone->n_records);
        if (streq(property, "Serial"))
                return sd_bus_message_append(reply, "u", served->serial);
        if (streq(property, "Builtin"))
                return sd_bus_message_append(reply, "b", served->builtin);
        if (streq(property, "AllowedNets")) {
                r = sd_bus_message_open_container(reply, 'a', "s");
                for (size_t i = 0; i < zone->policy->allowed_nets.n_items && r >= 0; i++)
                        r = sd_bus_message_append(
                                reply, "s", prefix_format(&zone->policy->allowed_nets.items[i], prefix));
                return r < 0 ? r : sd_bus_message_close_container(reply);
        }
        r = sd_bus_message_open_container(reply, 'a', "o");
        for (const struct attachment *attachment = publisher_attachments(zone); attachment && r >= 0;
             attachment = attachment->next) {
                _cleanup_free_ char *upstream_path = NULL;

                if (!attachment->upstream)
                        continue;
                r = bus_upstream_path(attachment->upstream, &upstream_path);
                if (r >= 0)
                        r = sd_bus_message_append(reply, "o", upstream_path);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable zone_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", get_zone, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Registrations", "u", get_zone, 0, 0),
        SD_BUS_PROPERTY("Records", "u", get_zone, 0, 0),
        SD_BUS_PROPERTY("Serial", "u", get_zone, 0, 0),
        SD_BUS_PROPERTY("Builtin", "b", get_zone, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("AllowedNets", "as", get_zone, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Upstreams", "ao", get_zone, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

/* --- upstreams --- */

static int find_upstream(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                         sd_bus_error *error)
{
        struct context *context = userdata;
        struct upstream *upstream;

        LIST_FOREACH (upstream, publisher_upstreams(context->publisher), upstreams) {
                _cleanup_free_ char *its_path = NULL;

                if (bus_upstream_path(upstream, &its_path) < 0)
                        return -ENOMEM;
                if (streq(path, its_path)) {
                        *ret = upstream;
                        return 1;
                }
        }
        return 0;
}

static int enumerate_upstreams(sd_bus *bus, const char *prefix, void *userdata, char ***ret,
                               sd_bus_error *error)
{
        struct context *context = userdata;
        struct upstream *upstream;
        size_t n = 0;
        char **paths;

        LIST_FOREACH (upstream, publisher_upstreams(context->publisher), upstreams)
                n++;
        paths = calloc(n + 1, sizeof(*paths));
        if (!paths)
                return -ENOMEM;
        n = 0;
        LIST_FOREACH (upstream, publisher_upstreams(context->publisher), upstreams)
                if (bus_upstream_path(upstream, &paths[n]) >= 0)
                        n++;
        *ret = paths;
        return 0;
}

static const char *upstream_error(const struct upstream *upstream)
{
        for (unsigned i = 0; i < upstream->plan->n_lanes; i++)
                if (upstream->plan->lanes[i].error)
                        return upstream->plan->lanes[i].error;
        return NULL;
}

static const char *upstream_state(const struct upstream *upstream)
{
        const struct plan *plan = upstream->plan;

        if (upstream->state != UPSTREAM_SERVING)
                return upstream->state == UPSTREAM_DRAINING ? "draining" : "left-over";
        if (upstream_error(upstream))
                return "retrying";
        return plan_pending(plan) > 0 ? "working" : "idle";
}

static int get_upstream(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct upstream *upstream = userdata;
        const struct upstream_config *config = upstream->config;
        char text[DNS_NAME_FORMAT_MAX];
        int r;

        if (streq(property, "Type"))
                return sd_bus_message_append(reply, "s",
                                             config->type == UPSTREAM_UNBOUND ? "unbound" : "nsupdate");
        if (streq(property, "Target")) {
                _cleanup_free_ char *target = NULL;

                if (config->control_socket)
                        return sd_bus_message_append(reply, "s", config->control_socket);
                r = asprintf(&target, "%s@%u", config->hostname, config->port);
                return r < 0 ? -ENOMEM : sd_bus_message_append(reply, "s", target);
        }
        if (streq(property, "Zone"))
                return sd_bus_message_append(
                        reply, "s", config->zone.length > 0 ? bus_name_text(&config->zone, text) : "");
        if (streq(property, "State"))
                return sd_bus_message_append(reply, "s", upstream_state(upstream));
        if (streq(property, "LastError"))
                return sd_bus_message_append(reply, "s", upstream_error(upstream) ?: "");
        if (streq(property, "Pending"))
                return sd_bus_message_append(reply, "t", (uint64_t) plan_pending(upstream->plan));
        if (streq(property, "Refused"))
                return sd_bus_message_append(reply, "t", (uint64_t) upstream->plan->n_refused);
        if (streq(property, "LastSuccessUSec"))
                return sd_bus_message_append(reply, "t", upstream->success_usec);
        return sd_bus_message_append(reply, "t", upstream->n_messages);
}

static const sd_bus_vtable upstream_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Type", "s", get_upstream, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Target", "s", get_upstream, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Zone", "s", get_upstream, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_upstream, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastError", "s", get_upstream, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Pending", "t", get_upstream, 0, 0),
        SD_BUS_PROPERTY("Refused", "t", get_upstream, 0, 0),
        SD_BUS_PROPERTY("LastSuccessUSec", "t", get_upstream, 0, 0),
        SD_BUS_PROPERTY("Messages", "t", get_upstream, 0, 0),
        SD_BUS_VTABLE_END,
};

/* --- names --- */

static int find_name(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                     sd_bus_error *error)
{
        struct context *context = userdata;
        _cleanup_free_ char *text = NULL;
        struct registry_zone *zone;
        struct name_entry *entry;
        struct dns_name name;

        if (sd_bus_path_decode(path, BUS_NAME_PATH, &text) <= 0 || dns_name_parse(text, &name) < 0)
                return 0;
        zone = registry_find_zone_of(context->registry, &name);
        entry = zone ? registry_find(zone, &name) : NULL;
        if (!entry || !entry->state->claimed)
                return 0;
        *ret = entry;
        return 1;
}

static int enumerate_names(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
        struct context *context = userdata;
        char **paths = calloc(MIN(context->registry->n_names, ENUMERATED_MAX) + 1, sizeof(*paths));
        size_t n = 0;

        if (!paths)
                return -ENOMEM;
        for (struct registry_zone *zone = context->registry->zones; zone; zone = zone->next)
                for (struct name_entry *entry = registry_after(zone, "");
                     entry && n < MIN(context->registry->n_names, ENUMERATED_MAX);
                     entry = registry_after(zone, entry->label)) {
                        struct dns_name name = name_entry_name(entry);

                        if (entry->state->claimed && bus_name_path(&name, &paths[n]) >= 0)
                                n++;
                }
        *ret = paths;
        return 0;
}

/* Vtable handlers are given what find_name() found, not the context: it hangs on the slot. */
static struct context *manager_of(sd_bus *bus)
{
        return sd_bus_slot_get_userdata(sd_bus_get_current_slot(bus));
}

static int append_published(sd_bus_message *reply, const struct name_entry *entry)
{
        int r = sd_bus_message_open_container(reply, 'a', "{sb}");

        for (const struct attachment *attachment = publisher_attachments(entry->zone); attachment && r >= 0;
             attachment = attachment->next)
                r = sd_bus_message_append(reply, "{sb}",
                                          attachment->upstream ? attachment->upstream->identity : "builtin",
                                          publisher_is_published(attachment, entry));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_name(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const struct name_entry *entry = userdata;
        const struct name_state *state = entry->state;
        struct dns_name name = name_entry_name(entry);
        char text[DNS_NAME_FORMAT_MAX], fingerprint[DNS_KEY_FINGERPRINT_MAX];

        if (streq(property, "Name"))
                return sd_bus_message_append(reply, "s", bus_name_text(&name, text));
        if (streq(property, "Zone"))
                return sd_bus_message_append(reply, "s", bus_name_text(&entry->zone->policy->zone, text));
        if (streq(property, "Algorithm"))
                return sd_bus_message_append(reply, "s",
                                             dns_algorithm_to_string(state->key->algorithm) ?: "");
        if (streq(property, "KeyTag"))
                return sd_bus_message_append(reply, "q", state->key_tag);
        if (streq(property, "KeyFingerprint"))
                return sd_bus_message_append(reply, "s", dns_key_fingerprint(state->key, fingerprint));
        if (streq(property, "KeyLeaseEndUSec"))
                return sd_bus_message_append(reply, "t", bus_real_usec(manager_of(bus), state->key_end_usec));
        if (streq(property, "ClaimedUSec"))
                return sd_bus_message_append(reply, "t", state->claimed_usec);
        if (streq(property, "LastSeenUSec"))
                return sd_bus_message_append(reply, "t", state->seen_usec);
        if (streq(property, "Source"))
                return sd_bus_message_append(
                        reply, "s", state->source.family ? address_format(&state->source, text) : "");
        if (streq(property, "Addresses"))
                return bus_append_addresses(reply, manager_of(bus), state);
        if (streq(property, "Records"))
                return append_records(reply, manager_of(bus), entry);
        return append_published(reply, entry);
}

/* Runs when it is allowed: the entry may have gone meanwhile, so the name is read from the path again. */
static int administer_path(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *text = NULL;
        enum bus_administration what = BUS_WITHDRAW;
        struct dns_name name;
        int block, r;

        r = sd_bus_path_decode(sd_bus_message_get_path(message), BUS_NAME_PATH, &text);
        if (r <= 0)
                return r < 0 ? r : -EINVAL;
        r = bus_parse_name(text, &name, error);
        if (r < 0)
                return r;
        if (streq(sd_bus_message_get_member(message), "Revoke")) {
                r = sd_bus_message_read(message, "b", &block);
                if (r < 0)
                        return r;
                what = block ? BUS_REVOKE_AND_BLOCK : BUS_REVOKE;
        }
        return bus_administer(userdata, message, what, &name, error);
}

static int on_name_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        return bus_authorize(message, BUS_ACTION, administer_path,
                             manager_of(sd_bus_message_get_bus(message)));
}

static const sd_bus_vtable name_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Zone", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Algorithm", "s", get_name, 0, 0),
        SD_BUS_PROPERTY("KeyTag", "q", get_name, 0, 0),
        SD_BUS_PROPERTY("KeyFingerprint", "s", get_name, 0, 0),
        SD_BUS_PROPERTY("KeyLeaseEndUSec", "t", get_name, 0, 0),
        SD_BUS_PROPERTY("ClaimedUSec", "t", get_name, 0, 0),
        SD_BUS_PROPERTY("LastSeenUSec", "t", get_name, 0, 0),
        SD_BUS_PROPERTY("Source", "s", get_name, 0, 0),
        SD_BUS_PROPERTY("Addresses", "a(iayt)", get_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Records", "a(sqayt)", get_name, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Published", "a{sb}", get_name, 0, 0),
        SD_BUS_METHOD_WITH_ARGS("Revoke", SD_BUS_ARGS("b", block), SD_BUS_NO_RESULT, on_name_method,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Withdraw", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_name_method,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int bus_objects_add(sd_bus *bus, struct context *context)
{
        int r;

        r = sd_bus_add_fallback_vtable(bus, NULL, BUS_ZONE_PATH, BUS_ZONE_INTERFACE, zone_vtable, find_zone,
                                       context);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus, NULL, BUS_ZONE_PATH, enumerate_zones, context);
        if (r >= 0)
                r = sd_bus_add_object_manager(bus, NULL, BUS_ZONE_PATH);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_UPSTREAM_PATH, BUS_UPSTREAM_INTERFACE,
                                               upstream_vtable, find_upstream, context);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus, NULL, BUS_UPSTREAM_PATH, enumerate_upstreams, context);
        if (r >= 0)
                r = sd_bus_add_object_manager(bus, NULL, BUS_UPSTREAM_PATH);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(bus, NULL, BUS_NAME_PATH, BUS_REGISTRATION_INTERFACE,
                                               name_vtable, find_name, context);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(bus, NULL, BUS_NAME_PATH, enumerate_names, context);
        return r;
}

void bus_objects_emit(sd_bus *bus, struct context *context, bool come)
{
        int (*emit)(sd_bus *, const char *) = come ? sd_bus_emit_object_added : sd_bus_emit_object_removed;
        const struct served_zone *served;
        struct upstream *upstream;

        /* A signal that cannot be sent is lost, as signals are. */
        LIST_FOREACH (served, zones_list(context->zones), zones) {
                _cleanup_free_ char *path = NULL;

                if (!served->joining && bus_zone_path(served->zone, &path) >= 0)
                        (void) emit(bus, path);
        }
        LIST_FOREACH (upstream, publisher_upstreams(context->publisher), upstreams) {
                _cleanup_free_ char *path = NULL;

                if (upstream->state != UPSTREAM_JOINING && bus_upstream_path(upstream, &path) >= 0)
                        (void) emit(bus, path);
        }
}
