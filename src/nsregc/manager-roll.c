/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A new key for every registration: first it is seen that all registrars are there and can do it, then each
 * is told. */

#include "nsregc/manager-internal.h"
#include "util/log.h"

void manager_set_roll(struct manager *manager, const struct dns_keypair *pair, bool left)
{
        manager->roll_pair = pair;
        manager->roll_left = left;
}

static bool all_can(const struct manager *manager)
{
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;
                char name[DNS_NAME_FORMAT_MAX];

                registration_get_info(manager->registrations[i], &info);
                if (info.goal != GOAL_REGISTER || registration_can_roll(manager->registrations[i]))
                        continue;
                log_error("%s: its registrar knows no way to replace a key; nothing was changed",
                          dns_name_format(&info.name, name));
                return false;
        }
        return true;
}

static void begin(struct manager *manager)
{
        manager->roll_begun = true;
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (info.goal == GOAL_REGISTER)
                        registration_roll(manager->registrations[i], manager->roll_pair);
        }
}

/* Tells what is not as it should be. */
static int outcome(const struct manager *manager)
{
        unsigned n_done = 0, n_refused = 0, n_uncertain = 0;

        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;
                char name[DNS_NAME_FORMAT_MAX];

                registration_get_info(manager->registrations[i], &info);
                dns_name_format(&info.name, name);
                switch (registration_roll_state(manager->registrations[i])) {
                case ROLL_NOT:
                        break;
                case ROLL_DONE:
                        n_done++;
                        break;
                case ROLL_REFUSED:
                        n_refused++;
                        log_error("%s has the old key still: %s", name, info.reason);
                        break;
                case ROLL_SAYING:
                case ROLL_CONFIRMING:
                        n_uncertain++;
                        log_error("%s: it is not known which key it has: %s", name, info.reason);
                        break;
                }
        }
        if (n_refused + n_uncertain == 0 && n_done > 0)
                return ROLL_EXIT_DONE;
        return n_done + n_uncertain == 0 && !manager->roll_left ? ROLL_EXIT_NOTHING : ROLL_EXIT_UNCERTAIN;
}

void manager_roll_on(struct manager *manager, bool good)
{
        if (manager->roll_begun) {
                (void) sd_event_exit(manager->event, outcome(manager));
                return;
        }
        /* What was begun goes on, whatever the old key is told. */
        if (!manager->roll_left && (!good || !all_can(manager)))
                (void) sd_event_exit(manager->event, ROLL_EXIT_NOTHING);
        else if (manager->n_registrations == 0)
                (void) sd_event_exit(manager->event, ROLL_EXIT_UNCERTAIN);
        else
                begin(manager);
}
