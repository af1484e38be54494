/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/registration.h"

#include <stdarg.h>
#include <stdio.h>

#include "net/dns-client.h"
#include "nsregc/message-ids.h"
#include "nsregc/name-choice.h"
#include "nsregc/random.h"
#include "nsregc/schedule.h"
#include "nsregc/service.h"
#include "nsregc/update.h"
#include "util/log.h"

#define CLIENT_IDLE_USEC (2 * USEC_PER_SEC)
#define HURRY_USEC       (2 * USEC_PER_SEC) /* for an answer under way when the process ends */
#define CLOCK_RETRY_USEC (30 * USEC_PER_SEC)
#define NO_SERVICE_USEC  (15 * USEC_PER_MINUTE)

struct registration {
        struct registration_options options; /* with the name of the choice */
        struct name_choice choice;
        enum registration_goal goal;
        enum registration_state state;
        bool begun; /* addresses were given once */

        struct address_set wanted;
        struct address_set held; /* what the registrar has, or may have, of ours */
        struct address_set sent; /* in the update under way */
        enum update_kind sent_kind;
        bool sent_by_rrset;

        enum server_kind kind;
        bool replaced; /* this process has told the registrar the whole set */
        bool released;

        struct service service;
        bool service_valid;
        usec_t service_until_usec; /* BOOTTIME */
        size_t endpoint;
        struct service_lookup *lookup;
        struct dns_client *client;
        size_t client_endpoint;
        struct dns_request *request;
        bool connected; /* the request under way may have reached somebody */

        usec_t lease_end_usec;  /* BOOTTIME: what the registrar has is gone by then */
        sd_event_source *timer; /* BOOTTIME */
        usec_t next_usec;
        sd_event_source *hurry;
        unsigned failures, refusals, attempts;
        char reason[1024];
        char told[1024]; /* the reason that was logged last */
};

static void run(struct registration *registration);

static const char *const state_names[] = {
        [REGISTRATION_DISCOVERING] = "discovering", [REGISTRATION_REGISTERING] = "registering",
        [REGISTRATION_REGISTERED] = "registered",   [REGISTRATION_IDLE] = "idle",
        [REGISTRATION_REFUSED] = "refused",         [REGISTRATION_UNREACHABLE] = "unreachable",
        [REGISTRATION_RELEASING] = "releasing",     [REGISTRATION_RELEASED] = "released",
};

const char *registration_state_to_string(enum registration_state state)
{
        return state_names[state];
}

static void tell(struct registration *registration)
{
        registration->options.changed(registration->options.userdata, registration);
}

static void set_state(struct registration *registration, enum registration_state state)
{
        if (registration->state == state)
                return;
        registration->state = state;
        tell(registration);
}

static void set_reason(struct registration *registration, const char *format, ...) _printf_(2, 3);

static void set_reason(struct registration *registration, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(registration->reason, sizeof(registration->reason), format, arguments);
        va_end(arguments);
}

/* A state is logged when it is new, and what it says; not at every attempt. */
static void log_reason(struct registration *registration, int level, sd_id128_t id, const char *what)
{
        char name[DNS_NAME_FORMAT_MAX], zone[DNS_NAME_FORMAT_MAX];
        struct log_fields fields = {
                .name = dns_name_format(&registration->options.name, name),
                .zone = dns_name_format(&registration->options.zone, zone),
                .reason = registration->reason,
        };

        if (streq(registration->reason, registration->told)) {
                log_debug("%s %s: %s", name, what, registration->reason);
                return;
        }
        strcpy(registration->told, registration->reason);
        log_event(level, id, &fields, "%s %s: %s", name, what, registration->reason);
}

