/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A new key: the old one signs it in, then the name is registered by it. Where the old one is refused the new
 * one may be in force already, as an earlier attempt was interrupted: it is tried all the same. */

#include "nsregc/registration-internal.h"

bool registration_can_roll(const struct registration *registration)
{
        return registration->kind == SERVER_MODERN;
}

void registration_roll(struct registration *registration, const struct dns_keypair *pair)
{
        registration->roll_from = registration->options.pair;
        registration->roll_to = pair;
        registration->roll = ROLL_SAYING;
        registration->failures = registration->refusals = 0;
        registration_come_to_rest(registration);
        registration_run(registration);
}

enum roll_state registration_roll_state(const struct registration *registration)
{
        return registration->roll;
}

bool registration_roll_answered(struct registration *registration, const struct update_answer *answer)
{
        if (answer->verdict != VERDICT_GRANTED && answer->verdict != VERDICT_REFUSED)
                return false;
        registration->roll = ROLL_CONFIRMING;
        registration->options.pair = registration->roll_to;
        registration_run(registration);
        return true;
}

void registration_roll_granted(struct registration *registration)
{
        if (registration->roll == ROLL_CONFIRMING)
                registration->roll = ROLL_DONE;
}

void registration_roll_refused(struct registration *registration)
{
        if (registration->roll != ROLL_CONFIRMING)
                return;
        registration->roll = ROLL_REFUSED;
        registration->options.pair = registration->roll_from;
}
