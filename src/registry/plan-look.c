/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is there? Only a prerequisite tells: answers to queries may be made up of a wildcard, cut off by a
 * delegation, or old. So what is expected is asked for as prerequisites, many units in a message; where that
 * fails, queries say what to ask for next; and where that fails as well, one value after the other is tried.
 * Each such message is a barrier for what was sent long enough before it. */

#include <stdio.h>

#include "dns/rdata.h"
#include "registry/plan-internal.h"

bool part_is_looked_at(const struct unit_part *part)
{
        const struct unit *unit = part->unit;

        if (unit->look == LOOK_WALK && unit_mode(unit) == UNIT_EXCLUSIVE)
                return part == unit->walked;
        return part->stored || part->known < 0;
}

void unit_look_at(struct unit *unit, enum unit_look look)
{
        bool any = false, other = false;

        unit->look = look;
        unit->walked = NULL;
        unit->walk_step = 0;
        FOREACH_PART (part, unit) {
                any |= part_is_looked_at(part);
                other |= part_is_looked_at(part) && part->known == VALUE_OTHER;
        }
        /* What is not ours cannot be expected. */
        if (other)
                unit->look = LOOK_QUERY;
        if (!any)
                unit->look = LOOK_NOT;
}

/* --- guesses --- */

/* The n-th value that may be there: what a query said, nothing, what is listed. False: there is none. */
static bool nth_guess(const struct unit *unit, const struct unit_part *part, unsigned n, struct rrset *ret)
{
        bool shared = unit_mode(unit) == UNIT_SHARED;

        if (n == 0)
                *ret = shared ? unit->found : part_view(part, &unit->found);
        else if (n == 1)
                *ret = (struct rrset){};
        else if (!shared && n - 2 < part->n_values)
                *ret = part->values[n - 2];
        else
                return false;
        return true;
}

/* The step from "step" on whose guess was not made before; false: there is none. */
static bool next_guess(const struct unit *unit, const struct unit_part *part, unsigned *step,
                       struct rrset *ret)
{
        for (; nth_guess(unit, part, *step, ret); (*step)++) {
                bool made = false;

                for (unsigned i = 0; i < *step && !made; i++) {
                        struct rrset before;

                        made = nth_guess(unit, part, i, &before) && rrset_equal(&before, ret);
                }
                if (!made)
                        return true;
        }
        return false;
}

int look_prepare(struct unit *unit)
{
        struct rrset sending = {}, guess;
        int r = 0;

        switch (unit->look) {
        case LOOK_NOT:
        case LOOK_QUERY:
                break;
        case LOOK_EXPECT:
                FOREACH_PART (part, unit)
                        if (part_is_looked_at(part) && r >= 0)
                                r = rrset_add_all(
                                        &sending,
                                        &part->values[part->known >= 0 ? part->known : part->n_values - 1]);
                break;
        case LOOK_CONFIRM:
                r = rrset_copy(&sending, &unit->found);
                break;
        case LOOK_WALK:
                if (next_guess(unit, unit->walked ?: unit->parts, &unit->walk_step, &guess))
                        r = rrset_copy(&sending, &guess);
                break;
        }
        if (r < 0) {
                rrset_clear(&sending);
                return r;
        }
        rrset_clear(&unit->sending);
        unit->sending = sending;
        return 0;
}

/* --- what was found --- */

/* Everything that was in doubt is settled, and this is there. 0 or -ENOMEM. */
static int replace_values(struct unit_part *part, const struct rrset *value)
{
        struct rrset copy;
        int r = rrset_copy(&copy, value);

        if (r < 0)
                return r;
        for (unsigned i = 0; i < part->n_values; i++)
                rrset_clear(&part->values[i]);
        part->values[0] = copy;
        part->n_values = 1;
        part->known = 0;
        part->full = false;
        part->changed = true;
        return 0;
}

/* Ours is what equals a listed value; nothing is nobody's; and where ours was accepted before, or nothing is
 * protected, or what is there was left to us, whatever is there is treated as ours. */
static int found_part(struct unit_part *part, const struct rrset *value)
{
        bool protect = part->unit->plan->options.protect_foreign;
        bool accepted = part->accepted;
        int r, i = part_find_value(part, value);

        if (i < 0 && !rrset_is_empty(value) && !part->accepted && protect && !part_may_adopt(part)) {
                part->known = VALUE_OTHER;
                part_trim(part);
                return 0;
        }
        if (i < 0 && part->accepted)
                part->unit->plan->ops->drifted(part->unit->plan->userdata, part->unit);
        if (i < 0 && part->n_doubts == 0) {
                r = replace_values(part, value);
                if (r < 0)
                        return r;
                i = 0;
        } else if (i < 0)
                i = part_add_value(part, value);
        if (i == -ENOSPC) {
                part->known = VALUE_UNKNOWN;
                part->full = true;
                return 0;
        }
        if (i < 0)
                return i;
        part->known = (int8_t) i;
        /* Where it is gone for certain, it is as if it had never been there. */
        if (!rrset_is_empty(value))
                part->accepted = true;
        else if (part->n_doubts == 0)
                part->accepted = false;
        part->changed |= part->accepted != accepted;
        part_trim(part);
        return 0;
}