static void log_done(struct registration *registration, sd_id128_t id, const char *what,
                     const struct address_set *addresses)
{
        char name[DNS_NAME_FORMAT_MAX], zone[DNS_NAME_FORMAT_MAX], list[ADDRESS_SET_TEXT_MAX] = "";
        struct log_fields fields = {
                .name = dns_name_format(&registration->options.name, name),
                .zone = dns_name_format(&registration->options.zone, zone),
        };

        if (addresses)
                address_set_text(addresses, NULL, list);
        log_event(LOG_INFO, id, &fields, "%s %s%s%s", what, name, list[0] ? ": " : "", list);
}

static void timer_stop(struct registration *registration)
{
        registration->timer = sd_event_source_disable_unref(registration->timer);
        registration->next_usec = USEC_INFINITY;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct registration *registration = userdata;

        timer_stop(registration);
        run(registration);
        return 0;
}

static void timer_start(struct registration *registration, usec_t delay)
{
        usec_t accuracy = CLAMP(delay / 20, USEC_PER_MSEC, USEC_PER_SEC);

        timer_stop(registration);
        registration->next_usec = usec_add(now_usec(CLOCK_BOOTTIME), delay);
        (void) sd_event_add_time(registration->options.event, &registration->timer, CLOCK_BOOTTIME,
                                 registration->next_usec, accuracy, on_timer, registration);
}

static uint32_t draw(void)
{
        return random_below(NULL, SCHEDULE_LOT);
}

static void ledger_update(struct registration *registration)
{
        struct registration_options *options = &registration->options;
        int r;

        /* The next start comes back to the same suffix. */
        if (registration->held.n_items == 0 && registration->goal != GOAL_REGISTER &&
            (registration->goal == GOAL_RELEASE || !registration->choice.known_suffix))
                r = ledger_remove(options->ledger, &options->zone, &options->name);
        else
                r = ledger_set(options->ledger, &options->zone, &options->name, registration->kind,
                               &registration->held);
        if (r < 0)
                log_warning("What is registered cannot be noted for the next start: %s", strerror(-r));
}

static void service_forget(struct registration *registration)
{
        registration->client = dns_client_free(registration->client);
        service_clear(&registration->service);
        registration->service_valid = false;
        registration->endpoint = 0;
}

/* ------ ends of an attempt ------ */

/* Nobody takes away what nobody keeps alive: when the lease is over there is nothing left to do. */
static bool attempt_pointless(struct registration *registration)
{
        if (registration->goal == GOAL_REGISTER || registration->lease_end_usec > now_usec(CLOCK_BOOTTIME))
                return false;
        address_set_clear(&registration->held);
        registration->released = true;
        run(registration);
        return true;
}

static void attempt_failed(struct registration *registration, usec_t delay)
{
        registration->attempts++;
        if (attempt_pointless(registration))
                return;
        registration->state = registration->goal == GOAL_REGISTER ? REGISTRATION_UNREACHABLE
                                                                  : REGISTRATION_RELEASING;
        timer_start(registration, delay);
        log_reason(registration, LOG_NOTICE, NSREGC_EVENT_UNREACHABLE, "cannot be registered now");
        tell(registration);
}

static void attempt_unreachable(struct registration *registration)
{
        registration->failures++;
        attempt_failed(registration, schedule_retry(registration->failures, draw()));
}

static void attempt_refused(struct registration *registration)
{
        registration->attempts++;
        registration->refusals++;
        if (registration->goal != GOAL_REGISTER) {
                /* What we may not change is not ours (any more). */
                log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "cannot be taken away");
                address_set_clear(&registration->held);
                ledger_update(registration);
                registration->released = true;
                run(registration);
                return;
        }
        registration->state = REGISTRATION_REFUSED;
        timer_start(registration, schedule_refused(registration->refusals, draw()));
        log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "was refused");
        tell(registration);
}

/* The next target of the SRV, until all have failed: then it is asked for anew, after a while. */
static void endpoint_failed(struct registration *registration)
{
        registration->client = dns_client_free(registration->client);
        if (++registration->endpoint < registration->service.n_endpoints) {
                run(registration);
                return;
        }
        service_forget(registration);
        attempt_unreachable(registration);
}

