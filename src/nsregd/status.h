/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The line that `systemctl status` shows. */

#include "util/macro.h"

struct context;
struct status;

int status_new(struct context *context, struct status **ret); /* 0 or -errno */
struct status *status_free(struct status *status);
DEFINE_CLEANUP(struct status *, status_free)

/* Tells the service manager how things are, now. What happens later is told by itself. */
void status_tell(struct status *status);