/* Ours beside those of others; one like ours that was there before ours must survive ours. */
static void find_others(struct unit *unit)
{
        struct rrset_item item;
        uint32_t position = 0;

        unit->beside = false;
        while (rrset_next(&unit->sending, &position, &item))
                unit->beside |= !part_find(unit, &item) || part_find(unit, &item)->known == VALUE_OTHER;
}

/* What is there is what unit->sending says. False: memory is out. */
static bool take_found(struct unit *unit)
{
        FOREACH_PART (part, unit) {
                struct rrset view = part_view(part, &unit->sending);

                if (part_is_looked_at(part) && found_part(part, &view) < 0)
                        return false;
        }
        if (unit_mode(unit) == UNIT_SHARED)
                find_others(unit);
        return true;
}

#define WHY_MAX 96

static const char *why_other(const struct unit_part *part, char text[static WHY_MAX])
{
        const struct unit *unit = part->unit;
        char type[RDATA_TYPE_FORMAT_MAX];

        if (unit_mode(unit) == UNIT_SHARED)
                return "the DNS server has this PTR record of its own";
        if (unit->found_alias)
                return "the DNS server has a CNAME, a delegation or the like at this name";
        if (part->type == DNS_TYPE_A || part->type == DNS_TYPE_AAAA)
                return "the DNS server has addresses of its own at this name";
        snprintf(text, WHY_MAX, "the DNS server has %s records of its own at this name",
                 rdata_type_format(part->type, type));
        return text;
}

/* The name as a whole where nothing of it is ours, else the types apart. */
static void refuse_others(struct unit *unit)
{
        bool apart = unit_is_accepted(unit) || unit_mode(unit) == UNIT_SHARED;
        char text[WHY_MAX];

        FOREACH_PART (part, unit) {
                if (part->known != VALUE_OTHER || part->refused)
                        continue;
                unit_refuse(unit, apart ? part : NULL, why_other(part, text));
                if (!apart)
                        return;
        }
}

/* Something that may not be there was there, but it is none of what was looked for. */
static bool is_refuted(const struct unit *unit)
{
        FOREACH_PART (part, unit)
                if (part->known < 0 || !rrset_is_empty(&part->values[part->known]))
                        return false;
        return unit->refuted_alone && (unit->found_alias || unit->n_refutals > 2);
}

static void end_read_back(struct unit *unit, usec_t now_usec)
{
        bool there = true, certain = true;

        unit->read_back = false;
        FOREACH_PART (part, unit) {
                there &= part->known >= 0 && (!part->stored || !rrset_is_empty(&part->values[part->known]) ||
                                              rrset_is_empty(&part->wanted));
                certain &= part->known >= 0 && part_is_harmless(part);
        }
        if (!there)
                unit_reject(unit, "the server accepted the records but does not have them", now_usec);
        else if (certain)
                unit_end_waiters(unit, unit->published_generation, WAIT_PUBLISHED, NULL);
}

/* All that is looked at is known, or known not to be ours. */
static void end_look(struct unit *unit, usec_t now_usec)
{
        unit->look = LOOK_NOT;
        unit->walked = NULL;
        unit->n_late = 0;
        unit->crowd = unit->n_refutals > 1;
        rrset_clear(&unit->found);
        refuse_others(unit);
        if (is_refuted(unit))
                unit_refuse(unit, NULL,
                            unit->found_alias || unit_mode(unit) == UNIT_SHARED
                                    ? "the DNS server has a CNAME, a delegation or the like at this name"
                                    : "the DNS server says that it has data of its own at this name");
        if (unit->read_back)
                end_read_back(unit, now_usec);
        unit_route(unit);
}

/* What is there can be told by none of the guesses. */
static void give_up_walk(struct unit *unit, usec_t now_usec)
{
        struct unit_part *part = unit->walked;

        /* While something may still be applied it may have been there between two guesses. */
        if (part && part->n_doubts > 0) {
                part->full = true;
                return;
        }
        if (part && unit->walk_in_doubt) {
                unit_look_at(unit, LOOK_QUERY);
                return;
        }
        if (part && !part->accepted && unit->plan->options.protect_foreign) {
                part->known = VALUE_OTHER;
                part_trim(part);
                return;
        }
        unit->read_back = false;
        unit_look_at(unit, LOOK_QUERY);
        unit_reject(unit, "what the server has cannot be told: its answers and its prerequisites differ",
                    now_usec);
}

