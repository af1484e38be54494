/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#include "nsregctl/verbs.h"
#include "util/macro.h"
#include "util/time.h"

int say_no_memory(void)
{
        fprintf(stderr, "nsregctl: Out of memory.\n");
        return -ENOMEM;
}

int say_unreadable(int r)
{
        fprintf(stderr, "nsregctl: The daemon's answer makes no sense: %s. Are both of one version?\n",
                strerror(-r));
        return r;
}

int say_none_like(const char *glob)
{
        fprintf(stderr, "nsregctl: No name is like \"%s\".\n", glob);
        return -ENOENT;
}

/* --- list --- */

static int append(char **text, const char *more)
{
        char *longer;

        if (asprintf(&longer, "%s%s%s", *text, (*text)[0] ? " " : "", more) < 0)
                return -ENOMEM;
        free(*text);
        *text = longer;
        return 0;
}

/* a(iayt): the addresses as one text, and the earliest end of a lease. */
int read_addresses(sd_bus_message *message, char **ret, uint64_t *ret_end_usec)
{
        _cleanup_free_ char *text = strdup("");
        char address[INET6_ADDRSTRLEN];
        const void *octets;
        uint64_t end_usec;
        int family, r;
        size_t size;

        *ret_end_usec = 0;
        r = sd_bus_message_enter_container(message, 'a', "(iayt)");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'r', "iayt")) > 0) {
                r = sd_bus_message_read(message, "i", &family);
                if (r >= 0)
                        r = sd_bus_message_read_array(message, 'y', &octets, &size);
                if (r >= 0)
                        r = sd_bus_message_read(message, "t", &end_usec);
                if (r < 0)
                        return r;
                if (size != (family == AF_INET ? 4 : 16) ||
                    !inet_ntop(family, octets, address, sizeof(address)))
                        return -EBADMSG;
                if (!text || append(&text, address) < 0)
                        return -ENOMEM;
                if (*ret_end_usec == 0 || end_usec < *ret_end_usec)
                        *ret_end_usec = end_usec;
                r = sd_bus_message_exit_container(message);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r >= 0)
                *ret = TAKE_PTR(text);
        return r;
}

enum {
        LIST_NAME,
        LIST_ADDRESSES,
        LIST_LEASE,
        LIST_KEY_LEASE,
        LIST_SEEN,
        LIST_SOURCE,
        LIST_KEY,
        LIST_PUBLISHED
};

static const struct column list_columns[] = {
        [LIST_NAME] = { "NAME", "Name", COLUMN_TEXT },
        [LIST_ADDRESSES] = { "ADDRESSES", "Addresses", COLUMN_WORDS },
        [LIST_LEASE] = { "LEASE ENDS", "LeaseEndUSec", COLUMN_TIME },
        [LIST_KEY_LEASE] = { "KEY LEASE ENDS", "KeyLeaseEndUSec", COLUMN_TIME },
        [LIST_SEEN] = { "SEEN", "LastSeenUSec", COLUMN_TIME },
        [LIST_SOURCE] = { "SOURCE", "Source", COLUMN_TEXT },
        [LIST_KEY] = { "KEY TAG", "KeyTag", COLUMN_NUMBER },
        [LIST_PUBLISHED] = { "PUBLISHED", "Published", COLUMN_BOOLEAN },
};

/* One registration into a row; *ret_name is a view into the message. */
static int read_registration(sd_bus_message *reply, struct table *table, const char **ret_name)
{
        _cleanup_free_ char *addresses = NULL;
        const char *zone, *algorithm, *source;
        uint64_t key_end_usec, seen_usec, end_usec;
        uint16_t key_tag;
        int published, r;

        r = sd_bus_message_read(reply, "sssqtts", ret_name, &zone, &algorithm, &key_tag, &key_end_usec,
                                &seen_usec, &source);
        if (r >= 0)
                r = read_addresses(reply, &addresses, &end_usec);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &published);
        if (r < 0)
                return r;
        r = table_row(table);
        if (r < 0)
                return r;
        (void) table_set(table, LIST_NAME, *ret_name);
        (void) table_set(table, LIST_ADDRESSES, addresses);
        (void) table_set_time(table, LIST_LEASE, end_usec);
        (void) table_set_time(table, LIST_KEY_LEASE, key_end_usec);
        (void) table_set_time(table, LIST_SEEN, seen_usec);
        (void) table_set(table, LIST_SOURCE, source);
        (void) table_set_number(table, LIST_KEY, key_tag);
        (void) table_set_boolean(table, LIST_PUBLISHED, published);
        table_colour(table, LIST_PUBLISHED, published ? "green" : "yellow");
        return 0;
}