/* ------ answers ------ */

static const char *server_text(const struct registration *registration, char *buffer, size_t size)
{
        buffer[0] = '\0';
        if (registration->service_valid && registration->endpoint < registration->service.n_endpoints)
                (void) snprintf(buffer, size, "%s@%u",
                                registration->service.endpoints[registration->endpoint].host,
                                (unsigned) registration->service.endpoints[registration->endpoint].port);
        return buffer;
}

/* The set that was asked for is there, but for addresses that the registrar filters out. */
static void note_filtered(struct registration *registration, const struct update_answer *answer)
{
        char list[ADDRESS_SET_TEXT_MAX];

        registration->reason[0] = '\0';
        if (*address_set_text(&registration->sent, &answer->granted, list))
                set_reason(registration, "the registrar does not take %s%s%s", list,
                           answer->text[0] ? ": " : "", answer->text);
}

static void set_granted(struct registration *registration, const struct update_answer *answer)
{
        bool modern = answer->knows_lease, fresh = registration->state != REGISTRATION_REGISTERED;
        uint32_t lease = answer->lease_sec > 0 ? answer->lease_sec : registration->options.addr_ttl_sec;
        const struct address_set *now_there = answer->granted.n_items > 0 ? &answer->granted
                                                                          : &registration->sent;

        registration->kind = modern ? SERVER_MODERN : SERVER_ORIGINAL;
        if (registration->sent_by_rrset)
                registration->replaced = true;
        if (answer->granted.n_items > 0)
                note_filtered(registration, answer);
        else
                registration->reason[0] = '\0';
        registration->lease_end_usec = usec_add(now_usec(CLOCK_BOOTTIME), lease * USEC_PER_SEC);
        fresh = fresh || !address_set_equal(&registration->held, now_there);
        (void) address_set_copy(now_there, &registration->held);
        name_choice_granted(&registration->choice);
        ledger_update(registration);

        registration->failures = registration->refusals = 0;
        registration->attempts++;
        registration->state = REGISTRATION_REGISTERED;
        if (fresh)
                log_done(registration, NSREGC_EVENT_REGISTERED, "Registered", &registration->held);
        if (registration->reason[0])
                log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "is registered in part");
        else
                registration->told[0] = '\0';

        /* Changed meanwhile, or a server that learned of now to be rid of what a predecessor left. */
        if (registration->goal != GOAL_REGISTER ||
            !address_set_equal(&registration->sent, &registration->wanted) ||
            (modern && !registration->replaced)) {
                run(registration);
                return;
        }
        timer_start(registration, schedule_refresh(lease, modern, draw()));
        tell(registration);
}

static void taken_away(struct registration *registration)
{
        address_set_clear(&registration->held);
        registration->failures = registration->refusals = 0;
        registration->attempts++;
        registration->reason[0] = registration->told[0] = '\0';
        if (registration->sent_kind == UPDATE_RELEASE)
                registration->released = true;
        if (registration->sent_by_rrset)
                registration->replaced = true;
        ledger_update(registration);
        log_done(registration, NSREGC_EVENT_WITHDRAWN,
                 registration->sent_kind == UPDATE_RELEASE ? "Released" : "Withdrew", NULL);
        run(registration);
}

/* Somebody else's name: the next one, if that is wished. What is there under the old one is not ours. */
static bool try_another_name(struct registration *registration, const struct update_answer *answer)
{
        struct registration_options *options = &registration->options;
        struct dns_name before = options->name;
        bool again;

        if (registration->goal != GOAL_REGISTER || registration->sent_kind != UPDATE_SET ||
            !name_choice_is_conflict(answer))
                return false;
        if (registration->choice.suffix && registration->choice.number == 1)
                log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "was refused");
        again = name_choice_refused(&registration->choice, registration->reason, &options->name);
        if (dns_name_equal(&before, &options->name))
                return false;
        address_set_clear(&registration->held);
        registration->replaced = false;
        (void) ledger_remove(options->ledger, &options->zone, &before);
        if (again)
                run(registration);
        return again;
}

