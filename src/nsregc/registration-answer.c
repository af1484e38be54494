/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "nsregc/message-ids.h"
#include "nsregc/registration-internal.h"
#include "nsregc/schedule.h"
#include "util/log.h"

#define CLOCK_RETRY_USEC (30 * USEC_PER_SEC)
#define FEW_RRS          4 /* what is too much then is not their number */

/* What is registered in part says so: what the registrar filters out, and what it has no room for. */
static void note_left_out(struct registration *registration, const struct update_answer *answer)
{
        char list[ADDRESS_SET_TEXT_MAX];

        registration->reason[0] = '\0';
        if (*address_set_text(&registration->target, &registration->held, list))
                registration_set_reason(registration, "the registrar does not take %s%s%s", list,
                                        answer->text[0] ? ": " : "", answer->text);
        else if (registration->target.n_items < registration->wanted.n_items)
                registration_set_reason(registration,
                                        "the registrar takes %zu of %zu addresses, left out: %s",
                                        registration->target.n_items, registration->wanted.n_items,
                                        address_set_text(&registration->wanted, &registration->target, list));
        else if (update_answer_has_twin(answer))
                registration_set_reason(registration, "%s", answer->text);
}

/* Another machine that has our key takes our addresses away whenever it begins: they are asked for again
 * sooner than their lease would have it. */
static usec_t next_refresh(struct registration *registration, const struct update_answer *answer)
{
        usec_t refresh = schedule_refresh(registration->pass_lease_sec, answer->knows_lease,
                                          registration_lot());

        if (registration->twins == 0)
                return refresh;
        return MIN(refresh, schedule_twin(registration->twins, registration_lot()));
}

static void note_twin(struct registration *registration, const struct update_answer *answer)
{
        registration->twins = update_answer_has_twin(answer) ? registration->twins + 1 : 0;
        if (registration->twins > 0)
                registration->replaced = true;
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
        registration_note(registration);
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

bool registration_has_more_to_say(const struct registration *registration)
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

static void log_shortcoming(struct registration *registration)
{
        if (registration->twins > 0)
                registration_log_reason(registration, LOG_WARNING, NSREGC_EVENT_TWIN,
                                        "is registered, but not by this machine alone");
        else if (registration->reason[0])
                registration_log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED,
                                        "is registered in part");
        else
                registration->told[0] = '\0';
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
                registration_run(registration);
                return;
        }

        fresh = registration->state != REGISTRATION_REGISTERED ||
                !address_set_equal(&registration->held, &registration->pass_from);
        registration_pass_drop(registration);
        note_left_out(registration, answer);
        note_filtered(registration);
        note_twin(registration, answer);
        registration->attempts++;
        registration_roll_granted(registration);
        registration->state = REGISTRATION_REGISTERED;
        if (fresh)
                registration_log_done(registration, NSREGC_EVENT_REGISTERED, "Registered",
                                      &registration->held);
        log_shortcoming(registration);
        if (registration_has_more_to_say(registration)) {
                registration_run(registration);
                return;
        }
        registration_come_to_rest(registration);
        registration->refresh_usec = next_refresh(registration, answer);
        registration->extra_said = false;
        if (!registration_has_records_to_say(registration) || registration_say_records(registration) < 0) {
                registration_timer_start(registration, registration->refresh_usec);
                registration_trial_look(registration);
        }
        registration_tell(registration);
}

static void taken_away(struct registration *registration)
{
        if (registration->sent_by_rrset)
                address_set_clear(&registration->held);
        address_set_subtract(&registration->held, &registration->gone);
        registration->failures = registration->refusals = 0;
        extra_record_list_clear(&registration->extra_held);
        registration_note(registration);
        if (registration->sent_kind != UPDATE_RELEASE && registration->held.n_items > 0) {
                registration_run(registration);
                return;
        }
        registration_pass_drop(registration);
        registration->attempts++;
        registration->reason[0] = registration->told[0] = '\0';
        if (registration->sent_kind == UPDATE_RELEASE)
                registration->released = true;
        registration_log_done(registration, NSREGC_EVENT_WITHDRAWN,
                              registration->sent_kind == UPDATE_RELEASE ? "Released" : "Withdrew", NULL);
        registration_run(registration);
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
                registration_log_reason(registration, LOG_NOTICE, NSREGC_EVENT_REFUSED, "was refused");
        again = name_choice_refused(&registration->choice, registration->reason, &options->name);
        if (dns_name_equal(&before, &options->name))
                return false;
        address_set_clear(&registration->held);
        registration_records_forget(registration);
        registration->replaced = false;
        (void) ledger_remove(options->ledger, &options->zone, &before, registration->place);
        if (again)
                registration_run(registration);
        return again;
}