/* A page into the table; *ret_n is how many, "after" becomes the last name. */
static int list_page(struct context *context, const char *zone, const char *glob, struct table *table,
                     char after[static 1100], unsigned *ret_n)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *name;
        int r;

        r = call_method(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "ListRegistrations",
                        &error, &reply, "sssu", zone, glob, after, 0);
        if (r < 0) {
                r = report(REGISTRY_SERVICE, &error, r);
                sd_bus_error_free(&error);
                return r;
        }
        *ret_n = 0;
        r = sd_bus_message_enter_container(reply, 'a', "(sssqttsa(iayt)b)");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "sssqttsa(iayt)b")) > 0) {
                r = read_registration(reply, table, &name);
                if (r < 0)
                        break;
                snprintf(after, 1100, "%s", name);
                ++*ret_n;
                r = sd_bus_message_exit_container(reply);
        }
        sd_bus_message_unref(reply);
        return r < 0 ? say_unreadable(r) : 0;
}

int verb_list(struct context *context, int argc, char *argv[])
{
        const char *zone = "", *glob = "";
        struct table *table;
        char after[1100] = "";
        unsigned n;
        int r;

        /* A word with a dot is a zone, any other a glob for the first label. */
        if (argc > 1 && strchr(argv[1], '.'))
                zone = argv[1];
        else if (argc > 1)
                glob = argv[1];
        if (context->type)
                return list_records(context, zone, glob);
        table = table_new("Registrations", list_columns, ELEMENTSOF(list_columns), context->output,
                          context->legend);
        if (!table)
                return say_no_memory();
        do
                r = list_page(context, zone, glob, table, after, &n);
        while (r >= 0 && n > 0);
        if (r >= 0 && (table_rows(table) > 0 || context->output != OUTPUT_TABLE))
                r = table_print(table);
        if (r >= 0 && glob[0] && table_rows(table) == 0)
                r = say_none_like(glob);
        if (r >= 0 && context->output == OUTPUT_TABLE && context->legend)
                printf("\n%u name%s.\n", table_rows(table), table_rows(table) == 1 ? "" : "s");
        table_free(table);
        return r;
}

/* --- zones and upstreams --- */

enum { ZONE_NAME, ZONE_NAMES, ZONE_RECORDS, ZONE_SERIAL, ZONE_BUILTIN, ZONE_NETS };

static const struct column zone_columns[] = {
        [ZONE_NAME] = { "ZONE", "Zone", COLUMN_TEXT },
        [ZONE_NAMES] = { "NAMES", "NameCount", COLUMN_NUMBER },
        [ZONE_RECORDS] = { "RECORDS", "RecordCount", COLUMN_NUMBER },
        [ZONE_SERIAL] = { "SERIAL", "Serial", COLUMN_NUMBER },
        [ZONE_BUILTIN] = { "BUILTIN", "Builtin", COLUMN_BOOLEAN },
        [ZONE_NETS] = { "ALLOWED NETS", "AllowedNets", COLUMN_WORDS },
};

/* Sets a cell from the variant that comes next. */
static int set_string(struct table *table, unsigned column, sd_bus_message *message)
{
        const char *text;
        int r = property_string(message, &text);

        return r < 0 ? r : table_set(table, column, text);
}

static int set_number(struct table *table, unsigned column, sd_bus_message *message, char type)
{
        uint64_t number;
        int r = property_number(message, type, &number);

        if (r < 0)
                return r;
        return type == 'b' ? table_set_boolean(table, column, number)
                           : table_set_number(table, column, number);
}

