/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The line that systemctl status shows. */

#include <stdbool.h>
#include <stddef.h>

#include "nsregc/registration.h"

struct status {
        struct registration *const *registrations;
        size_t n_registrations;
        const char *label;     /* empty: there is none */
        const char *label_why; /* then */
        const char *problem;   /* of discovery; NULL: none */
        bool stopping;
};

void status_tell(const struct status *status);
