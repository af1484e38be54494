/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A name with a suffix is a makeshift. Beside it the plain name is asked for now and then, and what is
 * registered stays as it is until that is granted; then whoever keeps the ledger finds the other one there,
 * with nobody who wants it. */

#include "nsregc/message-ids.h"
#include "nsregc/registration-internal.h"
#include "nsregc/schedule.h"
#include "util/log.h"

static bool is_makeshift(const struct registration *registration)
{
        return registration->goal == GOAL_REGISTER && registration->choice.suffix &&
               registration->choice.number > 1 && !registration->hurried;
}

static void timer_drop(struct registration *registration)
{
        registration->trial.timer = sd_event_source_disable_unref(registration->trial.timer);
}

/* What is registered is refreshed first: that makes the connection, too. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct registration *registration = userdata;

        timer_drop(registration);
        registration->trial.due = true;
        registration_run(registration);
        return 0;
}

static void try_later(struct registration *registration, usec_t delay)
{
        registration->trial.due = false;
        timer_drop(registration);
        /* Without a timer the next change of the network is the next chance. */
        (void) sd_event_add_time_relative(registration->options.event, &registration->trial.timer,
                                          CLOCK_BOOTTIME, delay, USEC_PER_SEC, on_timer, registration);
}

void registration_trial_renew(struct registration *registration)
{
        registration->trial.times = 0;
        registration->trial.due = is_makeshift(registration);
        timer_drop(registration);
}

void registration_trial_end(struct registration *registration)
{
        registration->trial.under_way = false;
}

/* Of the plain name, once it may be there: noted before it is sent, as always. */
static void note(struct registration *registration, const struct address_set *addresses)
{
        struct registration_options *options = &registration->options;
        int r = ledger_set(options->ledger, &options->zone, &registration->choice.plain, registration->place,
                           registration->kind, addresses);

        if (r < 0)
                log_warning("What is registered cannot be noted for the next start: %s", strerror(-r));
}

static void granted(struct registration *registration, const struct update_answer *answer)
{
        struct registration_options *options = &registration->options;

        /* The one with the suffix stays in the ledger. Without memory for it the next pass says it again. */
        options->name = registration->choice.plain;
        registration->choice.number = 1;
        name_choice_granted(&registration->choice);
        (void) address_set_copy(answer->granted.n_items > 0 ? &answer->granted : &registration->sent,
                                &registration->held);
        registration->kind = answer->knows_lease ? SERVER_MODERN : SERVER_ORIGINAL;
        registration->replaced = registration->twins > 0;
        registration->trial.times = 0;
        registration_records_forget(registration);
        registration_note(registration);
        registration_log_done(registration, NSREGC_EVENT_REGISTERED, "Free by now, and registered",
                              &registration->held);
}

static void refused(struct registration *registration)
{
        struct registration_options *options = &registration->options;

        /* Writing is tried again by whoever keeps the ledger. */
        (void) ledger_remove(options->ledger, &options->zone, &registration->choice.plain,
                             registration->place);
        try_later(registration, schedule_refused(++registration->trial.times, registration_lot()));
}

/* Perhaps it is ours now: that is found out soon. */
static void uncertain(struct registration *registration)
{
        try_later(registration, schedule_retry(++registration->trial.times, registration_lot()));
}

static void on_answer(void *userdata, int error, const uint8_t *reply, size_t size)
{
        struct registration *registration = userdata;
        struct update_answer answer = { 0 };

        registration->request = NULL;
        registration->doubt = sd_event_source_disable_unref(registration->doubt);
        registration_trial_end(registration);
        if (error == 0)
                error = update_answer_read(reply, size, &registration->choice.plain, &answer);
        if (error < 0 || answer.verdict == VERDICT_LATER)
                uncertain(registration);
        else if (answer.verdict == VERDICT_GRANTED)
                granted(registration, &answer);
        else
                refused(registration);
        update_answer_clear(&answer);
        registration_tell(registration);
        /* What was put off meanwhile. */
        if (registration->goal != GOAL_REGISTER || registration_has_more_to_say(registration) ||
            registration_has_records_to_say(registration))
                registration_run(registration);
}

/* As much as one update holds: the rest follows when it is granted. */
static int begin(struct registration *registration)
{
        const struct dns_name *plain = &registration->choice.plain;
        struct update_room room = update_room(&registration->options.zone, plain,
                                              &registration->options.pair->key, registration->room_rrs);
        struct address_set target = { 0 }, none = { 0 };
        struct update_pass pass = { 0 };
        bool by_rrset = false;
        int r = registration_target(registration, &target);

        if (r >= 0)
                r = update_pass_begin(&pass, &none, &target, false, false, &room, plain);
        if (r >= 0)
                r = update_pass_next(&pass, &room, plain, &registration->gone, &registration->sent,
                                     &by_rrset);
        update_pass_clear(&pass);
        address_set_clear(&target);
        if (r < 0)
                return r;
        note(registration, &registration->sent);
        registration->sent_kind = UPDATE_SET;
        registration->sent_by_rrset = false;

        struct update update = { .kind = UPDATE_SET, .name = plain };
        return registration_request(registration, &update, on_answer);
}

void registration_trial_look(struct registration *registration)
{
        struct trial *trial = &registration->trial;

        if (!is_makeshift(registration) || registration->request) {
                trial->due = false;
                return;
        }
        if (!trial->due) {
                if (!trial->timer)
                        try_later(registration, schedule_refused(MAX(trial->times, 1u), registration_lot()));
                return;
        }
        trial->due = false;
        if (!registrar_client(registration->registrar) || begin(registration) < 0)
                uncertain(registration);
        else
                trial->under_way = true;
}
