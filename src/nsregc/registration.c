/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/registration.h"

#include <stdarg.h>
#include <stdio.h>

#include "nsregc/message-ids.h"
#include "nsregc/random.h"
#include "nsregc/registration-internal.h"
#include "nsregc/schedule.h"
#include "util/log.h"

#define HURRY_USEC       (2 * USEC_PER_SEC) /* for an answer under way, or for finding somebody, at the end */
#define DOUBT_USEC       (2 * USEC_PER_SEC) /* for an answer under way when the network changed */
#define CLOCK_RETRY_USEC (30 * USEC_PER_SEC)
#define TURNS_MAX        32 /* one thing leads to another, names with suffixes included; then it is a circle */
#define FEW_RRS          4  /* what is too much then is not their number */

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

static void log_reason(struct registration *registration, int level, sd_id128_t id, const char *what)
{
        report_reason(&registration->options.zone, &registration->options.name, level, id, what,
                      registration->reason, registration->told);
}

static void log_done(struct registration *registration, sd_id128_t id, const char *what,
                     const struct address_set *addresses)
{
        report_done(&registration->options.zone, &registration->options.name, id, what, addresses);
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

/* ------ ends of an attempt ------ */

/* What is begun next begins with what is there, and goes all the way. */
static void pass_drop(struct registration *registration)
{
        update_pass_clear(&registration->pass);
        registration->passing = false;
}

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

/* What may be there stays noted for the next start. */
static void give_up(struct registration *registration)
{
        log_reason(registration, LOG_NOTICE, NSREGC_EVENT_UNREACHABLE,
                   "cannot be taken away now and ends with its lease");
        registrar_cancel(registration->registrar);
        timer_stop(registration);
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        set_state(registration, REGISTRATION_RELEASED);
}

/* Whatever comes next, there is a pause before it. */
static void come_to_rest(struct registration *registration)
{
        registration->turns = registration->loops = 0;
}

static void attempt_failed(struct registration *registration, usec_t delay)
{
        registration->attempts++;
        pass_drop(registration);
        come_to_rest(registration);
        if (registration->hurried) {
                give_up(registration);
                return;
        }
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
        pass_drop(registration);
        if (registration->goal != GOAL_REGISTER) {
                /* What we may not change is not ours (any more). */
                log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "cannot be taken away");
                address_set_clear(&registration->held);
                ledger_update(registration);
                registration->released = true;
                run(registration);
                return;
        }
        come_to_rest(registration);
        registration->state = REGISTRATION_REFUSED;
        timer_start(registration, schedule_refused(registration->refusals, draw()));
        log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "was refused");
        tell(registration);
}

/* The next target of the SRV, until all have failed: then it is asked for anew, after a while. */
static void target_failed(struct registration *registration, bool dead)
{
        const char *why;

        pass_drop(registration);
        if (registrar_pass_on(registration->registrar, dead, registration->reason, &why)) {
                run(registration);
                return;
        }
        set_reason(registration, "%s", why);
        attempt_unreachable(registration);
}

/* ------ answers ------ */

/* What is registered in part says so: what the registrar filters out, and what it has no room for. */
static void note_left_out(struct registration *registration, const struct update_answer *answer)
{
        char list[ADDRESS_SET_TEXT_MAX];

        registration->reason[0] = '\0';
        if (*address_set_text(&registration->target, &registration->held, list))
                set_reason(registration, "the registrar does not take %s%s%s", list,
                           answer->text[0] ? ": " : "", answer->text);
        else if (registration->target.n_items < registration->wanted.n_items)
                set_reason(registration, "the registrar takes %zu of %zu addresses, left out: %s",
                           registration->target.n_items, registration->wanted.n_items,
                           address_set_text(&registration->wanted, &registration->target, list));
}

/* What was sent stands, as far as it was granted; and it is noted. */
static void held_update(struct registration *registration, const struct update_answer *answer)
{
        const struct address_set *there = answer->granted.n_items > 0 ? &answer->granted
                                                                      : &registration->sent;

        if (registration->sent_by_rrset)
                address_set_clear(&registration->held);
        address_set_subtract(&registration->held, &registration->gone);
        address_set_subtract(&registration->held, &registration->sent);
        /* Without memory for it the next refresh says it again. */
        (void) address_set_merge(&registration->held, there);
        ledger_update(registration);
}

/* What it does not take anyhow makes room for what it may take. */
static void note_filtered(struct registration *registration)
{
        struct address_set missing = { 0 };

        if (registration->limit == 0 || registration->target.n_items == registration->wanted.n_items)
                return;
        /* Without memory they go on taking the room. */
        if (address_set_copy(&registration->target, &missing) >= 0) {
                address_set_subtract(&missing, &registration->held);
                (void) address_set_merge(&registration->filtered, &missing);
        }
        address_set_clear(&missing);
}

