/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/registrar.h"

#include <stdio.h>

#include "nsregc/random.h"
#include "nsregc/reach.h"
#include "nsregc/schedule.h"
#include "nsregc/targets.h"
#include "util/log.h"

#define SERVER_TEXT_MAX  320
#define CONNECT_USEC     (3 * USEC_PER_SEC)
#define PATIENCE_USEC    USEC_PER_SEC
#define HURRIED_USEC     (250 * USEC_PER_MSEC)
#define CLIENT_IDLE_USEC (2 * USEC_PER_SEC)
#define ABSENCES_MAX     6 /* in a row, over minutes: then whoever was there is believed to be gone */

struct registrar {
        sd_event *event;
        struct resolver *resolver;
        struct dns_name zone;
        const struct registrar_events *events;
        void *userdata;

        struct targets targets;
        usec_t until_usec; /* BOOTTIME: the targets are believed until then */
        bool passing;
        bool another;
        bool hurried;
        unsigned absences; /* in a row */
        usec_t timeout_usec;
        struct service_lookup *lookup;
        struct reach *reach;
        struct dns_client *client;
        const struct endpoint *endpoint; /* of the client */
        char server[SERVER_TEXT_MAX];
        char place[PLACE_MAX];
        char why[REGISTRAR_WHY_MAX]; /* of the pass */
};

static void why_add(struct registrar *registrar, const char *text)
{
        size_t used = strlen(registrar->why);

        (void) snprintf(registrar->why + used, sizeof(registrar->why) - used, "%s%s", used > 0 ? "; " : "",
                        text);
}

static const char *endpoint_text(const struct endpoint *endpoint, char text[static SERVER_TEXT_MAX])
{
        (void) snprintf(text, SERVER_TEXT_MAX, "%s@%u", endpoint->host, (unsigned) endpoint->port);
        return text;
}

/* Whichever of its targets is at hand, it is named by the same one. */
static void place_note(struct registrar *registrar)
{
        const struct service *service = &registrar->targets.service;
        char first[SERVER_TEXT_MAX] = "", text[SERVER_TEXT_MAX];
        struct address address;

        for (size_t i = 0; i < service->n_endpoints; i++) {
                endpoint_text(&service->endpoints[i], text);
                if (i == 0 || strcmp(text, first) < 0)
                        strcpy(first, text);
        }
        place_make(registrar->place, first,
                   address_parse(registrar->endpoint->host, &address) >= 0 ? &address : NULL);
}

static const char *connect_strerror(int error)
{
        switch (error) {
        case -ENXIO:
                return "the name has no address";
        case -EAGAIN:
                return "the name cannot be resolved now";
        default:
                return strerror(-error);
        }
}

static void client_drop(struct registrar *registrar)
{
        registrar->client = dns_client_free(registrar->client);
        registrar->endpoint = NULL;
}

static void on_failed(void *userdata, const struct endpoint *endpoint, int error)
{
        struct registrar *registrar = userdata;
        char text[SERVER_TEXT_MAX + 64];

        endpoint_text(endpoint, registrar->server);
        targets_failed(&registrar->targets, endpoint, now_usec(CLOCK_BOOTTIME));
        (void) snprintf(text, sizeof(text), "%s: %s", registrar->server, connect_strerror(error));
        why_add(registrar, text);
}

static void pass_end(struct registrar *registrar)
{
        registrar->passing = false;
        registrar->until_usec = 0;
}

static void on_done(void *userdata, struct dns_client *client, const struct endpoint *endpoint)
{
        struct registrar *registrar = userdata;
        bool another = registrar->another;

        registrar->reach = NULL;
        if (!client) {
                pass_end(registrar);
                registrar->events->unreachable(registrar->userdata, registrar->why);
                return;
        }
        registrar->client = client;
        registrar->endpoint = endpoint;
        endpoint_text(endpoint, registrar->server);
        place_note(registrar);
        registrar->another = false;
        registrar->events->reached(registrar->userdata, another);
}

static const struct reach_events reach_events = {
        .failed = on_failed,
        .done = on_done,
};

static int pass_go_on(struct registrar *registrar)
{
        struct reach_options options = {
                .connect_usec = MIN(registrar->timeout_usec, CONNECT_USEC),
                .patience_usec = registrar->hurried ? HURRIED_USEC : PATIENCE_USEC,
                .idle_usec = CLIENT_IDLE_USEC,
        };

        return reach_new(registrar->event, &options, &registrar->targets, &reach_events, registrar,
                         &registrar->reach);
}

static int pass_begin(struct registrar *registrar)
{
        targets_begin(&registrar->targets, now_usec(CLOCK_BOOTTIME));
        registrar->passing = true;
        registrar->why[0] = '\0';
        return pass_go_on(registrar);
}

static void pass_begin_or_fail(struct registrar *registrar)
{
        int r = pass_begin(registrar);

        if (r >= 0)
                return;
        pass_end(registrar);
        registrar->events->unreachable(registrar->userdata, strerror(-r));
}

static usec_t absent_span(const struct registrar *registrar, uint32_t ttl_sec)
{
        return schedule_absent(registrar->absences, ttl_sec, random_below(NULL, SCHEDULE_LOT));
}