/* It told how many it takes: the best of them then. */
static bool try_fewer(struct registration *registration, const struct update_answer *answer)
{
        uint32_t limit = registration->sent_kind == UPDATE_SET ? update_answer_limit(answer) : 0;

        if (limit == 0 || limit >= registration->target.n_items)
                return false;
        registration->limit = limit;
        registration_pass_drop(registration);
        registration_run(registration);
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
        registration_pass_drop(registration);
        registration_run(registration);
        return true;
}

/* Who lost a key, or has a new one by mistake, needs to know which one this is, and the way out. */
static void reason_foreign(struct registration *registration, const char *text)
{
        char name[DNS_NAME_FORMAT_MAX], fingerprint[DNS_KEY_FINGERPRINT_MAX];

        registration_set_reason(
                registration,
                "%s; this machine's key is %s from %s; if the name is this machine's by right, put its "
                "key there, "
                "or the registrar's administrator types: nsregctl revoke %s",
                text, dns_key_fingerprint(&registration->options.pair->key, fingerprint),
                registration->options.key_source, dns_name_format(&registration->options.name, name));
}

static void answer_judge(struct registration *registration, const struct update_answer *answer)
{
        const char *code = dns_rcode_to_string(answer->rcode) ?: "an unknown code", *text = answer->text;

        if (registration->sent_kind == UPDATE_ROLL && registration_roll_answered(registration, answer))
                return;
        switch (answer->verdict) {
        case VERDICT_GRANTED:
                if (registration->sent_kind == UPDATE_SET)
                        set_granted(registration, answer);
                else
                        taken_away(registration);
                return;
        case VERDICT_LATER:
                registration_set_reason(registration, "the registrar cannot do it now (%s%s%s)", code,
                                        text[0] ? ": " : "", text);
                registration_pass_on(registration, false);
                return;
        case VERDICT_CLOCK:
                registration_set_reason(registration, "this machine's clock and the registrar's differ%s%s",
                                        text[0] ? ": " : "", text);
                registration->failures++;
                registration_failed(registration, CLOCK_RETRY_USEC);
                return;
        case VERDICT_FORM:
                if (try_another_form(registration))
                        return;
                registration_set_reason(registration, "the registrar does not understand (%s%s%s)", code,
                                        text[0] ? ": " : "", text);
                registration_pass_on(registration, false);
                return;
        case VERDICT_REFUSED:
                if (update_answer_is_foreign(answer))
                        reason_foreign(registration, text);
                else
                        registration_set_reason(registration, "%s%s", text[0] ? text : code,
                                                text[0] ? "" : " without a reason");
                if (!try_fewer(registration, answer) && !try_another_name(registration, answer))
                        registration_refused(registration);
                return;
        }
}

void registration_note_uncertain(struct registration *registration)
{
        if (registration->sent_kind != UPDATE_SET)
                return;
        registration->lease_end_usec = usec_add(now_usec(CLOCK_BOOTTIME),
                                                registration->options.addr_ttl_sec * USEC_PER_SEC);
        for (size_t i = 0; i < registration->sent.n_items; i++)
                (void) address_set_add(&registration->held, &registration->sent.items[i].address,
                                       USEC_INFINITY);
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
                registration_note_uncertain(registration);
                registration_set_reason(registration, "%s: %s", registrar_server(registration->registrar),
                                        error == -ETIMEDOUT ? "no answer" : strerror(-error));
                registration_pass_on(registration, true);
                return;
        }
        if (answer.verdict != VERDICT_LATER && answer.verdict != VERDICT_FORM)
                registrar_worked(registration->registrar);
        if (registration->sent_kind == UPDATE_RECORDS)
                registration_records_answered(registration, &answer);
        else
                answer_judge(registration, &answer);
        update_answer_clear(&answer);
}