static int read_zone(void *userdata, const char *path, sd_bus_message *properties)
{
        struct table *table = userdata;
        _cleanup_free_ char *nets = NULL;
        const char *key;
        int r = table_row(table);

        while (r >= 0 && (r = next_property(properties, &key)) > 0) {
                if (streq(key, "Name"))
                        r = set_string(table, ZONE_NAME, properties);
                else if (streq(key, "Registrations"))
                        r = set_number(table, ZONE_NAMES, properties, 'u');
                else if (streq(key, "Records"))
                        r = set_number(table, ZONE_RECORDS, properties, 'u');
                else if (streq(key, "Serial"))
                        r = set_number(table, ZONE_SERIAL, properties, 'u');
                else if (streq(key, "Builtin"))
                        r = set_number(table, ZONE_BUILTIN, properties, 'b');
                else if (streq(key, "AllowedNets")) {
                        r = property_strings(properties, &nets);
                        if (r >= 0)
                                r = table_set(table, ZONE_NETS, nets);
                } else
                        r = property_skip(properties);
        }
        return r;
}

/* "none": what people are told in the place of a table without rows; NULL for nothing. */
static int print_objects(struct context *context, const char *service, const char *path,
                         const char *interface, const char *name, const struct column *columns,
                         unsigned n_columns, object_callback read, const char *none)
{
        struct table *table = table_new(name, columns, n_columns, context->output, context->legend);
        int r;

        if (!table)
                return say_no_memory();
        r = each_object(context, service, path, interface, read, table);
        if (r >= 0 && context->whole)
                table_write(table, context->whole);
        else if (r >= 0 && table_rows(table) == 0 && none && context->output == OUTPUT_TABLE &&
                 context->legend)
                printf("%s\n", none);
        else if (r >= 0)
                r = table_print(table);
        table_free(table);
        return r;
}

int verb_zones(struct context *context, int argc, char *argv[])
{
        return print_objects(context, REGISTRY_SERVICE, REGISTRY_PATH "/zone", "org.nsreg.Registry1.Zone",
                             "Zones", zone_columns, ELEMENTSOF(zone_columns), read_zone, NULL);
}

enum {
        UPSTREAM_TYPE,
        UPSTREAM_TARGET,
        UPSTREAM_ZONE,
        UPSTREAM_STATE,
        UPSTREAM_PENDING,
        UPSTREAM_REFUSED,
        UPSTREAM_SUCCESS,
        UPSTREAM_ERROR
};

static const struct column upstream_columns[] = {
        [UPSTREAM_TYPE] = { "TYPE", "Type", COLUMN_TEXT },
        [UPSTREAM_TARGET] = { "TARGET", "Target", COLUMN_TEXT },
        [UPSTREAM_ZONE] = { "ZONE", "Zone", COLUMN_TEXT },
        [UPSTREAM_STATE] = { "STATE", "State", COLUMN_TEXT },
        [UPSTREAM_PENDING] = { "PENDING", "Pending", COLUMN_NUMBER },
        [UPSTREAM_REFUSED] = { "REFUSED", "Refused", COLUMN_NUMBER },
        [UPSTREAM_SUCCESS] = { "LAST SUCCESS", "LastSuccessUSec", COLUMN_TIME },
        [UPSTREAM_ERROR] = { "LAST ERROR", "LastError", COLUMN_WIDE },
};

static int read_upstream(void *userdata, const char *path, sd_bus_message *properties)
{
        struct table *table = userdata;
        const char *key, *state;
        uint64_t usec;
        int r = table_row(table);

        while (r >= 0 && (r = next_property(properties, &key)) > 0) {
                if (streq(key, "Type"))
                        r = set_string(table, UPSTREAM_TYPE, properties);
                else if (streq(key, "Target"))
                        r = set_string(table, UPSTREAM_TARGET, properties);
                else if (streq(key, "Zone"))
                        r = set_string(table, UPSTREAM_ZONE, properties);
                else if (streq(key, "Pending"))
                        r = set_number(table, UPSTREAM_PENDING, properties, 't');
                else if (streq(key, "Refused"))
                        r = set_number(table, UPSTREAM_REFUSED, properties, 't');
                else if (streq(key, "LastError"))
                        r = set_string(table, UPSTREAM_ERROR, properties);
                else if (streq(key, "State")) {
                        r = property_string(properties, &state);
                        if (r >= 0)
                                r = table_set(table, UPSTREAM_STATE, state);
                        if (r >= 0)
                                table_colour(table, UPSTREAM_STATE,
                                             streq(state, "retrying") ? "red" : "green");
                } else if (streq(key, "LastSuccessUSec")) {
                        r = property_number(properties, 't', &usec);
                        if (r >= 0)
                                r = table_set_time(table, UPSTREAM_SUCCESS, usec);
                } else
                        r = property_skip(properties);
        }
        return r;
}

