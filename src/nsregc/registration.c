/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/registration.h"

#include <stdio.h>

#include "nsregc/registration-internal.h"
#include "nsregc/schedule.h"
#include "util/log.h"

#define HURRY_USEC (2 * USEC_PER_SEC) /* for an answer under way, or for finding somebody, at the end */
#define DOUBT_USEC (2 * USEC_PER_SEC) /* for an answer under way when the network changed */
#define TURNS_MAX  32 /* one thing leads to another, names with suffixes included; then it is a circle */

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

static void request_cancel(struct registration *registration)
{
        registration_pass_drop(registration);
        if (registration->request && !registration->trial.under_way)
                registration_note_uncertain(registration);
        registration->request = dns_request_cancel(registration->request);
        registration_trial_end(registration);
        registration->doubt = sd_event_source_disable_unref(registration->doubt);
}

void registration_forget_server(struct registration *registration)
{
        registration->kind = SERVER_UNKNOWN;
        registration->no_rrset = false;
        /* What another machine with our key has there is not ours to delete. */
        registration->replaced = registration->twins > 0;
        registration->limit = 0;
        address_set_clear(&registration->filtered);
        registration->room_rrs = UPDATE_ROOM_RRS;
        registration_records_anew(registration);
}

static void on_reached(void *userdata, bool another)
{
        struct registration *registration = userdata;

        if (another)
                registration_forget_server(registration);
        registration_enter(registration);
        registration_run(registration);
}

static void on_unreachable(void *userdata, const char *why)
{
        struct registration *registration = userdata;

        registration_set_reason(registration, "%s", why);
        registration_unreachable(registration);
}

static void on_absent(void *userdata, usec_t wait_usec, const char *why)
{
        struct registration *registration = userdata;

        registration_set_reason(registration, "%s", why);
        registration_failed(registration, wait_usec);
}

static const struct registrar_events registrar_events = {
        .reached = on_reached,
        .unreachable = on_unreachable,
        .absent = on_absent,
};

static void conclude(struct registration *registration)
{
        registration_come_to_rest(registration);
        registration_timer_stop(registration);
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        if (registration->goal == GOAL_REGISTER) {
                registration_set_reason(registration, "there is no address to register");
                registration->attempts++;
                registration->state = REGISTRATION_IDLE;
                registration_tell(registration);
                return;
        }
        registrar_distrust(registration->registrar);
        if (!registration->elsewhere)
                registration_note(registration);
        registration_set_state(registration, REGISTRATION_RELEASED);
}

/* Answers that lead from one thing to another and back would do so as fast as the network can. What is only
 * said in parts goes on. */
static bool runs_in_circles(struct registration *registration)
{
        unsigned loops = registration->loops;

        if (registration->passing && !update_pass_is_done(&registration->pass))
                return false;
        if (registration->turns < TURNS_MAX) {
                registration->turns++;
                return false;
        }
        registration_set_reason(registration, "the registrar's answers lead to no end");
        registration_failed(registration, schedule_retry(++loops, registration_lot()));
        registration->loops = loops;
        registration->turns = TURNS_MAX - 2; /* a connection, and one thing to say */
        return true;
}

void registration_run(struct registration *registration)
{
        enum registration_action action = registration_next_action(registration);
        enum registration_state busy;
        int r;

        if (registration->request || registrar_is_busy(registration->registrar) || !registration->begun ||
            registration->state == REGISTRATION_RELEASED)
                return;
        registration_timer_stop(registration);
        if (action == ACTION_SET && registrar_client(registration->registrar) &&
            !registration_has_target(registration))
                action = registration->held.n_items > 0 ? ACTION_WITHDRAW : ACTION_NONE;
        if (action == ACTION_NONE) {
                conclude(registration);
                return;
        }

        busy = REGISTRATION_REGISTERING;
        if (runs_in_circles(registration))
                return;
        if (registrar_client(registration->registrar))
                r = registration_send(registration, action);
        else {
                r = registrar_connect(registration->registrar, registration->options.timeout_usec);
                if (registrar_is_asking(registration->registrar))
                        busy = REGISTRATION_DISCOVERING;
        }
        if (r < 0) {
                registration_set_reason(registration, "%s", strerror(-r));
                registration_unreachable(registration);
                return;
        }
        if (registration->goal != GOAL_REGISTER)
                busy = REGISTRATION_RELEASING;
        /* A refresh under way is no change, and a refusal stays one until something better is known. */
        if (registration->goal != GOAL_REGISTER || registration->attempts == 0 ||
            registration->state == REGISTRATION_IDLE)
                registration_set_state(registration, busy);
}

int registration_set_addresses(struct registration *registration, const struct address_set *addresses,
                               const struct address_set *spare)
{
        bool same = registration->begun && address_set_equal(&registration->wanted, addresses) &&
                    (addresses->n_items > 0 || address_set_equal(&registration->spare, spare));
        int r;

        r = address_set_copy(spare, &registration->spare);
        if (r >= 0)
                r = address_set_copy(addresses, &registration->wanted);
        if (r < 0)
                return r;
        registration->begun = true;
        if (!same) {
                registration->failures = registration->refusals = 0;
                registration_come_to_rest(registration);
                registration_run(registration);
        }
        return 0;
}

static void start_anew(struct registration *registration)
{
        request_cancel(registration);
        registrar_distrust(registration->registrar);
        registration->anew_usec = now_usec(CLOCK_MONOTONIC);
        registration_run(registration);
}