static void answer_judge(struct registration *registration, const struct update_answer *answer)
{
        const char *code = dns_rcode_to_string(answer->rcode) ?: "an unknown code", *text = answer->text;

        switch (answer->verdict) {
        case VERDICT_GRANTED:
                if (registration->sent_kind == UPDATE_SET)
                        set_granted(registration, answer);
                else
                        taken_away(registration);
                return;
        case VERDICT_LATER:
                set_reason(registration, "the registrar cannot do it now (%s%s%s)", code, text[0] ? ": " : "",
                           text);
                endpoint_failed(registration);
                return;
        case VERDICT_CLOCK:
                set_reason(registration, "this machine's clock and the registrar's differ%s%s",
                           text[0] ? ": " : "", text);
                registration->failures++;
                attempt_failed(registration, CLOCK_RETRY_USEC);
                return;
        case VERDICT_FORM:
                if (registration->sent_by_rrset) {
                        /* The original daemon knows single records only. */
                        registration->kind = SERVER_ORIGINAL;
                        run(registration);
                        return;
                }
                set_reason(registration, "the registrar does not understand (%s%s%s)", code,
                           text[0] ? ": " : "", text);
                endpoint_failed(registration);
                return;
        case VERDICT_REFUSED:
                set_reason(registration, "%s%s", text[0] ? text : code, text[0] ? "" : " without a reason");
                if (!try_another_name(registration, answer))
                        attempt_refused(registration);
                return;
        }
}

/* Whether it arrived nobody knows: all that was sent may be there. */
static void note_uncertain(struct registration *registration)
{
        if (registration->sent_kind != UPDATE_SET)
                return;
        registration->lease_end_usec = usec_add(now_usec(CLOCK_BOOTTIME),
                                                registration->options.addr_ttl_sec * USEC_PER_SEC);
        for (size_t i = 0; i < registration->sent.n_items; i++)
                (void) address_set_add(&registration->held, &registration->sent.items[i].address,
                                       USEC_INFINITY);
}

static void on_answer(void *userdata, int error, const uint8_t *reply, size_t size)
{
        struct registration *registration = userdata;
        struct update_answer answer = { 0 };
        char server[320];

        registration->request = NULL;
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        if (error == 0)
                error = update_answer_read(reply, size, &registration->options.name, &answer);
        if (error < 0) {
                if (registration->connected)
                        note_uncertain(registration);
                set_reason(registration, "%s: %s", server_text(registration, server, sizeof(server)),
                           strerror(-error));
                endpoint_failed(registration);
                return;
        }
        answer_judge(registration, &answer);
        update_answer_clear(&answer);
}

static void on_client_state(void *userdata, enum dns_client_state state, int error)
{
        struct registration *registration = userdata;

        if (state == DNS_CLIENT_CONNECTED)
                registration->connected = true;
}

/* ------ what to do now ------ */

enum action {
        ACTION_NONE,
        ACTION_SET,
        ACTION_WITHDRAW,
        ACTION_RELEASE,
};

static enum action next_action(const struct registration *registration)
{
        bool traces = registration->held.n_items > 0;

        switch (registration->goal) {
        case GOAL_REGISTER:
                if (registration->wanted.n_items > 0)
                        return ACTION_SET;
                return traces ? ACTION_WITHDRAW : ACTION_NONE;
        case GOAL_WITHDRAW:
                return traces ? ACTION_WITHDRAW : ACTION_NONE;
        case GOAL_RELEASE:
                if (registration->released)
                        return ACTION_NONE;
                /* The original knows no release, and takes an empty update for a claim. */
                if (registration->kind == SERVER_ORIGINAL)
                        return traces ? ACTION_WITHDRAW : ACTION_NONE;
                return ACTION_RELEASE;
        }
        return ACTION_NONE;
}