int verb_upstreams(struct context *context, int argc, char *argv[])
{
        return print_objects(context, REGISTRY_SERVICE, REGISTRY_PATH "/upstream",
                             "org.nsreg.Registry1.Upstream", "Upstreams", upstream_columns,
                             ELEMENTSOF(upstream_columns), read_upstream, NULL);
}

/* --- reserved --- */

static const struct column reserved_columns[] = { { "NAME", "Name", COLUMN_TEXT },
                                                  { "REFUSED KEY", "RefusedKeyFingerprint", COLUMN_WIDE } };

int verb_reserved(struct context *context, int argc, char *argv[])
{
        struct table *table = table_new("Reserved", reserved_columns, ELEMENTSOF(reserved_columns),
                                        context->output, context->legend);
        const char *name, *fingerprint;
        char after[1100] = "";
        unsigned n;
        int r;

        if (!table)
                return say_no_memory();
        do {
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus_message *reply = NULL;

                n = 0;
                r = call_method(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "ListReserved",
                                &error, &reply, "su", after, 0);
                if (r < 0)
                        r = report(REGISTRY_SERVICE, &error, r);
                else
                        r = sd_bus_message_enter_container(reply, 'a', "(ss)");
                while (r >= 0 && (r = sd_bus_message_read(reply, "(ss)", &name, &fingerprint)) > 0) {
                        snprintf(after, sizeof(after), "%s", name);
                        n++;
                        r = table_row(table);
                        if (r >= 0)
                                r = table_set(table, 0, name);
                        if (r >= 0)
                                r = table_set(table, 1, fingerprint);
                }
                sd_bus_error_free(&error);
                sd_bus_message_unref(reply);
        } while (r >= 0 && n > 0);
        if (r >= 0)
                r = table_print(table);
        table_free(table);
        return r;
}

/* --- changing --- */

int verb_change(struct context *context, int argc, char *argv[])
{
        static const struct {
                const char *verb, *method, *done;
        } changes[] = {
                { "revoke", "Revoke", "is free; its records are being taken out of the DNS" },
                { "withdraw", "Withdraw", "stays claimed; its records are being taken out of the DNS" },
                { "reserve", "Reserve", "is reserved; nobody can claim it" },
                { "unreserve", "Unreserve", "can be claimed again" },
                { "abandon-import", "AbandonImport", "gives new names again" },
                { "forget", "ForgetUpstream", "is forgotten; what is left there is yours to remove" },
        };
        sd_bus_error error = SD_BUS_ERROR_NULL;
        size_t which = 0;
        int r;

        while (!streq(changes[which].verb, argv[0]))
                which++;
        be_patient(context);
        if (which == 0)
                r = call_method(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "Revoke", &error,
                                NULL, "sb", argv[1], context->block);
        else
                r = call_method(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER,
                                changes[which].method, &error, NULL, "s", argv[1]);
        if (r < 0)
                r = report(REGISTRY_SERVICE, &error, r);
        else if (context->output == OUTPUT_TABLE && context->legend)
                printf("%s %s.\n", argv[1], changes[which].done);
        sd_bus_error_free(&error);
        return r;
}

struct simple {
        const char *verb, *method, *done;
};

static int call_simple(struct context *context, const char *service, const char *path, const char *interface,
                       const struct simple *simple)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        be_patient(context);
        r = call_method(context, service, path, interface, simple->method, &error, NULL, NULL);
        if (r < 0)
                r = report(service, &error, r);
        else if (context->output == OUTPUT_TABLE && context->legend)
                printf("%s.\n", simple->done);
        sd_bus_error_free(&error);
        return r;
}

int verb_simple(struct context *context, int argc, char *argv[])
{
        static const struct simple simples[] = {
                { "flush", "Flush", "What DNS servers did not take is being tried again" },
                { "reconcile", "Reconcile",
                  "DNS servers are being compared with what they should have, and repaired" },
                { "reload", "Reload", "The configuration was read again and is in force" },
        };
        size_t which = 0;

        while (!streq(simples[which].verb, argv[0]))
                which++;
        return call_simple(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, &simples[which]);
}

/* --- statistics --- */

