/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <bsd/sys/queue.h>
#include <unistd.h>

#include "bus/bus-authorize.h"
#include "util/log.h"
#include "util/macro.h"

#define POLKIT_ALLOW_INTERACTION 1U

/* polkit may ask a person for a password. */
#define POLKIT_TIMEOUT_USEC (120U * 1000000U)

/* Calls of one connection, and of all, that wait to be allowed. */
#define WAITING_PER_SENDER 16
#define WAITING            512

struct bus_authorization {
        LIST_ENTRY(bus_authorization) waiting;
        sd_bus_message *message;
        const char *action; /* a constant */
        bus_allowed allowed;
        void *userdata;
};

static LIST_HEAD(, bus_authorization) waiting;
static unsigned n_waiting;

static void authorization_begin(struct bus_authorization *authorization)
{
        sd_bus_message_ref(authorization->message);
        LIST_INSERT_HEAD(&waiting, authorization, waiting);
        n_waiting++;
}

static bool may_wait(sd_bus_message *message)
{
        const char *sender = sd_bus_message_get_sender(message) ?: "";
        const struct bus_authorization *other;
        unsigned n = 0;

        LIST_FOREACH (other, &waiting, waiting)
                n += streq(sd_bus_message_get_sender(other->message) ?: "", sender);
        return n < WAITING_PER_SENDER && n_waiting < WAITING;
}

static void authorization_free(void *userdata)
{
        struct bus_authorization *authorization = userdata;

        LIST_REMOVE(authorization, waiting);
        n_waiting--;
        sd_bus_message_unref(authorization->message);
        free(authorization);
}

static int deny(const struct bus_authorization *authorization, const char *text)
{
        return sd_bus_reply_method_errorf(authorization->message, SD_BUS_ERROR_ACCESS_DENIED, "%s", text);
}

static int go_on(const struct bus_authorization *authorization)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = authorization->allowed(authorization->message, authorization->userdata, &error);
        if (r < 0)
                r = sd_bus_error_is_set(&error) ? sd_bus_reply_method_error(authorization->message, &error)
                                                : sd_bus_reply_method_errno(authorization->message, r, NULL);
        sd_bus_error_free(&error);
        return r;
}

static int on_polkit(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct bus_authorization *authorization = userdata;
        int authorized, challenge, r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                log_debug("polkit: %s", sd_bus_message_get_error(reply)->message);
                return deny(authorization, "Only root may do this (polkit does not answer)");
        }
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0)
                return deny(authorization, "polkit's answer makes no sense");
        if (!authorized)
                return deny(authorization, challenge ? "Authentication is needed; try again as root"
                                                     : "Permission denied; try again as root");
        return go_on(authorization);
}

static int ask_polkit(struct bus_authorization *authorization)
{
        sd_bus *bus = sd_bus_message_get_bus(authorization->message);
        sd_bus_message *call = NULL;
        sd_bus_slot *slot = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &call, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(
                        call, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                        sd_bus_message_get_sender(authorization->message), authorization->action, 0,
                        sd_bus_message_get_allow_interactive_authorization(authorization->message) > 0
                                ? POLKIT_ALLOW_INTERACTION
                                : 0,
                        "");
        if (r >= 0)
                r = sd_bus_call_async(bus, &slot, call, on_polkit, authorization, POLKIT_TIMEOUT_USEC);
        sd_bus_message_unref(call);
        if (r < 0)
                return r;
        /* The slot floats: it lives until the answer, and takes the authorization with it. */
        sd_bus_slot_set_destroy_callback(slot, authorization_free);
        sd_bus_slot_set_floating(slot, true);
        sd_bus_slot_unref(slot);
        return 0;
}

static int on_user(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct bus_authorization *authorization = userdata, *next;
        uint32_t uid;

        if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "u", &uid) < 0)
                return deny(authorization, "The bus does not say who asks");
        /* Who runs the daemon could do worse to it than ask. */
        if (uid == 0 || uid == geteuid())
                return go_on(authorization);

        next = malloc(sizeof(*next));
        if (!next)
                return deny(authorization, "Out of memory");
        *next = *authorization;
        authorization_begin(next);
        if (ask_polkit(next) < 0) {
                authorization_free(next);
                return deny(authorization, "Only root may do this");
        }
        return 1;
}

int bus_authorize(sd_bus_message *message, const char *action, bus_allowed allowed, void *userdata)
{
        struct bus_authorization *authorization;
        sd_bus_slot *slot = NULL;
        int r;

        if (!may_wait(message))
                return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                                  "Wait for the answers to what you asked before");
        authorization = malloc(sizeof(*authorization));
        if (!authorization)
                return -ENOMEM;
        *authorization = (struct bus_authorization){
                .message = message, .action = action, .allowed = allowed, .userdata = userdata
        };
        authorization_begin(authorization);
        r = sd_bus_call_method_async(sd_bus_message_get_bus(message), &slot, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixUser",
                                     on_user, authorization, "s", sd_bus_message_get_sender(message));
        if (r < 0) {
                authorization_free(authorization);
                return r;
        }
        sd_bus_slot_set_destroy_callback(slot, authorization_free);
        sd_bus_slot_set_floating(slot, true);
        sd_bus_slot_unref(slot);
        return 1;
}
