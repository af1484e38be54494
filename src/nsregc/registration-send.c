/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/registration-internal.h"
#include "util/log.h"

#define LAST_WORD_USEC (5 * USEC_PER_SEC) /* for the answer to the last thing that is said */

enum registration_action registration_next_action(const struct registration *registration)
{
        bool traces = registration->held.n_items > 0;

        switch (registration->goal) {
        case GOAL_REGISTER:
                if (registration->wanted.n_items > 0)
                        return ACTION_SET;
                return traces ? ACTION_WITHDRAW : ACTION_NONE;
        case GOAL_WITHDRAW:
                return traces ? ACTION_WITHDRAW : ACTION_NONE;
        case GOAL_RELEASE:
                if (registration->released)
                        return ACTION_NONE;
                /* The original knows no release, and takes an empty update for a claim. */
                if (registration->kind == SERVER_ORIGINAL)
                        return traces ? ACTION_WITHDRAW : ACTION_NONE;
                return ACTION_RELEASE;
        }
        return ACTION_NONE;
}

static int removals_compute(const struct registration *registration, enum registration_action action,
                            struct address_set *ret)
{
        for (size_t i = 0; i < registration->held.n_items; i++) {
                const struct address *address = &registration->held.items[i].address;
                int r = 0;

                if (action != ACTION_SET || !address_set_contains(&registration->wanted, address))
                        r = address_set_add(ret, address, USEC_INFINITY);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Before addresses are sent they are noted, so that a successor knows of them whatever happens now. */
static int note_before_sending(struct registration *registration)
{
        struct address_set all = { 0 };
        int r = address_set_copy(&registration->held, &all);

        for (size_t i = 0; i < registration->sent.n_items && r >= 0; i++)
                r = address_set_add(&all, &registration->sent.items[i].address, USEC_INFINITY);
        if (r >= 0)
                r = ledger_set(registration->options.ledger, &registration->options.zone,
                               &registration->options.name, registration->kind, &all);
        address_set_clear(&all);
        if (r < 0 && r != -ENOMEM) {
                log_warning("What is registered cannot be noted for the next start: %s", strerror(-r));
                r = 0;
        }
        return r;
}

int registration_send(struct registration *registration, enum registration_action action)
{
        struct registration_options *options = &registration->options;
        struct dns_client *client = registrar_client(registration->registrar);
        usec_t timeout = registration->hurried ? MIN(options->timeout_usec, LAST_WORD_USEC)
                                               : options->timeout_usec;
        struct address_set removals = { 0 };
        uint8_t message[UPDATE_SIZE_MAX];
        ssize_t size;
        int r = 0;

        address_set_clear(&registration->sent);
        if (action == ACTION_SET)
                r = address_set_copy(&registration->wanted, &registration->sent);
        if (r >= 0)
                r = removals_compute(registration, action, &removals);
        if (r >= 0 && action == ACTION_SET)
                r = note_before_sending(registration);
        if (r < 0) {
                address_set_clear(&removals);
                return r;
        }
        registration->sent_kind = action == ACTION_SET       ? UPDATE_SET
                                  : action == ACTION_RELEASE ? UPDATE_RELEASE
                                                             : UPDATE_WITHDRAW;
        registration->sent_by_rrset = action == ACTION_RELEASE ||
                                      (registration->kind == SERVER_MODERN &&
                                       (action == ACTION_WITHDRAW || !registration->replaced));

        struct update update = {
                .kind = registration->sent_kind,
                .id = dns_client_id(client),
                .zone = &options->zone,
                .name = &options->name,
                .pair = options->pair,
                .key_ttl_sec = options->key_ttl_sec,
                .addr_ttl_sec = options->addr_ttl_sec,
                .addresses = &registration->sent,
                .removals = &removals,
                .by_rrset = registration->sent_by_rrset,
                .now_boottime_usec = now_usec(CLOCK_BOOTTIME),
                .now_sec = now_usec(CLOCK_REALTIME) / USEC_PER_SEC,
        };
        size = update_build(&update, message);
        address_set_clear(&removals);
        if (size < 0)
                return (int) size;
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        return dns_client_request(client, message, (size_t) size, timeout, registration_on_answer,
                                  registration, &registration->request);
}
