/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nsregc/status.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

void status_tell(const struct status *status)
{
        const char *problem = status->problem;
        size_t registered = 0, refused = 0, waiting = 0;
        char text[1200], reason[1024] = "";

        for (size_t i = 0; i < status->n_registrations; i++) {
                struct registration_info info;

                registration_get_info(status->registrations[i], &info);
                registered += info.state == REGISTRATION_REGISTERED;
                refused += info.state == REGISTRATION_REFUSED;
                waiting += info.state != REGISTRATION_REGISTERED && info.state != REGISTRATION_REFUSED;
                if (info.reason[0] && !reason[0])
                        strcpy(reason, info.reason);
        }
        if (status->stopping)
                (void) snprintf(text, sizeof(text), "STATUS=Taking %zu registration%s away",
                                status->n_registrations, status->n_registrations == 1 ? "" : "s");
        else if (!status->label[0])
                (void) snprintf(text, sizeof(text), "STATUS=%s", status->label_why);
        else if (status->n_registrations == 0)
                (void) snprintf(text, sizeof(text), "STATUS=%s: no zone to register in%s%s", status->label,
                                problem ? ": " : "", problem ?: "");
        else
                (void) snprintf(text, sizeof(text), "STATUS=%s: registered in %zu zone%s%s%.0zu%s%.0zu%s%s",
                                status->label, registered, registered == 1 ? "" : "s",
                                refused ? ", refused in " : "", refused, waiting ? ", waiting for " : "",
                                waiting, reason[0] ? ": " : "", reason);
        (void) sd_notify(false, text);
}