static const struct column statistics_columns[] = { { "COUNTER", "Counter", COLUMN_TEXT },
                                                    { "VALUE", "Value", COLUMN_NUMBER } };

static void print_prometheus(const char *key, uint64_t value)
{
        char name[80];

        snprintf(name, sizeof(name), "%s", key);
        for (char *c = name; *c; c++)
                if (*c == '-')
                        *c = '_';
        /* What goes down again is a gauge. */
        if (streq(key, "waiting") || streq(key, "store-pending"))
                printf("# TYPE nsreg_%s gauge\nnsreg_%s %" PRIu64 "\n", name, name, value);
        else
                printf("# TYPE nsreg_%s_total counter\nnsreg_%s_total %" PRIu64 "\n", name, name, value);
}

int verb_statistics(struct context *context, int argc, char *argv[])
{
        struct table *table = table_new("Statistics", statistics_columns, ELEMENTSOF(statistics_columns),
                                        context->output, context->legend);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL, *count = NULL;
        uint64_t value, names = 0;
        const char *key;
        int r;

        if (!table)
                return say_no_memory();
        r = call_get(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "Registrations", "t", &error,
                     &count);
        if (r >= 0)
                r = sd_bus_message_read(count, "t", &names);
        if (r >= 0)
                r = call_get(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "Statistics",
                             "a{st}", &error, &reply);
        if (r < 0) {
                r = report(REGISTRY_SERVICE, &error, r);
                goto finish;
        }
        if (context->prometheus)
                printf("# TYPE nsreg_registrations gauge\nnsreg_registrations %" PRIu64 "\n", names);
        r = sd_bus_message_enter_container(reply, 'a', "{st}");
        while (r >= 0 && (r = sd_bus_message_read(reply, "{st}", &key, &value)) > 0) {
                if (context->prometheus) {
                        print_prometheus(key, value);
                        continue;
                }
                r = table_row(table);
                if (r >= 0)
                        r = table_set(table, 0, key);
                if (r >= 0)
                        r = table_set_number(table, 1, value);
        }
        if (r >= 0 && !context->prometheus)
                r = table_print(table);
finish:
        sd_bus_error_free(&error);
        sd_bus_message_unref(count);
        sd_bus_message_unref(reply);
        table_free(table);
        return r;
}

/* --- the client --- */

enum { CLIENT_ZONE, CLIENT_NAME, CLIENT_STATE, CLIENT_SERVER, CLIENT_REGISTERED, CLIENT_NEXT, CLIENT_ERROR };

static const struct column client_columns[] = {
        [CLIENT_ZONE] = { "ZONE", "Zone", COLUMN_TEXT },
        [CLIENT_NAME] = { "NAME", "Name", COLUMN_TEXT },
        [CLIENT_STATE] = { "STATE", "State", COLUMN_TEXT },
        [CLIENT_SERVER] = { "SERVER", "Server", COLUMN_TEXT },
        [CLIENT_REGISTERED] = { "REGISTERED", "Registered", COLUMN_WORDS },
        [CLIENT_NEXT] = { "NEXT", "NextRefreshUSec", COLUMN_TIME },
        [CLIENT_ERROR] = { "LAST ERROR", "LastError", COLUMN_WIDE },
};

static int read_client_zone(void *userdata, const char *path, sd_bus_message *properties)
{
        struct table *table = userdata;
        _cleanup_free_ char *registered = NULL;
        const char *key, *state;
        uint64_t usec;
        int r = table_row(table);

        while (r >= 0 && (r = next_property(properties, &key)) > 0) {
                if (streq(key, "Zone"))
                        r = set_string(table, CLIENT_ZONE, properties);
                else if (streq(key, "Name"))
                        r = set_string(table, CLIENT_NAME, properties);
                else if (streq(key, "Server"))
                        r = set_string(table, CLIENT_SERVER, properties);
                else if (streq(key, "LastError"))
                        r = set_string(table, CLIENT_ERROR, properties);
                else if (streq(key, "State")) {
                        r = property_string(properties, &state);
                        if (r >= 0)
                                r = table_set(table, CLIENT_STATE, state);
                        if (r >= 0)
                                table_colour(table, CLIENT_STATE,
                                             streq(state, "registered") ? "green" : "yellow");
                } else if (streq(key, "Registered")) {
                        r = property_strings(properties, &registered);
                        if (r >= 0)
                                r = table_set(table, CLIENT_REGISTERED, registered);
                } else if (streq(key, "NextRefreshUSec")) {
                        r = property_number(properties, 't', &usec);
                        if (r >= 0)
                                r = table_set_time(table, CLIENT_NEXT, usec);
                } else
                        r = property_skip(properties);
        }
        return r;
}

