/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/name-choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns/protocol.h"
#include "util/macro.h"

int name_choice_make(const struct dns_name *plain, unsigned number, struct dns_name *ret)
{
        char label[DNS_LABEL_MAX + 1], suffix[16];
        const uint8_t *first;
        struct dns_name parent;
        size_t length = dns_name_first_label(plain, &first), suffix_length;

        if (number == 1) {
                *ret = *plain;
                return 0;
        }
        if (number < 1 || number > NAME_CHOICE_MAX || length == 0 || dns_name_parent(plain, &parent) < 0)
                return -EINVAL;
        suffix_length = (size_t) snprintf(suffix, sizeof(suffix), "-%u", number);
        length = MIN(length, DNS_LABEL_MAX - suffix_length);
        memcpy(label, first, length);
        memcpy(label + length, suffix, suffix_length);
        return dns_name_prepend(label, length + suffix_length, &parent, ret) < 0 ? -EINVAL : 0;
}

unsigned name_choice_number(const struct dns_name *plain, const struct dns_name *name)
{
        for (unsigned number = 1; number <= NAME_CHOICE_MAX; number++) {
                struct dns_name made;

                if (name_choice_make(plain, number, &made) >= 0 && dns_name_equal(&made, name))
                        return number;
        }
        return 0;
}

bool name_choice_is_conflict(const struct update_answer *answer)
{
        if (answer->rcode != DNS_RCODE_REFUSED)
                return false;
        return answer->ede == DNS_EDE_BLOCKED || update_answer_is_foreign(answer);
}

bool name_choice_refused(struct name_choice *choice, char reason[static NAME_CHOICE_REASON_MAX],
                         struct dns_name *name)
{
        if (!choice->suffix)
                return false;
        if (choice->held) {
                /* Known under it: a person decides, or the next round, but for the plain name. */
                choice->held = choice->number == 1;
                return false;
        }
        if (choice->number == 1) {
                choice->plain_refused = true;
                memcpy(choice->reason, reason, sizeof(choice->reason));
        }
        choice->known_suffix = false;
        /* A round may have begun with what a predecessor had. */
        choice->number = choice->plain_refused ? choice->number + 1 : 1;
        if (name_choice_make(&choice->plain, choice->number, name) >= 0)
                return true;
        *name = choice->plain;
        choice->number = 1;
        choice->plain_refused = false;
        memcpy(reason, choice->reason, sizeof(choice->reason));
        return false;
}

void name_choice_granted(struct name_choice *choice)
{
        choice->held = true;
        choice->known_suffix = choice->number > 1;
        choice->plain_refused = false;
}

void name_choice_allow(struct name_choice *choice, bool suffix, const struct dns_name *name)
{
        choice->suffix = suffix;
        if (suffix)
                return;
        choice->plain = *name;
        choice->number = 1;
        choice->plain_refused = choice->known_suffix = false;
}

const struct ledger_entry *name_choice_recall(struct name_choice *choice, const struct ledger *ledger,
                                              const struct dns_name *zone, const char *place)
{
        unsigned last = choice->suffix ? NAME_CHOICE_MAX : 1;

        for (unsigned number = 1; number <= last; number++) {
                const struct ledger_entry *entry;
                struct dns_name name;

                if (name_choice_make(&choice->plain, number, &name) < 0)
                        continue;
                entry = ledger_find(ledger, zone, &name, place);
                if (!entry)
                        continue;
                choice->number = number;
                choice->known_suffix = number > 1;
                return entry;
        }
        return NULL;
}