static int on_doubt(sd_event_source *source, uint64_t usec, void *userdata)
{
        start_anew(userdata);
        return 0;
}

void registration_kick(struct registration *registration, bool woken)
{
        usec_t until = usec_add(registration->anew_usec, DOUBT_USEC), now = now_usec(CLOCK_MONOTONIC);

        if (!registration->begun || registration->state == REGISTRATION_RELEASED)
                return;
        registration->failures = registration->refusals = 0;
        registration_trial_renew(registration);
        registration_records_anew(registration);
        /* A request may be lost with the network that it was sent by, or only take its time. And somebody is
         * found at last, however often the network changes meanwhile. */
        if (registration->request)
                until = usec_add(now, DOUBT_USEC);
        else if (!registrar_is_busy(registration->registrar))
                until = now;
        if (woken || until <= now)
                start_anew(registration);
        else if (!registration->doubt)
                (void) sd_event_add_time(registration->options.event, &registration->doubt, CLOCK_MONOTONIC,
                                         until, USEC_PER_MSEC, on_doubt, registration);
}

void registration_set_goal(struct registration *registration, enum registration_goal goal)
{
        if (registration->goal == goal)
                return;
        registration->goal = goal;
        if (goal == GOAL_REGISTER)
                registration->options.left = registration->elsewhere = false;
        registration_pass_drop(registration);
        registration->begun = true;
        registration->released = false;
        registration->failures = 0;
        if (registration->state == REGISTRATION_RELEASED)
                registration->state = REGISTRATION_DISCOVERING;
        if (goal != GOAL_REGISTER && registration_next_action(registration) == ACTION_NONE)
                registrar_cancel(registration->registrar);
        registration_run(registration);
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

static int on_hurry(sd_event_source *source, uint64_t usec, void *userdata);

/* Bounds what is under way: but for the last word itself, which has a time of its own. */
static void hurry_start(struct registration *registration)
{
        bool last_word = registration->request && registration->sent_kind != UPDATE_SET &&
                         registration->sent_kind != UPDATE_RECORDS && registration->sent_kind != UPDATE_ROLL;

        if (registration->state == REGISTRATION_RELEASED || last_word || registration->hurry)
                return;
        (void) sd_event_add_time_relative(registration->options.event, &registration->hurry, CLOCK_MONOTONIC,
                                          HURRY_USEC, USEC_PER_MSEC, on_hurry, registration);
}

static int on_hurry(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct registration *registration = userdata;

        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        if (!registration->request) {
                if (registrar_is_busy(registration->registrar))
                        registration_set_reason(registration, "its registrar does not answer");
                registration_give_up(registration);
                return 0;
        }
        request_cancel(registration);
        registrar_distrust(registration->registrar);
        registration_run(registration);
        hurry_start(registration);
        return 0;
}

void registration_hurry(struct registration *registration)
{
        registration->hurried = true;
        registrar_hurry(registration->registrar);
        if (registration->goal == GOAL_REGISTER)
                registration_set_goal(registration, GOAL_WITHDRAW);
        else
                registration_run(registration);
        hurry_start(registration);
}

int registration_new(const struct registration_options *options, struct registration **ret)
{
        _cleanup_(registration_freep) struct registration *registration = calloc(1, sizeof(*registration));
        int r;

        if (!registration)
                return -ENOMEM;
        registration->options = *options;
        registration->room_rrs = UPDATE_ROOM_RRS;
        registration->next_usec = USEC_INFINITY;
        r = registrar_new(options->event, options->resolver, &options->zone, &registrar_events, registration,
                          &registration->registrar);
        if (r < 0)
                return r;
        registration->choice = (struct name_choice){ options->name, options->suffix, .number = 1 };
        if (options->left)
                strcpy(registration->place, options->place);
        registration->options.place = NULL;
        r = registration_recall(registration);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(registration);
        return 0;
}

struct registration *registration_free(struct registration *registration)
{
        if (!registration)
                return NULL;
        registration_timer_stop(registration);
        sd_event_source_disable_unref(registration->hurry);
        sd_event_source_disable_unref(registration->doubt);
        sd_event_source_disable_unref(registration->trial.timer);
        registrar_free(registration->registrar);
        address_set_clear(&registration->wanted);
        address_set_clear(&registration->spare);
        address_set_clear(&registration->chosen);
        address_set_clear(&registration->held);
        address_set_clear(&registration->sent);
        address_set_clear(&registration->gone);
        address_set_clear(&registration->target);
        address_set_clear(&registration->filtered);
        address_set_clear(&registration->pass_from);
        extra_record_list_clear(&registration->extra);
        extra_record_list_clear(&registration->extra_held);
        extra_record_list_clear(&registration->extra_sent);
        extra_record_list_clear(&registration->extra_gone);
        extra_record_list_clear(&registration->extra_left);
        update_pass_clear(&registration->pass);
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
                .records = &registration->extra_held,
                .records_reason = registration->extra_reason,
                .records_settled = registration->extra_settled,
                .next_usec = registration->next_usec,
                .attempts = registration->attempts,
                .settled = registration->attempts > 0 && !registration->request &&
                           !registrar_is_busy(registration->registrar),
        };
        strcpy(ret->place, registration->place);
        (void) snprintf(ret->server, sizeof(ret->server), "%s", registrar_server(registration->registrar));
        strcpy(ret->reason, registration->reason);
}