/* To the next part that is not known; false: there is none. */
static bool walk_on(struct unit *unit)
{
        unit->walk_step = 0;
        unit->walked = unit->walked ? unit->walked->next : unit->parts;
        while (unit->walked && unit->walked->known >= 0)
                unit->walked = unit->walked->next;
        unit->walk_in_doubt = unit->walked && unit->walked->n_doubts > 0;
        return unit->walked;
}

static void begin_walk(struct unit *unit)
{
        unit->look = LOOK_WALK;
        unit->walked = NULL;
        unit->walk_step = 0;
        unit->crowd = 1;
        if (unit_mode(unit) == UNIT_EXCLUSIVE)
                (void) walk_on(unit); /* there is one: a look has failed */
}

/* --- answers --- */

static void be_found(struct unit *unit, usec_t now_usec)
{
        if (!take_found(unit)) {
                unit_hold(unit, now_usec + BACKOFF_MIN_USEC);
                return;
        }
        if (unit->look == LOOK_WALK && unit_mode(unit) == UNIT_EXCLUSIVE && walk_on(unit))
                unit_route(unit);
        else
                end_look(unit, now_usec);
}

static void be_refuted(struct unit *unit, const struct plan_batch *batch, usec_t now_usec)
{
        struct rrset guess;

        switch (unit->look) {
        case LOOK_NOT:
        case LOOK_QUERY:
                break;
        case LOOK_EXPECT:
                FOREACH_PART (part, unit)
                        if (part_is_looked_at(part))
                                part->known = VALUE_UNKNOWN;
                unit->look = LOOK_QUERY;
                break;
        case LOOK_CONFIRM:
                if (batch->n_units > 1)
                        unit->crowd = 1;
                else
                        begin_walk(unit);
                break;
        case LOOK_WALK:
                unit->walk_step++;
                if (next_guess(unit, unit->walked ?: unit->parts, &unit->walk_step, &guess))
                        break;
                give_up_walk(unit, now_usec);
                if (unit->look == LOOK_WALK && !walk_on(unit)) {
                        end_look(unit, now_usec);
                        return;
                }
                break;
        }
        unit_route(unit);
}

static void settle_parts(struct unit *unit, const struct plan_batch *batch, usec_t now_usec)
{
        if (!batch->sent)
                return;
        FOREACH_PART (part, unit)
                part_settle(part, batch, now_usec);
}

void look_finish(struct unit *unit, const struct plan_batch *batch, enum plan_outcome outcome,
                 const char *reason, usec_t now_usec)
{
        switch (outcome) {
        case PLAN_ACKNOWLEDGED:
                settle_parts(unit, batch, now_usec);
                be_found(unit, now_usec);
                return;
        case PLAN_PREREQUISITE:
                settle_parts(unit, batch, now_usec);
                be_refuted(unit, batch, now_usec);
                return;
        case PLAN_REJECTED:
        case PLAN_FAILED:
                if (batch->n_units > 1) {
                        unit->crowd = batch->n_units / 2;
                        break;
                }
                unit_reject(unit, reason, now_usec);
                return;
        case PLAN_LATE:
                unit->n_late++;
                break;
        case PLAN_LOST:
                unit_suspect_size(unit, batch);
                break;
        case PLAN_DENIED:
        case PLAN_UNSENT:
        case PLAN_AGAIN:
                break;
        }
        unit_route_first(unit);
}

/* Where a query decides: something else at the name is no obstacle for what was accepted before. */
static void take_answer(struct unit *unit, const struct rrset *found, bool alias, usec_t now_usec)
{
        if (!take_found(unit)) {
                unit_hold(unit, now_usec + BACKOFF_MIN_USEC);
                return;
        }
        FOREACH_PART (part, unit)
                if (alias && (!part->accepted || rrset_is_empty(found)) &&
                    unit->plan->options.protect_foreign) {
                        part->known = VALUE_OTHER;
                        part->accepted = false;
                        part_trim(part);
                }
        end_look(unit, now_usec);
}

void look_answer(struct unit *unit, const struct plan_batch *batch, const struct rrset *found, bool alias,
                 usec_t now_usec)
{
        bool decides = !unit->plan->options.verify;

        if (rrset_replace(decides ? &unit->sending : &unit->found, found) < 0) {
                unit_hold(unit, now_usec + BACKOFF_MIN_USEC);
                return;
        }
        unit->found_alias = alias;
        if (decides) {
                settle_parts(unit, batch, now_usec);
                take_answer(unit, found, alias, now_usec);
                return;
        }
        unit->look = LOOK_CONFIRM;
        unit_route(unit);
}
