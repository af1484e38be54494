/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Both daemons at a glance. */

#include <stdio.h>

#include "nsregctl/verbs.h"

static bool is_running(struct context *context, const char *service)
{
        sd_bus_message *reply = NULL;
        int running = false;

        if (call_method(context, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                        "NameHasOwner", NULL, &reply, "s", service) >= 0)
                (void) sd_bus_message_read(reply, "b", &running);
        sd_bus_message_unref(reply);
        return running;
}

static int status_for_people(struct context *context, bool registrar, bool client)
{
        int r = 0;

        printf("Registrar (nsregd): %s\n", registrar ? "running" : "not running");
        if (registrar)
                r = verb_zones(context, 0, NULL);
        if (registrar && r >= 0) {
                putchar('\n');
                r = verb_upstreams(context, 0, NULL);
        }
        printf("%sClient (nsregc): %s\n", registrar ? "\n" : "", client ? "running" : "not running");
        if (client && r >= 0)
                r = client_status(context);
        return r;
}

static int status_for_scripts(struct context *context, bool registrar, bool client)
{
        struct json json = { .pretty = context->output == OUTPUT_JSON_PRETTY };
        int r = 0;

        context->whole = &json;
        json_begin(&json, NULL, '{');
        json_boolean(&json, "RegistrarRunning", registrar);
        if (registrar)
                r = verb_zones(context, 0, NULL);
        if (registrar && r >= 0)
                r = verb_upstreams(context, 0, NULL);
        json_boolean(&json, "ClientRunning", client);
        if (client && r >= 0)
                r = client_status(context);
        json_end(&json, '}');
        context->whole = NULL;
        return r;
}

int verb_status(struct context *context, int argc, char *argv[])
{
        bool registrar = is_running(context, REGISTRY_SERVICE), client = is_running(context, CLIENT_SERVICE);

        return context->output == OUTPUT_TABLE ? status_for_people(context, registrar, client)
                                               : status_for_scripts(context, registrar, client);
}