enum { LEFT_OUT_ADDRESS, LEFT_OUT_INTERFACE, LEFT_OUT_RULE };

static const struct column left_out_columns[] = {
        [LEFT_OUT_ADDRESS] = { "ADDRESS", "Address", COLUMN_TEXT },
        [LEFT_OUT_INTERFACE] = { "INTERFACE", "Interface", COLUMN_TEXT },
        [LEFT_OUT_RULE] = { "LEFT OUT BY", "Rule", COLUMN_WIDE },
};

static int read_left_out(struct table *table, sd_bus_message *reply)
{
        const char *address, *interface, *rule;
        int r = sd_bus_message_enter_container(reply, 'a', "(sss)");

        while (r >= 0 && (r = sd_bus_message_read(reply, "(sss)", &address, &interface, &rule)) > 0) {
                r = table_row(table);
                if (r >= 0)
                        r = table_set(table, LEFT_OUT_ADDRESS, address);
                if (r >= 0)
                        r = table_set(table, LEFT_OUT_INTERFACE, interface);
                if (r >= 0)
                        r = table_set(table, LEFT_OUT_RULE, rule);
        }
        return r;
}

/* Addresses that are not registered, by which rule; people are not told that there are none. */
static int print_left_out(struct context *context, sd_bus_message *reply)
{
        struct table *table = table_new("LeftOut", left_out_columns, ELEMENTSOF(left_out_columns),
                                        context->output, context->legend);
        int r;

        if (!table)
                return say_no_memory();
        r = read_left_out(table, reply);
        if (r < 0)
                r = say_unreadable(r);
        else if (context->whole)
                table_write(table, context->whole);
        else if (table_rows(table) > 0) {
                putchar('\n');
                r = table_print(table);
        }
        table_free(table);
        return r;
}

static int print_client(struct context *context, sd_bus_message *left_out)
{
        int r = print_objects(context, CLIENT_SERVICE, CLIENT_PATH, "org.nsreg.Client1.Zone", "Client",
                              client_columns, ELEMENTSOF(client_columns), read_client_zone,
                              "No zone to register in: none is configured, and none was found.");

        return r < 0 ? r : print_left_out(context, left_out);
}

static int print_client_alone(struct context *context, sd_bus_message *left_out)
{
        struct json json = { .pretty = context->output == OUTPUT_JSON_PRETTY };
        int r;

        context->whole = &json;
        json_begin(&json, NULL, '{');
        r = print_client(context, left_out);
        json_end(&json, '}');
        context->whole = NULL;
        return r;
}

int client_status(struct context *context)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *left_out = NULL;
        int r;

        r = call_get(context, CLIENT_SERVICE, CLIENT_PATH, CLIENT_MANAGER, "LeftOut", "a(sss)", &error,
                     &left_out);
        if (r < 0)
                r = report(CLIENT_SERVICE, &error, r);
        else if (context->output == OUTPUT_TABLE || context->whole)
                r = print_client(context, left_out);
        else
                r = print_client_alone(context, left_out);
        sd_bus_error_free(&error);
        sd_bus_message_unref(left_out);
        return r;
}

int verb_client(struct context *context, int argc, char *argv[])
{
        static const struct simple simples[] = {
                { "refresh", "Refresh", "The name is being registered again" },
                { "release", "Release", "The name is being given up" },
                { "rediscover", "Rediscover", "Zones and registrars are being looked for" },
                { "reload", "Reload", "The configuration was read again and is in force" },
        };

        if (argc < 2 || streq(argv[1], "status"))
                return client_status(context);
        for (size_t i = 0; i < ELEMENTSOF(simples); i++)
                if (streq(argv[1], simples[i].verb))
                        return call_simple(context, CLIENT_SERVICE, CLIENT_PATH, CLIENT_MANAGER, &simples[i]);
        fprintf(stderr,
                "nsregctl: \"client %s\" is unknown: status, refresh, release, rediscover or reload.\n",
                argv[1]);
        return -EINVAL;
}
