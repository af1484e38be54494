/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>

#include "nsregc/message-ids.h"
#include "nsregc/random.h"
#include "nsregc/registration-internal.h"
#include "nsregc/schedule.h"
#include "util/log.h"

void registration_tell(struct registration *registration)
{
        registration->options.changed(registration->options.userdata, registration);
}

void registration_set_state(struct registration *registration, enum registration_state state)
{
        if (registration->state == state)
                return;
        registration->state = state;
        registration_tell(registration);
}

void registration_set_reason(struct registration *registration, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(registration->reason, sizeof(registration->reason), format, arguments);
        va_end(arguments);
}

void registration_log_reason(struct registration *registration, int level, sd_id128_t id, const char *what)
{
        report_reason(&registration->options.zone, &registration->options.name, level, id, what,
                      registration->reason, registration->told);
}

void registration_log_done(struct registration *registration, sd_id128_t id, const char *what,
                           const struct address_set *addresses)
{
        report_done(&registration->options.zone, &registration->options.name, id, what, addresses);
}

void registration_timer_stop(struct registration *registration)
{
        registration->timer = sd_event_source_disable_unref(registration->timer);
        registration->next_usec = USEC_INFINITY;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct registration *registration = userdata;

        registration_timer_stop(registration);
        registration_run(registration);
        return 0;
}

void registration_timer_start(struct registration *registration, usec_t delay)
{
        usec_t accuracy = CLAMP(delay / 20, USEC_PER_MSEC, USEC_PER_SEC);

        registration_timer_stop(registration);
        registration->next_usec = usec_add(now_usec(CLOCK_BOOTTIME), delay);
        (void) sd_event_add_time(registration->options.event, &registration->timer, CLOCK_BOOTTIME,
                                 registration->next_usec, accuracy, on_timer, registration);
}

uint32_t registration_lot(void)
{
        return random_below(NULL, SCHEDULE_LOT);
}

void registration_note(struct registration *registration)
{
        struct registration_options *options = &registration->options;
        int r;

        /* The next start comes back to the same suffix. */
        if (registration->held.n_items == 0 && registration->goal != GOAL_REGISTER &&
            (registration->goal == GOAL_RELEASE || !registration->choice.known_suffix))
                r = ledger_remove(options->ledger, &options->zone, &options->name, registration->place);
        else
                r = ledger_set(options->ledger, &options->zone, &options->name, registration->place,
                               registration->kind, &registration->held);
        if (r < 0)
                log_warning("What is registered cannot be noted for the next start: %s", strerror(-r));
}

/* ------ ends of an attempt ------ */

void registration_pass_drop(struct registration *registration)
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
        registration_run(registration);
        return true;
}

void registration_give_up(struct registration *registration)
{
        registration_log_reason(registration, LOG_NOTICE, NSREGC_EVENT_UNREACHABLE,
                                "cannot be taken away now and ends with its lease");
        registrar_cancel(registration->registrar);
        registration_timer_stop(registration);
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        registration_set_state(registration, REGISTRATION_RELEASED);
}

void registration_come_to_rest(struct registration *registration)
{
        registration->turns = registration->loops = 0;
}

void registration_failed(struct registration *registration, usec_t delay)
{
        registration->attempts++;
        registration_pass_drop(registration);
        registration_come_to_rest(registration);
        if (registration->hurried) {
                registration_give_up(registration);
                return;
        }
        if (attempt_pointless(registration))
                return;
        registration->state = registration->goal == GOAL_REGISTER ? REGISTRATION_UNREACHABLE
                                                                  : REGISTRATION_RELEASING;
        registration_timer_start(registration, delay);
        registration_log_reason(registration, LOG_NOTICE, NSREGC_EVENT_UNREACHABLE,
                                "cannot be registered now");
        registration_tell(registration);
}

void registration_unreachable(struct registration *registration)
{
        registration->failures++;
        registration_failed(registration, schedule_retry(registration->failures, registration_lot()));
}

void registration_refused(struct registration *registration)
{
        registration->attempts++;
        registration->refusals++;
        registration_roll_refused(registration);
        registration_pass_drop(registration);
        if (registration->goal != GOAL_REGISTER) {
                /* What we may not change is not ours (any more). */
                registration_log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED,
                                        "cannot be taken away");
                address_set_clear(&registration->held);
                registration_note(registration);
                registration->released = true;
                registration_run(registration);
                return;
        }
        registration_come_to_rest(registration);
        registration->state = REGISTRATION_REFUSED;
        registration_timer_start(registration, schedule_refused(registration->refusals, registration_lot()));
        registration_log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "was refused");
        registration_tell(registration);
}

void registration_pass_on(struct registration *registration, bool dead)
{
        const char *why;

        registration_pass_drop(registration);
        if (registrar_pass_on(registration->registrar, dead, registration->reason, &why)) {
                registration_run(registration);
                return;
        }
        registration_set_reason(registration, "%s", why);
        registration_unreachable(registration);
}
