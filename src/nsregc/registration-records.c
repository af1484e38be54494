/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Records beside addresses. They are said behind the addresses, in an update of their own, whenever these
 * are: so they need no clock, and a registrar that does not take them never refuses the addresses with them.
 */

#include <stdio.h>

#include "nsregc/message-ids.h"
#include "nsregc/registration-internal.h"
#include "nsregc/schedule.h"
#include "util/log.h"

static void set_reason(struct registration *registration, const char *format, ...) _printf_(2, 3);

static void set_reason(struct registration *registration, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(registration->extra_reason, sizeof(registration->extra_reason), format, arguments);
        va_end(arguments);
}

bool registration_has_records_to_say(struct registration *registration)
{
        if (registration->goal != GOAL_REGISTER || registration->extra_said || registration->extra_refused)
                return false;
        if (registration->extra.n_items == 0 && registration->extra_held.n_items == 0) {
                registration->extra_settled = true;
                return false;
        }
        if (registration->kind == SERVER_MODERN)
                return true;
        set_reason(registration, "the registrar knows no records beside addresses");
        registration->extra_refused = registration->extra_settled = true;
        return false;
}

/* What goes, and all that stands: a lease of theirs begins anew. */
static int prepare(struct registration *registration)
{
        int r;

        extra_record_list_clear(&registration->extra_sent);
        extra_record_list_clear(&registration->extra_gone);
        r = extra_record_list_merge(&registration->extra_sent, &registration->extra);
        if (r >= 0)
                r = extra_record_list_merge(&registration->extra_gone, &registration->extra_held);
        if (r >= 0)
                extra_record_list_subtract(&registration->extra_gone, &registration->extra);
        /* Whatever becomes of it, it may be there from now on. */
        if (r >= 0)
                r = extra_record_list_merge(&registration->extra_held, &registration->extra);
        return r;
}

int registration_say_records(struct registration *registration)
{
        struct update update = {
                .kind = UPDATE_RECORDS,
                .name = &registration->options.name,
                .extra = &registration->extra_sent,
                .extra_removals = &registration->extra_gone,
        };
        int r;

        if (!registrar_client(registration->registrar))
                return -ENOTCONN;
        r = prepare(registration);
        if (r < 0)
                return r;
        registration->extra_said = true;
        registration->sent_kind = UPDATE_RECORDS;
        r = registration_request(registration, &update, registration_on_answer);
        if (r == -EMSGSIZE) {
                set_reason(registration, "they do not fit into a message");
                registration->extra_refused = registration->extra_settled = true;
        }
        return r;
}

static void log_refused(struct registration *registration)
{
        report_reason(&registration->options.zone, &registration->options.name, LOG_NOTICE,
                      NSREGC_EVENT_REFUSED, "has its addresses, but its other records were refused",
                      registration->extra_reason, registration->extra_told);
}

void registration_records_answered(struct registration *registration, const struct update_answer *answer)
{
        const char *code = dns_rcode_to_string(answer->rcode) ?: "an unknown code", *text = answer->text;
        usec_t delay = registration->refresh_usec;
        bool same = extra_record_list_equal(&registration->extra, &registration->extra_sent);

        switch (answer->verdict) {
        case VERDICT_GRANTED:
                extra_record_list_subtract(&registration->extra_held, &registration->extra_gone);
                registration->extra_reason[0] = registration->extra_told[0] = '\0';
                registration->extra_settled = same;
                break;
        case VERDICT_LATER:
        case VERDICT_CLOCK:
                /* Perhaps they are there; it is said again, and so are the addresses, with the same pauses.
                 */
                set_reason(registration, "the registrar cannot do it now (%s%s%s)", code, text[0] ? ": " : "",
                           text);
                registration->extra_settled = same;
                delay = MIN(delay, schedule_retry(++registration->failures, registration_lot()));
                break;
        case VERDICT_FORM:
        case VERDICT_REFUSED:
                set_reason(registration, "%s", text[0] ? text : code);
                registration->extra_refused = registration->extra_settled = same;
                log_refused(registration);
                break;
        }
        if (registration->goal != GOAL_REGISTER || !same) {
                registration->extra_said = false;
                registration_run(registration);
                return;
        }
        registration_timer_start(registration, delay);
        registration_trial_look(registration);
        registration_tell(registration);
}

void registration_records_anew(struct registration *registration)
{
        registration->extra_refused = registration->extra_said = false;
}

void registration_records_forget(struct registration *registration)
{
        extra_record_list_clear(&registration->extra_held);
        registration->extra_settled = false;
        registration_records_anew(registration);
}

int registration_set_records(struct registration *registration, const struct extra_record_list *records,
                             const struct extra_record_list *left)
{
        struct extra_record_list copy = { 0 };
        int r;

        if (extra_record_list_equal(&registration->extra, records) &&
            extra_record_list_equal(&registration->extra_left, left))
                return 0;
        r = extra_record_list_merge(&copy, records);
        if (r >= 0)
                r = extra_record_list_merge(&registration->extra_held, left);
        if (r >= 0)
                r = extra_record_list_merge(&registration->extra_left, left);
        if (r < 0) {
                extra_record_list_clear(&copy);
                return r;
        }
        extra_record_list_clear(&registration->extra);
        registration->extra = copy;
        registration->extra_settled = false;
        registration_records_anew(registration);
        /* Behind the addresses: these are said anew. */
        if (registration->state == REGISTRATION_REGISTERED)
                registration_run(registration);
        return 0;
}
