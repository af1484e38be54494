/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* All about one name. */

#include <inttypes.h>
#include <stdio.h>

#include "dns/rdata.h"
#include "nsregctl/verbs.h"
#include "util/macro.h"
#include "util/time.h"

/* One of both: a table for people, or JSON. */
struct view {
        struct table *table;
        struct json json;
};

enum { SHOW_KEY, SHOW_VALUE };

static const struct column show_columns[] = {
        [SHOW_KEY] = { "PROPERTY", "Property", COLUMN_TEXT },
        [SHOW_VALUE] = { "VALUE", "Value", COLUMN_TEXT },
};

/* What a property is called for people and in JSON. */
static const struct label {
        const char *property;
        const char *title;
        const char *key;
        char type;
} labels[] = {
        { "Name", "Name", "Name", 's' },
        { "Zone", "Zone", "Zone", 's' },
        { "Algorithm", "Algorithm", "Algorithm", 's' },
        { "KeyTag", "Key tag", "KeyTag", 'q' },
        { "KeyFingerprint", "Key fingerprint", "KeyFingerprint", 's' },
        { "KeyLeaseEndUSec", "Key lease ends", "KeyLeaseEndUSec", 't' },
        { "ClaimedUSec", "Claimed", "ClaimedUSec", 't' },
        { "LastSeenUSec", "Last seen", "LastSeenUSec", 't' },
        { "Source", "Source", "Source", 's' },
};

static int row(struct view *view, const char *title, const char *value)
{
        int r = table_row(view->table);

        if (r >= 0)
                r = table_set(view->table, SHOW_KEY, title);
        return r < 0 ? r : table_set(view->table, SHOW_VALUE, value);
}

static int row_time(struct view *view, const char *title, uint64_t usec)
{
        char text[TIMESTAMP_FORMAT_MAX] = "";

        return row(view, title, usec > 0 ? timestamp_format(text, sizeof(text), usec) : "");
}

/* Out of the array, its variant and the property, unless reading has failed. */
static int leave_array(sd_bus_message *reply, int r)
{
        for (unsigned i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_exit_container(reply);
        return r;
}

static int show_published(sd_bus_message *reply, struct view *view)
{
        const char *upstream;
        int published, r;

        if (!view->table)
                json_begin(&view->json, "Upstreams", '[');
        r = sd_bus_message_enter_container(reply, 'v', "a{sb}");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "{sb}");
        while (r >= 0 && (r = sd_bus_message_read(reply, "{sb}", &upstream, &published)) > 0) {
                char title[1100];

                if (!view->table) {
                        json_begin(&view->json, NULL, '{');
                        json_string(&view->json, "Upstream", upstream);
                        json_boolean(&view->json, "Published", published);
                        json_end(&view->json, '}');
                        continue;
                }
                snprintf(title, sizeof(title), "Published %s", upstream);
                r = row(view, title, published ? "yes" : "not yet");
        }
        if (!view->table)
                json_end(&view->json, ']');
        return leave_array(reply, r);
}

static int show_addresses(sd_bus_message *reply, struct view *view)
{
        _cleanup_free_ char *addresses = NULL;
        char *rest, *address;
        uint64_t end_usec;
        int r;

        r = sd_bus_message_enter_container(reply, 'v', "a(iayt)");
        if (r >= 0)
                r = read_addresses(reply, &addresses, &end_usec);
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r < 0)
                return r;
        if (view->table) {
                r = row(view, "Addresses", addresses);
                return r < 0 ? r : row_time(view, "Lease ends", end_usec);
        }
        json_begin(&view->json, "Addresses", '[');
        rest = addresses;
        while ((address = strsep(&rest, " ")))
                if (address[0])
                        json_string(&view->json, NULL, address);
        json_end(&view->json, ']');
        json_number(&view->json, "LeaseEndUSec", end_usec);
        return 0;
}

static int show_record(sd_bus_message *reply, struct view *view)
{
        _cleanup_free_ char *text = NULL, *title = NULL;
        char type_text[RDATA_TYPE_FORMAT_MAX];
        const void *octets;
        uint64_t end_usec;
        const char *name;
        uint16_t type;
        size_t size;
        int r;

        r = sd_bus_message_read(reply, "sq", &name, &type);
        if (r >= 0)
                r = sd_bus_message_read_array(reply, 'y', &octets, &size);
        if (r >= 0)
                r = sd_bus_message_read(reply, "t", &end_usec);
        if (r < 0)
                return r;
        text = rdata_format(type, octets, size);
        if (!text)
                return -ENOMEM;
        rdata_type_format(type, type_text);
        if (view->table) {
                if (asprintf(&title, "%s at %s", type_text, name) < 0) {
                        title = NULL;
                        return -ENOMEM;
                }
                return row(view, title, text);
        }
        json_begin(&view->json, NULL, '{');
        json_string(&view->json, "Name", name);
        json_string(&view->json, "Type", type_text);
        json_string(&view->json, "Data", text);
        json_number(&view->json, "LeaseEndUSec", end_usec);
        json_end(&view->json, '}');
        return 0;
}