/* Changed meanwhile, or a server that learned of now to be rid of what a predecessor left. */
static bool more_to_say(const struct registration *registration)
{
        struct address_set target = { 0 };
        bool same;

        if (registration->goal != GOAL_REGISTER || registration_target(registration, &target) < 0)
                return true;
        same = address_set_equal(&target, &registration->target);
        address_set_clear(&target);
        return !same ||
               (registration->kind == SERVER_MODERN && !registration->replaced && !registration->no_rrset);
}

static void set_granted(struct registration *registration, const struct update_answer *answer)
{
        uint32_t lease = answer->lease_sec > 0 ? answer->lease_sec : registration->options.addr_ttl_sec;
        bool fresh;

        registration->kind = answer->knows_lease ? SERVER_MODERN : SERVER_ORIGINAL;
        if (registration->sent_by_rrset)
                registration->replaced = true;
        held_update(registration, answer);
        registration->pass_lease_sec = MIN(registration->pass_lease_sec ?: lease, lease);
        registration->lease_end_usec = usec_add(now_usec(CLOCK_BOOTTIME),
                                                registration->pass_lease_sec * USEC_PER_SEC);
        name_choice_granted(&registration->choice);
        registration->failures = registration->refusals = 0;
        if (registration->passing && !update_pass_is_done(&registration->pass)) {
                run(registration);
                return;
        }

        fresh = registration->state != REGISTRATION_REGISTERED ||
                !address_set_equal(&registration->held, &registration->pass_from);
        pass_drop(registration);
        note_left_out(registration, answer);
        note_filtered(registration);
        registration->attempts++;
        registration->state = REGISTRATION_REGISTERED;
        if (fresh)
                log_done(registration, NSREGC_EVENT_REGISTERED, "Registered", &registration->held);
        if (registration->reason[0])
                log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "is registered in part");
        else
                registration->told[0] = '\0';
        if (more_to_say(registration)) {
                run(registration);
                return;
        }
        come_to_rest(registration);
        timer_start(registration,
                    schedule_refresh(registration->pass_lease_sec, answer->knows_lease, draw()));
        tell(registration);
}

