/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "nsregd/bus-guard.h"
#include "nsregd/bus-objects.h"

#define CALLS_PER_SECOND 100U
/* Whoever shows the tree asks once for each of a thousand names. */
#define CALLS_AT_ONCE 1500U
/* Connections share a table of this size by hash. */
#define CALLERS 1024U

/* Thousandths of a call. */
struct caller {
        usec_t filled_usec;
        uint32_t calls;
};

static struct caller callers[CALLERS];

static struct caller *find_caller(const char *sender)
{
        uint32_t hash = 2166136261U;

        for (; *sender; sender++)
                hash = (hash ^ (uint8_t) *sender) * 16777619U;
        return &callers[hash % CALLERS];
}

static bool take_call(struct caller *caller)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);
        uint64_t passed_msec = MIN((now - caller->filled_usec) / USEC_PER_MSEC, UINT64_C(60000));

        if (passed_msec > 0) {
                caller->calls = (uint32_t) MIN(caller->calls + passed_msec * CALLS_PER_SECOND,
                                               (uint64_t) CALLS_AT_ONCE * 1000);
                caller->filled_usec = now;
        }
        if (caller->calls < 1000)
                return false;
        caller->calls -= 1000;
        return true;
}

/* Pages take turns as it is, and whoever lists all names asks for hundreds. */
static bool is_shared_out(sd_bus_message *message)
{
        return sd_bus_message_is_method_call(message, BUS_MANAGER_INTERFACE, "ListRegistrations") > 0 ||
               sd_bus_message_is_method_call(message, BUS_MANAGER_INTERFACE, "ListReserved") > 0;
}

static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const struct context *context = userdata;
        const char *sender = sd_bus_message_get_sender(message);

        if (!sender || sd_bus_message_is_method_call(message, NULL, NULL) <= 0 || is_shared_out(message))
                return 0;
        if (take_call(find_caller(sender)) || !quota_is_busy(context->quota))
                return 0;
        /* Who asked may be gone. */
        (void) sd_bus_reply_method_errorf(message, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                          "Too many calls; try again later");
        return 1;
}

int bus_guard_add(sd_bus *bus, struct context *context)
{
        return sd_bus_add_filter(bus, NULL, on_message, context);
}