/* No answer, or none that helps: whoever was there a while ago is there still, more likely than not. */
static bool go_on_with_old(struct registrar *registrar)
{
        if (registrar->targets.service.n_endpoints == 0)
                return false;
        registrar->until_usec = usec_add(now_usec(CLOCK_BOOTTIME), absent_span(registrar, 0));
        pass_begin_or_fail(registrar);
        return true;
}

static void on_absent(struct registrar *registrar, const struct service *service)
{
        char zone[DNS_NAME_FORMAT_MAX], why[DNS_NAME_FORMAT_MAX + 64];

        registrar->absences++;
        if (!service->none && registrar->absences < ABSENCES_MAX && go_on_with_old(registrar))
                return;
        service_clear(&registrar->targets.service);
        (void) snprintf(why, sizeof(why),
                        service->none ? "%s says that it has no registrar"
                                      : "%s has no SRV record _nsreg._tcp",
                        dns_name_format(&registrar->zone, zone));
        registrar->events->absent(registrar->userdata, absent_span(registrar, service->ttl_sec), why);
}

static void on_service(void *userdata, int error, const char *why, struct service *service)
{
        struct registrar *registrar = userdata;

        registrar->lookup = NULL;
        if (error < 0) {
                log_debug("asking for a registrar: %s", why);
                if (!go_on_with_old(registrar))
                        registrar->events->unreachable(registrar->userdata, why);
                return;
        }
        if (service->n_endpoints == 0) {
                on_absent(registrar, service);
                return;
        }
        registrar->absences = 0;
        if (registrar->targets.service.n_endpoints > 0 &&
            !service_equal(&registrar->targets.service, service))
                registrar->another = true;
        registrar->until_usec = usec_add(now_usec(CLOCK_BOOTTIME), MAX(service->ttl_sec, 1u) * USEC_PER_SEC);
        targets_set(&registrar->targets, service);
        pass_begin_or_fail(registrar);
}

int registrar_connect(struct registrar *registrar, usec_t timeout_usec)
{
        assert(!registrar_is_busy(registrar));
        client_drop(registrar);
        registrar->timeout_usec = timeout_usec;
        if (registrar->passing)
                return pass_go_on(registrar);
        if (registrar->targets.service.n_endpoints > 0 && registrar->until_usec > now_usec(CLOCK_BOOTTIME))
                return pass_begin(registrar);
        return service_lookup_new(registrar->resolver, &registrar->zone, on_service, registrar,
                                  &registrar->lookup);
}

bool registrar_is_busy(const struct registrar *registrar)
{
        return registrar->lookup || registrar->reach;
}

bool registrar_is_asking(const struct registrar *registrar)
{
        return registrar->lookup;
}

void registrar_cancel(struct registrar *registrar)
{
        registrar->lookup = service_lookup_free(registrar->lookup);
        registrar->reach = reach_free(registrar->reach);
        registrar->passing = false;
}

struct dns_client *registrar_client(const struct registrar *registrar)
{
        if (!registrar->client || dns_client_get_state(registrar->client) != DNS_CLIENT_CONNECTED)
                return NULL;
        return registrar->client;
}

bool registrar_pass_on(struct registrar *registrar, bool dead, const char *problem, const char **ret_why)
{
        if (dead && registrar->endpoint)
                targets_failed(&registrar->targets, registrar->endpoint, now_usec(CLOCK_BOOTTIME));
        client_drop(registrar);
        why_add(registrar, problem);
        *ret_why = registrar->why;
        if (registrar->passing && targets_left(&registrar->targets))
                return true;
        pass_end(registrar);
        return false;
}

void registrar_worked(struct registrar *registrar)
{
        if (registrar->endpoint)
                targets_worked(&registrar->targets, registrar->endpoint);
        registrar->passing = false;
        registrar->why[0] = '\0';
}

void registrar_distrust(struct registrar *registrar)
{
        if (registrar->reach)
                reach_tell_silent(registrar->reach);
        registrar_cancel(registrar);
        client_drop(registrar);
        registrar->until_usec = 0;
        registrar->why[0] = '\0';
}

void registrar_hurry(struct registrar *registrar)
{
        registrar->hurried = true;
}

const char *registrar_place(const struct registrar *registrar)
{
        return registrar->place;
}

const char *registrar_server(const struct registrar *registrar)
{
        return registrar->server;
}

int registrar_new(sd_event *event, struct resolver *resolver, const struct dns_name *zone,
                  const struct registrar_events *events, void *userdata, struct registrar **ret)
{
        struct registrar *registrar = calloc(1, sizeof(*registrar));

        if (!registrar)
                return -ENOMEM;
        registrar->event = sd_event_ref(event);
        registrar->resolver = resolver;
        registrar->zone = *zone;
        registrar->events = events;
        registrar->userdata = userdata;
        *ret = registrar;
        return 0;
}

struct registrar *registrar_free(struct registrar *registrar)
{
        if (!registrar)
                return NULL;
        registrar_cancel(registrar);
        client_drop(registrar);
        targets_clear(&registrar->targets);
        sd_event_unref(registrar->event);
        free(registrar);
        return NULL;
}