static void taken_away(struct registration *registration)
{
        if (registration->sent_by_rrset)
                address_set_clear(&registration->held);
        address_set_subtract(&registration->held, &registration->gone);
        registration->failures = registration->refusals = 0;
        ledger_update(registration);
        if (registration->sent_kind != UPDATE_RELEASE && registration->held.n_items > 0) {
                run(registration);
                return;
        }
        pass_drop(registration);
        registration->attempts++;
        registration->reason[0] = registration->told[0] = '\0';
        if (registration->sent_kind == UPDATE_RELEASE)
                registration->released = true;
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

/* It told how many it takes: the best of them then. */
static bool try_fewer(struct registration *registration, const struct update_answer *answer)
{
        uint32_t limit = registration->sent_kind == UPDATE_SET ? update_answer_limit(answer) : 0;

        if (limit == 0 || limit >= registration->target.n_items)
                return false;
        registration->limit = limit;
        pass_drop(registration);
        run(registration);
        return true;
}

/* A form that it does not know is said in another one, if there is one. */
static bool try_another_form(struct registration *registration)
{
        size_t n = registration->sent.n_items + registration->gone.n_items;

        if (registration->sent_by_rrset) {
                /* The original daemon knows single records only, and so may others. */
                registration->no_rrset = true;
                if (registration->sent_kind == UPDATE_RELEASE)
                        registration->kind = SERVER_ORIGINAL;
        } else if (n > FEW_RRS)
                registration->room_rrs = n / 2;
        else
                return false;
        pass_drop(registration);
        run(registration);
        return true;
}

/* Who lost a key, or has a new one by mistake, needs to know which one this is, and the way out. */
static void reason_foreign(struct registration *registration, const char *text)
{
        char name[DNS_NAME_FORMAT_MAX], fingerprint[DNS_KEY_FINGERPRINT_MAX];

        set_reason(registration,
                   "%s; this machine's key is %s from %s; if the name is this machine's by right, put its "
                   "key there, "
                   "or the registrar's administrator types: nsregctl revoke %s",
                   text, dns_key_fingerprint(&registration->options.pair->key, fingerprint),
                   registration->options.key_source, dns_name_format(&registration->options.name, name));
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
                target_failed(registration, false);
                return;
        case VERDICT_CLOCK:
                set_reason(registration, "this machine's clock and the registrar's differ%s%s",
                           text[0] ? ": " : "", text);
                registration->failures++;
                attempt_failed(registration, CLOCK_RETRY_USEC);
                return;
        case VERDICT_FORM:
                if (try_another_form(registration))
                        return;
                set_reason(registration, "the registrar does not understand (%s%s%s)", code,
                           text[0] ? ": " : "", text);
                target_failed(registration, false);
                return;
        case VERDICT_REFUSED:
                if (update_answer_is_foreign(answer))
                        reason_foreign(registration, text);
                else
                        set_reason(registration, "%s%s", text[0] ? text : code,
                                   text[0] ? "" : " without a reason");
                if (!try_fewer(registration, answer) && !try_another_name(registration, answer))
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

static void request_cancel(struct registration *registration)
{
        pass_drop(registration);
        if (registration->request)
                note_uncertain(registration);
        registration->request = dns_request_cancel(registration->request);
        registration->doubt = sd_event_source_disable_unref(registration->doubt);
}

void registration_on_answer(void *userdata, int error, const uint8_t *reply, size_t size)
{
        struct registration *registration = userdata;
        struct update_answer answer = { 0 };

        registration->request = NULL;
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        registration->doubt = sd_event_source_disable_unref(registration->doubt);
        if (error == 0)
                error = update_answer_read(reply, size, &registration->options.name, &answer);
        if (error < 0) {
                note_uncertain(registration);
                set_reason(registration, "%s: %s", registrar_server(registration->registrar),
                           error == -ETIMEDOUT ? "no answer" : strerror(-error));
                target_failed(registration, true);
                return;
        }
        if (answer.verdict != VERDICT_LATER && answer.verdict != VERDICT_FORM)
                registrar_worked(registration->registrar);
        answer_judge(registration, &answer);
        update_answer_clear(&answer);
}

static void on_reached(void *userdata, bool another)
{
        struct registration *registration = userdata;

        /* Another server may be another kind of server, and knows nothing of us. */
        if (another) {
                registration->kind = SERVER_UNKNOWN;
                registration->replaced = registration->no_rrset = false;
                registration->limit = 0;
                address_set_clear(&registration->filtered);
                registration->room_rrs = UPDATE_ROOM_RRS;
        }
        run(registration);
}

static void on_unreachable(void *userdata, const char *why)
{
        struct registration *registration = userdata;

        set_reason(registration, "%s", why);
        attempt_unreachable(registration);
}

static void on_absent(void *userdata, usec_t wait_usec, const char *why)
{
        struct registration *registration = userdata;

        set_reason(registration, "%s", why);
        attempt_failed(registration, wait_usec);
}

static const struct registrar_events registrar_events = {
        .reached = on_reached,
        .unreachable = on_unreachable,
        .absent = on_absent,
};

static void conclude(struct registration *registration)
{
        come_to_rest(registration);
        timer_stop(registration);
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        if (registration->goal == GOAL_REGISTER) {
                set_reason(registration, "there is no address to register");
                registration->attempts++;
                registration->state = REGISTRATION_IDLE;
                tell(registration);
                return;
        }
        registrar_distrust(registration->registrar);
        ledger_update(registration);
        set_state(registration, REGISTRATION_RELEASED);
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
        set_reason(registration, "the registrar's answers lead to no end");
        attempt_failed(registration, schedule_retry(++loops, draw()));
        registration->loops = loops;
        registration->turns = TURNS_MAX - 2; /* a connection, and one thing to say */
        return true;
}

/* The one place where things begin. While something is under way its end comes here again. */
static void run(struct registration *registration)
{
        enum registration_action action = registration_next_action(registration);
        enum registration_state busy;
        int r;

        if (registration->request || registrar_is_busy(registration->registrar) || !registration->begun ||
            registration->state == REGISTRATION_RELEASED)
                return;
        timer_stop(registration);
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
                come_to_rest(registration);
                run(registration);
        }
        return 0;
}

static void start_anew(struct registration *registration)
{
        request_cancel(registration);
        registrar_distrust(registration->registrar);
        registration->anew_usec = now_usec(CLOCK_MONOTONIC);
        run(registration);
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
        pass_drop(registration);
        registration->begun = true;
        registration->released = false;
        registration->failures = 0;
        if (registration->state == REGISTRATION_RELEASED)
                registration->state = REGISTRATION_DISCOVERING;
        if (goal != GOAL_REGISTER && registration_next_action(registration) == ACTION_NONE)
                registrar_cancel(registration->registrar);
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

static int on_hurry(sd_event_source *source, uint64_t usec, void *userdata);

/* Bounds what is under way: but for the last word itself, which has a time of its own. */
static void hurry_start(struct registration *registration)
{
        bool last_word = registration->request && registration->sent_kind != UPDATE_SET;

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
                        set_reason(registration, "its registrar does not answer");
                give_up(registration);
                return 0;
        }
        request_cancel(registration);
        registrar_distrust(registration->registrar);
        run(registration);
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
                run(registration);
        hurry_start(registration);
}

int registration_new(const struct registration_options *options, struct registration **ret)
{
        _cleanup_(registration_freep) struct registration *registration = calloc(1, sizeof(*registration));
        const struct ledger_entry *entry;
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
        entry = name_choice_recall(&registration->choice, options->ledger, &options->zone);
        if (entry) {
                r = address_set_copy(&entry->addresses, &registration->held);
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
        sd_event_source_disable_unref(registration->doubt);
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
                .next_usec = registration->next_usec,
                .attempts = registration->attempts,
                .settled = registration->attempts > 0 && !registration->request &&
                           !registrar_is_busy(registration->registrar),
        };
        (void) snprintf(ret->server, sizeof(ret->server), "%s", registrar_server(registration->registrar));
        strcpy(ret->reason, registration->reason);
}
