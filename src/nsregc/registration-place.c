/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/registration-internal.h"
#include "util/log.h"

int registration_recall(struct registration *registration)
{
        const struct registration_options *options = &registration->options;
        const struct ledger_entry *entry = name_choice_recall(&registration->choice, options->ledger,
                                                              &options->zone, registration->place);

        if (!entry)
                return 0;
        registration->options.name = entry->name;
        registration->kind = entry->kind;
        strcpy(registration->place, entry->place);
        registration->trial.due = registration->choice.number > 1;
        registration->lease_end_usec = usec_add(now_usec(CLOCK_BOOTTIME),
                                                options->addr_ttl_sec * USEC_PER_SEC);
        return address_set_copy(&entry->addresses, &registration->held);
}

/* What is held stays where it is, and in the ledger, for when we are back. */
static void leave(struct registration *registration)
{
        struct registration_options *options = &registration->options;

        /* Nobody knows here what it was there for. */
        if (options->left) {
                ledger_set_elsewhere(options->ledger, &options->zone, &options->name, registration->place);
                registration->elsewhere = registration->released = true;
        }
        registration_pass_drop(registration);
        address_set_clear(&registration->held);
        registration_records_forget(registration);
        registration->lease_end_usec = 0;
        options->name = registration->choice.plain;
        registration->choice = (struct name_choice){ options->name, registration->choice.suffix,
                                                     .number = 1 };
        registration_trial_renew(registration);
        registration->trial.due = false;
        registration->told[0] = '\0';
        registration->twins = 0;
        registration_forget_server(registration);
}

void registration_enter(struct registration *registration)
{
        const char *place = registrar_place(registration->registrar);
        char name[DNS_NAME_FORMAT_MAX];

        if (!place_same(registration->place, place)) {
                log_debug("%s is at %s now, and was at %s",
                          dns_name_format(&registration->options.zone, name), place, registration->place);
                leave(registration);
                strcpy(registration->place, place);
                /* Without memory for it, it is as if nothing were registered here. */
                if (!registration->options.left && registration_recall(registration) < 0)
                        address_set_clear(&registration->held);
                registration_tell(registration);
        } else if (!registration->place[0])
                registration_tell(registration);
        /* What is known of it stays known. */
        if (!registration->place[0] || strchr(place, '/'))
                strcpy(registration->place, place);
}