static int removals_compute(const struct registration *registration, enum action action,
                            struct address_set *ret)
{
        for (size_t i = 0; i < registration->held.n_items; i++) {
                const struct address *address = &registration->held.items[i].address;
                int r = 0;

                if (action != ACTION_SET || !address_set_contains(&registration->wanted, address))
                        r = address_set_add(ret, address, USEC_INFINITY);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Before addresses are sent they are noted, so that a successor knows of them whatever happens now. */
static int note_before_sending(struct registration *registration)
{
        struct address_set all = { 0 };
        int r = address_set_copy(&registration->held, &all);

        for (size_t i = 0; i < registration->sent.n_items && r >= 0; i++)
                r = address_set_add(&all, &registration->sent.items[i].address, USEC_INFINITY);
        if (r >= 0)
                r = ledger_set(registration->options.ledger, &registration->options.zone,
                               &registration->options.name, registration->kind, &all);
        address_set_clear(&all);
        if (r < 0 && r != -ENOMEM) {
                log_warning("What is registered cannot be noted for the next start: %s", strerror(-r));
                r = 0;
        }
        return r;
}

static int client_ensure(struct registration *registration)
{
        const struct endpoint *endpoint = &registration->service.endpoints[registration->endpoint];
        struct dns_client_options options = {
                .host = endpoint->host,
                .port = endpoint->port,
                .connect_timeout_usec = registration->options.timeout_usec,
                .idle_timeout_usec = CLIENT_IDLE_USEC,
        };

        if (registration->client && registration->client_endpoint == registration->endpoint)
                return 0;
        registration->client = dns_client_free(registration->client);
        registration->client_endpoint = registration->endpoint;
        return dns_client_new(registration->options.event, &options, on_client_state, registration,
                              &registration->client);
}

static int update_send(struct registration *registration, enum action action)
{
        struct registration_options *options = &registration->options;
        struct address_set removals = { 0 };
        uint8_t message[UPDATE_SIZE_MAX];
        ssize_t size;
        int r;

        r = client_ensure(registration);
        if (r < 0)
                return r;
        address_set_clear(&registration->sent);
        if (action == ACTION_SET)
                r = address_set_copy(&registration->wanted, &registration->sent);
        if (r >= 0)
                r = removals_compute(registration, action, &removals);
        if (r >= 0 && action == ACTION_SET)
                r = note_before_sending(registration);
        if (r < 0) {
                address_set_clear(&removals);
                return r;
        }
        registration->sent_kind = action == ACTION_SET       ? UPDATE_SET
                                  : action == ACTION_RELEASE ? UPDATE_RELEASE
                                                             : UPDATE_WITHDRAW;
        registration->sent_by_rrset = action == ACTION_RELEASE ||
                                      (registration->kind == SERVER_MODERN &&
                                       (action == ACTION_WITHDRAW || !registration->replaced));

        struct update update = {
                .kind = registration->sent_kind,
                .id = dns_client_id(registration->client),
                .zone = &options->zone,
                .name = &options->name,
                .pair = options->pair,
                .key_ttl_sec = options->key_ttl_sec,
                .addr_ttl_sec = options->addr_ttl_sec,
                .addresses = &registration->sent,
                .removals = &removals,
                .by_rrset = registration->sent_by_rrset,
                .now_boottime_usec = now_usec(CLOCK_BOOTTIME),
                .now_sec = now_usec(CLOCK_REALTIME) / USEC_PER_SEC,
        };
        size = update_build(&update, message);
        address_set_clear(&removals);
        if (size < 0)
                return (int) size;
        registration->connected = dns_client_get_state(registration->client) == DNS_CLIENT_CONNECTED;
        return dns_client_request(registration->client, message, (size_t) size, options->timeout_usec,
                                  on_answer, registration, &registration->request);
}

static void on_service(void *userdata, int error, struct service *service)
{
        struct registration *registration = userdata;
        char zone[DNS_NAME_FORMAT_MAX];

        registration->lookup = NULL;
        dns_name_format(&registration->options.zone, zone);
        if (error < 0) {
                set_reason(registration, "the DNS does not answer for _nsreg._tcp.%s: %s", zone,
                           strerror(-error));
                attempt_unreachable(registration);
                return;
        }
        if (service->n_endpoints == 0) {
                set_reason(registration,
                           service->none ? "%s says that it has no registrar"
                                         : "%s has no SRV record _nsreg._tcp",
                           zone);
                registration->failures++;
                attempt_failed(registration,
                               MAX(service->ttl_sec * USEC_PER_SEC,
                                   MIN(schedule_retry(registration->failures, draw()), NO_SERVICE_USEC)));
                return;
        }
        if (!service_equal(&registration->service, service)) {
                /* Another server may be another kind of server, and knows nothing of us. */
                if (registration->service.n_endpoints > 0) {
                        registration->kind = SERVER_UNKNOWN;
                        registration->replaced = false;
                }
        }
        registration->client = dns_client_free(registration->client);
        service_clear(&registration->service);
        registration->service = *service;
        *service = (struct service){ 0 };
        registration->service_valid = true;
        registration->service_until_usec = usec_add(now_usec(CLOCK_BOOTTIME),
                                                    MAX(registration->service.ttl_sec, 1u) * USEC_PER_SEC);
        registration->endpoint = 0;
        run(registration);
}

static void conclude(struct registration *registration)
{
        timer_stop(registration);
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        if (registration->goal == GOAL_REGISTER) {
                set_reason(registration, "there is no address to register");
                registration->attempts++;
                registration->state = REGISTRATION_IDLE;
                tell(registration);
                return;
        }
        registration->client = dns_client_free(registration->client);
        ledger_update(registration);
        set_state(registration, REGISTRATION_RELEASED);
}

/* The one place where things begin. While something is under way its end comes here again. */
static void run(struct registration *registration)
{
        enum action action = next_action(registration);
        enum registration_state busy;
        int r;

        if (registration->request || registration->lookup || !registration->begun ||
            registration->state == REGISTRATION_RELEASED)
                return;
        timer_stop(registration);
        if (action == ACTION_NONE) {
                conclude(registration);
                return;
        }

        if (!registration->service_valid || registration->endpoint >= registration->service.n_endpoints ||
            registration->service_until_usec <= now_usec(CLOCK_BOOTTIME)) {
                busy = REGISTRATION_DISCOVERING;
                r = service_lookup_new(registration->options.resolver, &registration->options.zone,
                                       on_service, registration, &registration->lookup);
        } else {
                busy = REGISTRATION_REGISTERING;
                r = update_send(registration, action);
        }
        if (r < 0) {
                set_reason(registration, "%s", strerror(-r));
                attempt_unreachable(registration);
                return;
        }
        if (registration->goal != GOAL_REGISTER)
                busy = REGISTRATION_RELEASING;
        /* A refresh under way is no change, and a refusal stays one until something better is known. */
        if (registration->goal != GOAL_REGISTER || registration->attempts == 0 ||
            registration->state == REGISTRATION_IDLE)
                set_state(registration, busy);
}

int registration_set_addresses(struct registration *registration, const struct address_set *addresses)
{
        bool same = registration->begun && address_set_equal(&registration->wanted, addresses);
        int r;

        r = address_set_copy(addresses, &registration->wanted);
        if (r < 0)
                return r;
        registration->begun = true;
        if (!same) {
                registration->failures = registration->refusals = 0;
                run(registration);
        }
        return 0;
}

void registration_kick(struct registration *registration)
{
        if (!registration->begun || registration->state == REGISTRATION_RELEASED)
                return;
        registration->failures = registration->refusals = 0;
        registration->service_until_usec = 0;
        /* A connection that is only being made goes by the old way, if any. */
        if (registration->request && !registration->connected)
                registration->request = dns_request_cancel(registration->request);
        registration->lookup = service_lookup_free(registration->lookup);
        run(registration);
}

void registration_set_goal(struct registration *registration, enum registration_goal goal)
{
        if (registration->goal == goal)
                return;
        registration->goal = goal;
        registration->begun = true;
        registration->released = false;
        registration->failures = 0;
        if (registration->state == REGISTRATION_RELEASED)
                registration->state = REGISTRATION_DISCOVERING;
        if (goal != GOAL_REGISTER && next_action(registration) == ACTION_NONE && !registration->request)
                registration->lookup = service_lookup_free(registration->lookup);
        run(registration);
}

void registration_set_times(struct registration *registration, uint32_t key_ttl_sec, uint32_t addr_ttl_sec,
                            usec_t timeout_usec)
{
        registration->options.key_ttl_sec = key_ttl_sec;
        registration->options.addr_ttl_sec = addr_ttl_sec;
        registration->options.timeout_usec = timeout_usec;
}

void registration_set_suffix(struct registration *registration, bool suffix)
{
        name_choice_allow(&registration->choice, suffix, &registration->options.name);
}

static int on_hurry(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct registration *registration = userdata;

        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        if (registration->request) {
                registration->request = dns_request_cancel(registration->request);
                note_uncertain(registration);
        }
        run(registration);
        return 0;
}

void registration_hurry(struct registration *registration)
{
        if (!registration->request || registration->sent_kind != UPDATE_SET || registration->hurry)
                return;
        if (!registration->connected) {
                /* Nothing was said yet. */
                registration->request = dns_request_cancel(registration->request);
                run(registration);
                return;
        }
        (void) sd_event_add_time_relative(registration->options.event, &registration->hurry, CLOCK_MONOTONIC,
                                          HURRY_USEC, USEC_PER_MSEC, on_hurry, registration);
}

int registration_new(const struct registration_options *options, struct registration **ret)
{
        _cleanup_(registration_freep) struct registration *registration = calloc(1, sizeof(*registration));
        const struct ledger_entry *entry;

        if (!registration)
                return -ENOMEM;
        registration->options = *options;
        registration->next_usec = USEC_INFINITY;
        registration->choice = (struct name_choice){ options->name, options->suffix, .number = 1 };
        entry = name_choice_recall(&registration->choice, options->ledger, &options->zone);
        if (entry) {
                int r = address_set_copy(&entry->addresses, &registration->held);

                if (r < 0)
                        return r;
                registration->options.name = entry->name;
                registration->kind = entry->kind;
                registration->lease_end_usec = usec_add(now_usec(CLOCK_BOOTTIME),
                                                        options->addr_ttl_sec * USEC_PER_SEC);
        }
        *ret = TAKE_PTR(registration);
        return 0;
}

struct registration *registration_free(struct registration *registration)
{
        if (!registration)
                return NULL;
        timer_stop(registration);
        sd_event_source_disable_unref(registration->hurry);
        service_lookup_free(registration->lookup);
        dns_client_free(registration->client);
        service_clear(&registration->service);
        address_set_clear(&registration->wanted);
        address_set_clear(&registration->held);
        address_set_clear(&registration->sent);
        free(registration);
        return NULL;
}

void registration_get_info(const struct registration *registration, struct registration_info *ret)
{
        *ret = (struct registration_info){
                .zone = registration->options.zone,
                .name = registration->options.name,
                .plain = registration->choice.plain,
                .state = registration->state,
                .goal = registration->goal,
                .registered = &registration->held,
                .next_usec = registration->next_usec,
                .attempts = registration->attempts,
                .settled = registration->attempts > 0 && !registration->request && !registration->lookup,
        };
        (void) server_text(registration, ret->server, sizeof(ret->server));
        strcpy(ret->reason, registration->reason);
}
