/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/address-rank.h"
#include "nsregc/registration-internal.h"
#include "nsregc/source-address.h"
#include "util/log.h"

#define LAST_WORD_USEC (5 * USEC_PER_SEC) /* for the answer to the last thing that is said */

enum registration_action registration_next_action(const struct registration *registration)
{
        bool traces = registration->held.n_items > 0 || registration->extra_held.n_items > 0;

        switch (registration->goal) {
        case GOAL_REGISTER:
                if (registration->roll == ROLL_SAYING)
                        return ACTION_ROLL;
                if (registration->wanted.n_items > 0 || registration->spare.n_items > 0)
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

bool registration_has_target(struct registration *registration)
{
        const char *server = registrar_server(registration->registrar);
        _cleanup_free_ char *host = strndup(server, strcspn(server, "@"));
        struct address towards, source;

        address_set_clear(&registration->chosen);
        if (registration->wanted.n_items > 0)
                return true;
        return host && address_parse(host, &towards) >= 0 && source_address(&towards, &source) >= 0 &&
               address_set_contains(&registration->spare, &source) &&
               address_set_add(&registration->chosen, &source, USEC_INFINITY) >= 0;
}

int registration_target(const struct registration *registration, struct address_set *ret)
{
        struct address_set taken = { 0 };
        int r;

        if (registration->goal != GOAL_REGISTER) {
                address_set_clear(ret);
                return 0;
        }
        if (registration->wanted.n_items == 0)
                return address_set_copy(&registration->chosen, ret);
        if (registration->limit == 0 || registration->wanted.n_items <= registration->limit)
                return address_set_copy(&registration->wanted, ret);
        r = address_set_copy(&registration->wanted, &taken);
        if (r < 0)
                return r;
        address_set_subtract(&taken, &registration->filtered);
        r = address_set_best(taken.n_items > 0 ? &taken : &registration->wanted, registration->limit, ret);
        address_set_clear(&taken);
        return r;
}

/* Begins a pass, or goes on with the one under way if it still leads to where we want. */
static int pass_prepare(struct registration *registration, const struct update_room *room)
{
        struct address_set target = { 0 };
        bool knows_rrset = registration->kind == SERVER_MODERN && !registration->no_rrset;
        int r = registration_target(registration, &target);

        if (r < 0)
                return r;
        if (registration->passing && address_set_equal(&target, &registration->target) &&
            !update_pass_is_done(&registration->pass)) {
                address_set_clear(&target);
                return 0;
        }
        address_set_clear(&registration->target);
        registration->target = target;
        registration->passing = true;
        registration->pass_lease_sec = 0;
        r = address_set_copy(&registration->held, &registration->pass_from);
        if (r < 0)
                return r;
        return update_pass_begin(&registration->pass, &registration->held, &registration->target, knows_rrset,
                                 target.n_items > 0 && !registration->replaced, room,
                                 &registration->options.name);
}

/* Before addresses are sent they are noted, so that a successor knows of them whatever happens now. */
static int note_before_sending(struct registration *registration)
{
        struct address_set all = { 0 };
        int r = address_set_copy(&registration->held, &all);

        if (r >= 0)
                r = address_set_merge(&all, &registration->sent);
        if (r >= 0)
                r = ledger_set(registration->options.ledger, &registration->options.zone,
                               &registration->options.name, registration->place, registration->kind, &all);
        address_set_clear(&all);
        if (r < 0 && r != -ENOMEM) {
                log_warning("What is registered cannot be noted for the next start: %s", strerror(-r));
                r = 0;
        }
        return r;
}

/* What the next update says. */
static int message_prepare(struct registration *registration, enum registration_action action)
{
        struct update_room room = update_room(&registration->options.zone, &registration->options.name,
                                              &registration->options.pair->key, registration->room_rrs);
        int r;

        if (action == ACTION_RELEASE || action == ACTION_ROLL) {
                registration->sent_kind = action == ACTION_ROLL ? UPDATE_ROLL : UPDATE_RELEASE;
                registration->sent_by_rrset = action == ACTION_RELEASE;
                registration->passing = false;
                address_set_clear(&registration->sent);
                address_set_clear(&registration->gone);
                return 0;
        }
        r = pass_prepare(registration, &room);
        if (r >= 0)
                r = update_pass_next(&registration->pass, &room, &registration->options.name,
                                     &registration->gone, &registration->sent, &registration->sent_by_rrset);
        if (r < 0) {
                registration->passing = false;
                return r;
        }
        registration->sent_kind = action == ACTION_SET ? UPDATE_SET : UPDATE_WITHDRAW;
        return action == ACTION_SET ? note_before_sending(registration) : 0;
}

int registration_request(struct registration *registration, struct update *update, dns_client_done done)
{
        struct registration_options *options = &registration->options;
        struct dns_client *client = registrar_client(registration->registrar);
        usec_t timeout = registration->hurried ? MIN(options->timeout_usec, LAST_WORD_USEC)
                                               : options->timeout_usec;
        uint8_t message[UPDATE_SIZE_MAX];
        ssize_t size;

        update->id = dns_client_id(client);
        update->zone = &options->zone;
        update->pair = options->pair;
        update->new_key = registration->roll_to ? &registration->roll_to->key : NULL;
        update->key_ttl_sec = options->key_ttl_sec;
        update->addr_ttl_sec = options->addr_ttl_sec;
        update->addresses = &registration->sent;
        update->removals = &registration->gone;
        update->by_rrset = registration->sent_by_rrset;
        update->now_boottime_usec = now_usec(CLOCK_BOOTTIME);
        update->now_sec = now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
        size = update_build(update, message);
        if (size < 0)
                return (int) size;
        registration->hurry = sd_event_source_disable_unref(registration->hurry);
        return dns_client_request(client, message, (size_t) size, timeout, done, registration,
                                  &registration->request);
}

int registration_send(struct registration *registration, enum registration_action action)
{
        struct update update = { .name = &registration->options.name };
        int r = message_prepare(registration, action);

        if (r < 0)
                return r;
        update.kind = registration->sent_kind;
        update.extra_removals = update.kind == UPDATE_WITHDRAW ? &registration->extra_held : NULL;
        return registration_request(registration, &update, registration_on_answer);
}
