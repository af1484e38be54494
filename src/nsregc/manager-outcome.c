/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "nsregc/manager-internal.h"
#include "util/log.h"

static bool once_result(const struct manager *manager, bool *ret_good)
{
        bool release = manager_goal(manager) == GOAL_RELEASE, good = true;
        size_t n = 0;

        if (discovery_is_busy(manager->discovery))
                return false;
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (!release && info.goal != GOAL_REGISTER)
                        continue;
                if (!info.settled && info.state != REGISTRATION_RELEASED)
                        return false;
                n++;
                good = good && (release ? info.state == REGISTRATION_RELEASED && !info.reason[0]
                                        : info.state == REGISTRATION_REGISTERED);
        }
        *ret_good = good && n > 0;
        return true;
}

/* What is in the way before any registration begins, or NULL; owned by the caller. */
static char *nothing_to_do(const struct manager *manager)
{
        const char *problem = discovery_problem(manager->discovery);
        char *text;

        if (!manager->label[0])
                return strdup(manager->label_why);
        if (manager->n_registrations > 0)
                return NULL;
        if (asprintf(
                    &text,
                    "There is no zone to register in%s%s%s; name one on the command line or as zones: in the "
                    "configuration",
                    problem ? " (" : "", problem ?: "", problem ? ")" : "") < 0)
                return NULL;
        return text;
}

static void once_report(const struct manager *manager)
{
        _cleanup_free_ char *nothing = nothing_to_do(manager);

        if (nothing)
                log_error("%s", nothing);
        for (size_t i = 0; i < manager->n_registrations; i++) {
                struct registration_info info;
                char name[DNS_NAME_FORMAT_MAX];

                registration_get_info(manager->registrations[i], &info);
                if (info.state == REGISTRATION_IDLE)
                        log_error("%s: %s", dns_name_format(&info.name, name), info.reason);
        }
}

bool manager_settled(const struct manager *manager, bool *ret_good, char **ret_why)
{
        char name[DNS_NAME_FORMAT_MAX];

        *ret_why = NULL;
        if (!manager->started || !manager->addresses_known || manager->network_changed ||
            !once_result(manager, ret_good))
                return false;
        *ret_why = nothing_to_do(manager);
        for (size_t i = 0; i < manager->n_registrations && !*ret_good && !*ret_why; i++) {
                struct registration_info info;

                registration_get_info(manager->registrations[i], &info);
                if (info.reason[0] &&
                    asprintf(ret_why, "%s: %s", dns_name_format(&info.name, name), info.reason) < 0)
                        *ret_why = NULL;
        }
        return true;
}

void manager_check_command(struct manager *manager)
{
        _cleanup_free_ char *why = NULL;
        bool good;

        if (manager->mode == MANAGER_DAEMON || !manager->started || !manager->addresses_known ||
            !once_result(manager, &good))
                return;
        if (manager->mode == MANAGER_ROLL) {
                if (!good && !manager->roll_begun && !manager->roll_left)
                        once_report(manager);
                manager_roll_on(manager, good);
                return;
        }
        if (good && manager->requested.n_items + manager->left.n_items > 0) {
                if (!manager_records_settled(manager, &good, &why))
                        return;
                if (!good && why)
                        log_error("%s", why);
        }
        if (!good)
                once_report(manager);
        (void) sd_event_exit(manager->event, good ? 0 : 1);
}
