/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "nsregctl/verbs.h"
#include "util/macro.h"
#include "util/time.h"

/* Everything that can be told, one line an event, JSON one object a line. */
struct event_kind {
        const char *member;
        const char *signature;
        const char *fields[3];
        const char *format; /* for people, of the fields */
};

static const struct event_kind kinds[] = {
        { "NameClaimed", "ss", { "Name", "Source" }, "%s claimed from %s" },
        { "NameReleased", "s", { "Name" }, "%s released" },
        { "KeyChanged", "ss", { "Name", "KeyFingerprint" }, "%s has a new key, %s" },
        { "NameExpired", "s", { "Name" }, "%s expired" },
        { "NamesExpired", "t", { "Count" }, "%s more names expired" },
        { "ClaimRefused", "sss", { "Name", "Source", "Reason" }, "%s refused to %s: %s" },
};

static void print_people(const char *time, const struct event_kind *kind, const char *const values[static 3])
{
        unsigned n = 0;

        printf("%s ", time);
        for (const char *c = kind->format; *c; c++)
                if (c[0] == '%' && c[1] == 's') {
                        fputs(values[n][0] ? values[n] : "-", stdout);
                        n++;
                        c++;
                } else
                        putchar(*c);
        putchar('\n');
}

static void print_event(const struct context *context, const struct event_kind *kind,
                        const char *const values[static 3])
{
        char time[TIMESTAMP_FORMAT_MAX];
        usec_t now = now_usec(CLOCK_REALTIME);
        struct json json = { 0 };

        if (context->output == OUTPUT_TABLE)
                print_people(timestamp_format(time, sizeof(time), now), kind, values);
        else {
                json_begin(&json, NULL, '{');
                json_number(&json, "TimeUSec", now);
                json_string(&json, "Event", kind->member);
                for (unsigned i = 0; i < ELEMENTSOF(kind->fields) && kind->fields[i]; i++)
                        if (kind->signature[i] == 't')
                                json_number(&json, kind->fields[i], strtoull(values[i], NULL, 10));
                        else
                                json_string(&json, kind->fields[i], values[i]);
                json_end(&json, '}');
        }
        fflush(stdout);
}

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *values[3] = { "", "", "" };
        char number[24];
        uint64_t count;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if (!sd_bus_message_is_signal(message, REGISTRY_MANAGER, kinds[i].member))
                        continue;
                for (unsigned j = 0; kinds[i].signature[j]; j++)
                        if (kinds[i].signature[j] == 't') {
                                if (sd_bus_message_read(message, "t", &count) < 0)
                                        return 0;
                                snprintf(number, sizeof(number), "%" PRIu64, count);
                                values[j] = number;
                        } else if (sd_bus_message_read(message, "s", &values[j]) < 0)
                                return 0;
                print_event(userdata, &kinds[i], values);
        }
        return 0;
}

int verb_monitor(struct context *context, int argc, char *argv[])
{
        sd_event *event = NULL;
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        r = sd_event_new(&event);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_bus_match_signal(context->bus, NULL, REGISTRY_SERVICE, REGISTRY_PATH, REGISTRY_MANAGER,
                                        NULL, on_signal, context);
        if (r >= 0)
                r = sd_bus_attach_event(context->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0 && context->output == OUTPUT_TABLE && context->legend)
                fprintf(stderr, "Watching; end with ^C.\n");
        if (r >= 0)
                r = sd_event_loop(event);
        if (r < 0)
                fprintf(stderr, "nsregctl: Cannot watch: %s.\n", strerror(-r));
        sd_bus_detach_event(context->bus);
        sd_event_unref(event);
        return r < 0 ? r : 0;
}
