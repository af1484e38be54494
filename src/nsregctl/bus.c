/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading what the daemons show. */

#include <stdarg.h>
#include <stdio.h>

#include "nsregctl/verbs.h"
#include "util/macro.h"

int call_method(struct context *context, const char *service, const char *path, const char *interface,
                const char *member, sd_bus_error *error, sd_bus_message **ret, const char *types, ...)
{
        sd_bus_message *call = NULL;
        va_list arguments;
        int r;

        r = sd_bus_message_new_method_call(context->bus, &call, service, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0 && types) {
                va_start(arguments, types);
                r = sd_bus_message_appendv(call, types, arguments);
                va_end(arguments);
        }
        if (r >= 0)
                r = sd_bus_call(context->bus, call, 0, error, ret);
        sd_bus_message_unref(call);
        return r;
}

int call_get(struct context *context, const char *service, const char *path, const char *interface,
             const char *property, const char *type, sd_bus_error *error, sd_bus_message **ret)
{
        sd_bus_message *reply = NULL;
        int r;

        r = call_method(context, service, path, "org.freedesktop.DBus.Properties", "Get", error, &reply, "ss",
                        interface, property);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'v', type);
        if (r >= 0)
                *ret = reply;
        else
                sd_bus_message_unref(reply);
        return r < 0 ? r : 0;
}

void be_patient(struct context *context)
{
        (void) sd_bus_set_allow_interactive_authorization(context->bus, true);
        (void) sd_bus_set_method_call_timeout(context->bus, UINT64_MAX);
}

int report(const char *service, const sd_bus_error *error, int r)
{
        const char *program = streq(service, CLIENT_SERVICE) ? "nsregc" : "nsregd";

        if (sd_bus_error_has_names(error, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                fprintf(stderr, "nsregctl: %s does not run here. Start it with: systemctl start %s\n",
                        program,
                        streq(program, "nsregd") ? "nsregd.socket nsregd.service" : "nsregc.service");
        else if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED))
                fprintf(stderr, "nsregctl: %s.\n", error->message ?: "Access denied; try again as root");
        else if (sd_bus_error_is_set(error))
                fprintf(stderr, "nsregctl: %s.\n", error->message ?: error->name);
        else
                fprintf(stderr, "nsregctl: %s: %s.\n", service, strerror(-r));
        /* -EINVAL would say that the command line is wrong. */
        return r < 0 && r != -EINVAL ? r : -EIO;
}

int next_property(sd_bus_message *message, const char **ret_key)
{
        int r = sd_bus_message_enter_container(message, 'e', "sv");

        return r <= 0 ? r : sd_bus_message_read(message, "s", ret_key);
}

static int leave(sd_bus_message *message, int r)
{
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(message);
        return r < 0 ? r : 0;
}

int property_string(sd_bus_message *message, const char **ret)
{
        return leave(message, sd_bus_message_read(message, "v", "s", ret));
}

int property_number(sd_bus_message *message, char type, uint64_t *ret)
{
        uint16_t u16;
        uint32_t u32;
        int boolean, r;

        switch (type) {
        case 'q':
                r = sd_bus_message_read(message, "v", "q", &u16);
                if (r >= 0)
                        *ret = u16;
                break;
        case 'u':
                r = sd_bus_message_read(message, "v", "u", &u32);
                if (r >= 0)
                        *ret = u32;
                break;
        case 'b':
                r = sd_bus_message_read(message, "v", "b", &boolean);
                if (r >= 0)
                        *ret = (uint64_t) boolean;
                break;
        default:
                r = sd_bus_message_read(message, "v", "t", ret);
                break;
        }
        return leave(message, r);
}

int property_skip(sd_bus_message *message)
{
        return leave(message, sd_bus_message_skip(message, "v"));
}

int property_strings(sd_bus_message *message, char **ret)
{
        _cleanup_free_ char *joined = strdup("");
        const char *contents, *item;
        int r;

        r = sd_bus_message_peek_type(message, NULL, &contents);
        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'v', contents);
        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'a', contents + 1);
        while (r >= 0 && (r = sd_bus_message_read_basic(message, contents[1], &item)) > 0) {
                char *longer = NULL;

                if (!joined || asprintf(&longer, "%s%s%s", joined, joined[0] ? " " : "", item) < 0)
                        return -ENOMEM;
                free(joined);
                joined = longer;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        r = leave(message, r);
        if (r >= 0)
                *ret = TAKE_PTR(joined);
        return r;
}

static int each_interface(sd_bus_message *reply, const char *path, const char *wanted,
                          object_callback callback, void *userdata)
{
        const char *interface;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read(reply, "s", &interface);
                if (r < 0)
                        return r;
                if (streq(interface, wanted)) {
                        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
                        if (r >= 0)
                                r = callback(userdata, path, reply);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(reply);
                } else
                        r = sd_bus_message_skip(reply, "a{sv}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

int each_object(struct context *context, const char *service, const char *path, const char *interface,
                object_callback callback, void *userdata)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *object;
        int r;

        r = call_method(context, service, path, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
                        &error, &reply, NULL);
        if (r < 0) {
                r = report(service, &error, r);
                sd_bus_error_free(&error);
                return r;
        }
        r = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_read(reply, "o", &object);
                if (r >= 0)
                        r = each_interface(reply, object, interface, callback, userdata);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        sd_bus_message_unref(reply);
        return r < 0 ? r : 0;
}