static int show_records(sd_bus_message *reply, struct view *view)
{
        int r;

        if (!view->table)
                json_begin(&view->json, "Records", '[');
        r = sd_bus_message_enter_container(reply, 'v', "a(sqayt)");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(sqayt)");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "sqayt")) > 0) {
                r = show_record(reply, view);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (!view->table)
                json_end(&view->json, ']');
        return leave_array(reply, r);
}

static int show_label(sd_bus_message *reply, const struct label *label, struct view *view)
{
        const char *text;
        uint64_t number;
        char digits[24];
        int r;

        if (label->type == 's') {
                r = property_string(reply, &text);
                if (r < 0)
                        return r;
                if (view->table)
                        return row(view, label->title, text);
                json_string(&view->json, label->key, text);
                return 0;
        }
        r = property_number(reply, label->type, &number);
        if (r < 0)
                return r;
        if (!view->table) {
                json_number(&view->json, label->key, number);
                return 0;
        }
        if (label->type == 't')
                return row_time(view, label->title, number);
        snprintf(digits, sizeof(digits), "%" PRIu64, number);
        return row(view, label->title, digits);
}

static int show_property(sd_bus_message *reply, const char *property, struct view *view)
{
        if (streq(property, "Addresses"))
                return show_addresses(reply, view);
        if (streq(property, "Records"))
                return show_records(reply, view);
        if (streq(property, "Published"))
                return show_published(reply, view);
        for (size_t i = 0; i < ELEMENTSOF(labels); i++)
                if (streq(property, labels[i].property))
                        return show_label(reply, &labels[i], view);
        return property_skip(reply);
}

static int show_all(struct context *context, sd_bus_message *reply)
{
        struct view view = { .json.pretty = context->output == OUTPUT_JSON_PRETTY };
        const char *property;
        int r;

        if (context->output == OUTPUT_TABLE) {
                view.table = table_new("registration", show_columns, ELEMENTSOF(show_columns), OUTPUT_TABLE,
                                       false);
                if (!view.table)
                        return say_no_memory();
        } else
                json_begin(&view.json, NULL, '{');
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = next_property(reply, &property)) > 0)
                r = show_property(reply, property, &view);
        if (!view.table)
                json_end(&view.json, '}');
        if (r < 0)
                r = say_unreadable(r);
        else if (view.table)
                r = table_print(view.table);
        table_free(view.table);
        return r;
}

/* The names that have this as their first label, joined by blanks and owned by the caller; *ret_n of them. */
static int names_of_label(struct context *context, const char *label, char **ret, unsigned *ret_n)
{
        _cleanup_free_ char *names = strdup("");
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *name;
        int r;

        *ret_n = 0;
        /* Nobody has one label in so many zones that a page would not hold them. */
        r = call_method(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "ListRegistrations",
                        &error, &reply, "sssu", "", label, "", 0);
        if (r < 0)
                r = report(REGISTRY_SERVICE, &error, r);
        else
                r = sd_bus_message_enter_container(reply, 'a', "(sssqttsa(iayt)b)");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "sssqttsa(iayt)b")) > 0) {
                char *longer = NULL;

                r = sd_bus_message_read(reply, "s", &name);
                if (r < 0)
                        break;
                if (!names || asprintf(&longer, "%s%s%s", names, *ret_n > 0 ? " " : "", name) < 0) {
                        r = say_no_memory();
                        break;
                }
                free(names);
                names = longer;
                ++*ret_n;
                r = sd_bus_message_skip(reply, "ssqttsa(iayt)b");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r >= 0)
                *ret = TAKE_PTR(names);
        sd_bus_error_free(&error);
        sd_bus_message_unref(reply);
        return r;
}

/* A name is told in full, but for one that its first label alone tells; owned by the caller. */
static int find_name(struct context *context, const char *word, char **ret)
{
        _cleanup_free_ char *names = NULL;
        unsigned n = 0;
        int r;

        if (!word[strcspn(word, ".*?[\\")]) {
                r = names_of_label(context, word, &names, &n);
                if (r < 0)
                        return r;
        }
        if (n > 1) {
                fprintf(stderr, "nsregctl: \"%s\" is more than one name: %s.\n", word, names);
                return -ENOTUNIQ;
        }
        *ret = n == 1 ? TAKE_PTR(names) : strdup(word);
        return *ret ? 0 : say_no_memory();
}

int verb_show(struct context *context, int argc, char *argv[])
{
        sd_bus_message *found = NULL, *reply = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *name = NULL;
        const char *path;
        int r;

        r = find_name(context, argv[1], &name);
        if (r < 0)
                return r;
        r = call_method(context, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER, "GetRegistration", &error,
                        &found, "s", name);
        if (r >= 0)
                r = sd_bus_message_read(found, "o", &path);
        if (r >= 0)
                r = call_method(context, REGISTRY_SERVICE, path, "org.freedesktop.DBus.Properties", "GetAll",
                                &error, &reply, "s", "org.nsreg.Registry1.Registration");
        r = r < 0 ? report(REGISTRY_SERVICE, &error, r) : show_all(context, reply);
        sd_bus_error_free(&error);
        sd_bus_message_unref(found);
        sd_bus_message_unref(reply);
        return r;
}
